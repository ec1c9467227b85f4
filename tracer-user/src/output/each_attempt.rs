//! Attempts one by one, each with the messages that told it, for people and for programs.
//!
//! Names that are no account of this host are hidden unless asked for: people type passwords there.

use serde::Serialize;

use super::View;
use super::json::{DeliveryRecord, rfc3339};
use super::queue::short;
use super::session::{NONE, time};
use super::table::{Cell, Table};
use crate::notify::outbox::{DeliveryRow, Telling};
use crate::sanitize;
use crate::session::{Attempt, TriedUser};

/// Characters shown of a name.
const NAME_CHARS: usize = 24;

/// The columns of `login-tracer attempts --each`.
pub fn table() -> Table<5> {
    Table::new(["ENDED", "ADDRESS", "REASON", "NAMES", "TOLD"])
}

/// One row of [`table`].
pub fn row(view: &View, attempt: &Attempt, telling: &Telling<'_>, show_names: bool) -> [Cell; 5] {
    [
        Cell::new(time(view, attempt.ended_at)),
        Cell::new(attempt.peer.ip().to_string()),
        Cell::new(attempt.reason.as_str()),
        Cell::new(names(attempt, show_names)),
        Cell::new(words(telling)),
    ]
}

/// `together: ops 0123456789ab delivered, pager 9876543210fe queued`
fn words(telling: &Telling<'_>) -> String {
    match telling {
        Telling::Alone(told) => deliveries(told),
        Telling::Together(told) => format!("together: {}", deliveries(told)),
        Telling::Waits => "waits to be told together with others".to_owned(),
        Telling::NotTakenIn => "not taken in yet".to_owned(),
        Telling::Nobody => "nobody".to_owned(),
    }
}

fn deliveries(told: &[DeliveryRow]) -> String {
    let one = |told: &DeliveryRow| {
        let sink = sanitize::text(&told.sink, NAME_CHARS);
        format!("{sink} {} {}", short(told.id), told.state.as_str())
    };
    told.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn names(attempt: &Attempt, show_names: bool) -> String {
    let (shown, hidden) = split(attempt, show_names);
    // Empty names exist, and names of blanks.
    let word = |user: &TriedUser| match sanitize::text(&user.name, NAME_CHARS) {
        name if name.trim().is_empty() => "\"\"".to_owned(),
        name => name,
    };
    let mut words: Vec<_> = shown.into_iter().map(word).collect();
    if hidden > 0 {
        words.push(format!("{hidden} unknown"));
    }
    if words.is_empty() { NONE.to_owned() } else { words.join(", ") }
}

/// The names that may be shown, and how many may not.
fn split(attempt: &Attempt, show_names: bool) -> (Vec<&TriedUser>, usize) {
    let (shown, hidden): (Vec<_>, Vec<_>) =
        attempt.tried.users.iter().partition(|user| user.is_known || show_names);
    (shown, hidden.len())
}

/// An attempt as JSON, in the order of its fields: a promise to other people's programs.
#[derive(Debug, Serialize)]
pub struct EachRecord<'a> {
    /// Its key, for ever.
    attempt: String,
    address: String,
    port: u16,
    began_at: String,
    ended_at: String,
    reason: &'static str,
    methods: &'a [String],
    failures: u32,
    users: Vec<UserRecord<'a>>,
    /// How many names are not listed: unknown ones, unless they were asked for.
    other_users: usize,
    /// `alone`, `together`, `waiting` (to be told together, where a route asks for it), `not_taken_in` or `nobody`.
    told: &'static str,
    deliveries: Vec<DeliveryRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct UserRecord<'a> {
    name: &'a str,
    known: bool,
}

impl<'a> EachRecord<'a> {
    pub fn new(attempt: &'a Attempt, telling: &Telling<'a>, show_names: bool) -> Self {
        let (told, deliveries): (_, &[DeliveryRow]) = match telling {
            Telling::Alone(told) => ("alone", told),
            Telling::Together(told) => ("together", told),
            Telling::Waits => ("waiting", &[]),
            Telling::NotTakenIn => ("not_taken_in", &[]),
            Telling::Nobody => ("nobody", &[]),
        };
        let (users, other_users) = split(attempt, show_names);
        Self {
            attempt: attempt.key.0.to_string(),
            address: attempt.peer.ip().to_string(),
            port: attempt.peer.port(),
            began_at: rfc3339(attempt.began_at),
            ended_at: rfc3339(attempt.ended_at),
            reason: attempt.reason.as_str(),
            methods: &attempt.tried.methods,
            failures: attempt.tried.failures,
            users: users
                .into_iter()
                .map(|user| UserRecord { name: &user.name, known: user.is_known })
                .collect(),
            other_users,
            told,
            deliveries: deliveries.iter().map(DeliveryRecord::from).collect(),
        }
    }
}
