//! Attempts by address: how many, when, why they failed, and by which names.
//!
//! Names that are no account of this host are hidden unless asked for: people type passwords there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::View;
use super::json::rfc3339;
use super::session::{NONE, time};
use super::table::{Cell, Table};
use crate::sanitize;
use crate::session::{Attempt, Reason};

/// Names that are remembered of one address; more are counted as others.
const NAMES_KEPT: usize = 200;
/// Methods that are remembered of one address.
const METHODS_KEPT: usize = 8;
/// Names shown in the table, and characters of each.
const NAMES_SHOWN: usize = 6;
const NAME_CHARS: usize = 24;

/// All attempts from one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub address: IpAddr,
    /// Connections.
    pub count: u64,
    pub first: Timestamp,
    /// When the last one ended.
    pub last: Timestamp,
    /// Refused credentials, as far as sshd logs them.
    pub failures: u64,
    pub reasons: BTreeMap<Reason, u64>,
    pub methods: Vec<String>,
    /// How many connections tried each name.
    pub names: BTreeMap<Name, u64>,
    /// Tries by names beyond those that are remembered.
    pub further_names: u64,
}

/// A name that was tried. Known ones come first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub is_unknown: bool,
    pub text: String,
}

/// Attempts on their way into groups.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<IpAddr, Source>);

impl Sources {
    pub fn add(&mut self, attempt: Attempt) {
        let address = attempt.peer.ip();
        let source = self.0.entry(address).or_insert_with(|| Source {
            address,
            count: 0,
            first: attempt.began_at,
            last: attempt.ended_at,
            failures: 0,
            reasons: BTreeMap::new(),
            methods: Vec::new(),
            names: BTreeMap::new(),
            further_names: 0,
        });
        source.count += 1;
        source.first = source.first.min(attempt.began_at);
        source.last = source.last.max(attempt.ended_at);
        source.failures += u64::from(attempt.tried.failures);
        *source.reasons.entry(attempt.reason).or_default() += 1;
        for method in attempt.tried.methods {
            if source.methods.len() < METHODS_KEPT && !source.methods.contains(&method) {
                source.methods.push(method);
            }
        }
        for user in attempt.tried.users {
            let name = Name { is_unknown: !user.is_known, text: user.name };
            if source.names.len() < NAMES_KEPT || source.names.contains_key(&name) {
                *source.names.entry(name).or_default() += 1;
            } else {
                source.further_names += 1;
            }
        }
    }

    /// The addresses, the one with the newest attempt first.
    pub fn newest_first(self) -> Vec<Source> {
        let mut sources: Vec<_> = self.0.into_values().collect();
        sources.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.address.cmp(&b.address)));
        sources
    }
}

/// The columns of `login-tracer attempts`.
pub fn table() -> Table<6> {
    Table::new(["ADDRESS", "COUNT", "FIRST", "LAST", "REASONS", "NAMES"]).right(&["COUNT"])
}

/// One row of [`table`].
pub fn row(view: &View, source: &Source, show_names: bool) -> [Cell; 6] {
    [
        Cell::new(source.address.to_string()),
        Cell::new(source.count.to_string()),
        Cell::new(time(view, source.first)),
        Cell::new(time(view, source.last)),
        Cell::new(reasons(source)),
        Cell::new(names(source, show_names)),
    ]
}

/// `wrong password (3), unknown user`, the most frequent first.
fn reasons(source: &Source) -> String {
    let mut reasons: Vec<_> = source.reasons.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1));
    let word = |(reason, count): (&Reason, &u64)| match count {
        1 => reason.as_str().to_owned(),
        count => format!("{} ({count})", reason.as_str()),
    };
    reasons.into_iter().map(word).collect::<Vec<_>>().join(", ")
}

/// `root, alice, 12 unknown`
fn names(source: &Source, show_names: bool) -> String {
    let visible: Vec<_> = source.names.keys().filter(|name| show_names || !name.is_unknown).collect();
    let mut words: Vec<_> =
        visible.iter().take(NAMES_SHOWN).map(|name| sanitize::text(&name.text, NAME_CHARS)).collect();
    // Empty names exist, and names of blanks.
    words.iter_mut().filter(|word| word.trim().is_empty()).for_each(|word| *word = "\"\"".to_owned());
    let more =
        visible.len().saturating_sub(NAMES_SHOWN) as u64 + if show_names { source.further_names } else { 0 };
    if more > 0 {
        words.push(format!("{more} more"));
    }
    let hidden = (source.names.len() - visible.len()) as u64;
    if hidden > 0 {
        words.push(format!("{} unknown", hidden + source.further_names));
    }
    if words.is_empty() { NONE.to_owned() } else { words.join(", ") }
}

/// A [`Source`] as JSON, in the order of its fields: a promise to other people's programs.
#[derive(Debug, Serialize)]
pub struct SourceRecord<'a> {
    address: String,
    attempts: u64,
    first_at: String,
    last_at: String,
    failures: u64,
    reasons: BTreeMap<&'static str, u64>,
    methods: &'a [String],
    users: Vec<UserRecord<'a>>,
    /// Connections that tried names which are not listed: unknown ones, unless they were asked for.
    other_users: u64,
}

#[derive(Debug, Serialize)]
struct UserRecord<'a> {
    name: &'a str,
    known: bool,
    attempts: u64,
}

impl<'a> SourceRecord<'a> {
    pub fn new(source: &'a Source, show_names: bool) -> Self {
        let (visible, hidden): (Vec<_>, Vec<_>) =
            source.names.iter().partition(|(name, _)| show_names || !name.is_unknown);
        Self {
            address: source.address.to_string(),
            attempts: source.count,
            first_at: rfc3339(source.first),
            last_at: rfc3339(source.last),
            failures: source.failures,
            reasons: source.reasons.iter().map(|(reason, count)| (reason.as_str(), *count)).collect(),
            methods: &source.methods,
            users: visible
                .into_iter()
                .map(|(name, attempts)| UserRecord {
                    name: &name.text,
                    known: !name.is_unknown,
                    attempts: *attempts,
                })
                .collect(),
            other_users: hidden.into_iter().map(|(_, count)| count).sum::<u64>() + source.further_names,
        }
    }
}
