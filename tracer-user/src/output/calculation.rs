//! An assessment with everything that led to it, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::session::{NONE, account_state, known};
use super::{Style, View};
use crate::assess::{Calculation, Level};
use crate::config::Thresholds;
use crate::enrich::account::Account;
use crate::enrich::history::Known;
use crate::enrich::{Fact, Facts, Network, Opinion, Place, Why};
use crate::sanitize;

/// Characters shown of a text that strangers chose.
const TEXT_CHARS: usize = 200;

/// The same as JSON.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    level: Level,
    /// 0 to 100, by the points alone; the level may be unknown still.
    score: u8,
    sum: i32,
    rules: Vec<RuleRecord<'a>>,
    remarks: &'a [String],
    failed: &'a [String],
    vouched_by: Option<&'a str>,
    facts: &'a Facts,
}

#[derive(Debug, Serialize)]
struct RuleRecord<'a> {
    rule: &'static str,
    points: i16,
    text: &'a str,
}

impl<'a> Record<'a> {
    pub fn new(calculation: &'a Calculation, facts: &'a Facts) -> Self {
        let rule = |item: &'a crate::assess::Item| RuleRecord {
            rule: item.rule.key(),
            points: item.points,
            text: &item.text,
        };
        Self {
            level: calculation.level,
            score: calculation.score,
            sum: calculation.sum,
            rules: calculation.items.iter().map(rule).collect(),
            remarks: &calculation.remarks,
            failed: &calculation.failed,
            vouched_by: calculation.vouched_by.as_deref(),
            facts,
        }
    }
}

/// Writes what is known, what each rule gave, and what follows.
pub fn write(
    calculation: &Calculation,
    facts: &Facts,
    thresholds: Thresholds,
    view: &View,
    output: &mut dyn Write,
) -> io::Result<()> {
    writeln!(output, "{}", view.styled(Style::Bold, "What is known"))?;
    for (name, text) in rows(facts) {
        writeln!(output, "  {name:<14} {}", sanitize::text(&text, TEXT_CHARS))?;
    }
    writeln!(output, "\n{}", view.styled(Style::Bold, "What the rules gave"))?;
    if calculation.items.is_empty() {
        writeln!(output, "  nothing")?;
    }
    for item in &calculation.items {
        let text = sanitize::text(&item.text, TEXT_CHARS);
        writeln!(output, "  {:>+5}  {:<22} {text}", item.points, item.rule.key())?;
    }
    let Calculation { sum, score, .. } = calculation;
    let Thresholds { medium_above, high_above } = thresholds;
    writeln!(output, "\n{}", view.styled(Style::Bold, "What follows"))?;
    writeln!(output, "  {:<14} {sum}, as a score {score}", "Sum")?;
    writeln!(
        output,
        "  {:<14} {} (medium above {medium_above}, high above {high_above})",
        "By the score", calculation.by_score
    )?;
    for failed in &calculation.failed {
        writeln!(output, "  {:<14} {}", "No answer", sanitize::text(failed, TEXT_CHARS))?;
    }
    let vouched = calculation.vouched_by.as_deref().unwrap_or("nobody: a low score is not enough");
    writeln!(output, "  {:<14} {}", "Vouched for", sanitize::text(vouched, TEXT_CHARS))?;
    let level = view.styled(calculation.level.into(), calculation.level);
    writeln!(output, "  {:<14} {level}", "Level")
}

fn rows(facts: &Facts) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if facts.opinions.is_empty() {
        rows.push(("Reputation", fact(&facts.reputation, |reputation| reputation.score.to_string())));
    }
    for Opinion { source, answer } in &facts.opinions {
        let words = fact(answer, |reputation| match &reputation.reason {
            Some(reason) => format!("{} - {reason}", reputation.score),
            None => reputation.score.to_string(),
        });
        rows.push(("Reputation", format!("{source}: {words}")));
    }
    rows.extend(
        facts.listings.iter().map(|listing| ("List", format!("{}: {}", listing.list, listing.entry))),
    );
    rows.extend(facts.unreadable.iter().map(|name| ("File", format!("{name}: {}", Why::Unreadable))));
    rows.push(("Network", fact(&facts.network, network)));
    rows.push(("Place", fact(&facts.place, place)));
    rows.push((
        "Name",
        fact(&facts.reverse_name, |name| {
            format!("{}, {}", name.name, if name.confirmed { "confirmed" } else { "not confirmed" })
        }),
    ));
    rows.push(("Account", fact(&facts.account, account)));
    let Fact::Known(history) = &facts.history else {
        rows.push(("History", fact(&facts.history, |_| String::new())));
        return rows;
    };
    let host = logins(&history.host);
    rows.push(("Host", host));
    if let Some(user) = &history.user {
        let seen = |what: &str, seen: Option<bool>, unknown: &str| match seen {
            Some(true) => format!(", {what} known"),
            Some(false) => format!(", {what} new"),
            None => unknown.to_owned(),
        };
        let mut text = logins(&user.known);
        text.extend(user.days_away.map(|days| format!(", last {days} days before")));
        text += &seen("address", user.address_seen, "");
        text += &seen("network", user.network_seen, "");
        text += &seen("country", user.country_seen, ", country unknown");
        text += &seen("key", user.key_seen, ", no key");
        text += &seen("hour", user.hour_seen, ", hours not learned yet");
        text += &user.travel.map_or_else(
            || ", journey unknown".to_owned(),
            |way| format!(", {} km in {} min", way.km, way.minutes),
        );
        rows.push(("User", text));
        let text = format!(
            "{} other addresses that day, {} refused tries that hour",
            user.other_addresses, user.failures
        );
        rows.push(("", text));
    }
    if let Some(address) = &history.address {
        let text = format!(
            "{} other users and {} refused tries that day, {} refused tries in the hour after",
            address.other_users, address.failures, address.failures_after
        );
        rows.push(("Address", text));
    }
    rows
}

fn fact<T>(fact: &Fact<T>, words: impl Fn(&T) -> String) -> String {
    match fact {
        Fact::Known(value) => words(value),
        Fact::Unknown { why } => format!("unknown - {why}"),
    }
}

fn network(network: &Network) -> String {
    format!("AS{} {}", network.asn, network.name.as_deref().unwrap_or_default()).trim_end().to_owned()
}

fn place(place: &Place) -> String {
    let parts = [&place.city, &place.region, &place.country_code];
    let parts: Vec<&str> = parts.into_iter().filter_map(|part| part.as_deref()).collect();
    known(Some(&parts.join(", ")), TEXT_CHARS)
}

/// `1 login in 3 days`
fn logins(known: &Known) -> String {
    let counted = |count: u32, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    format!("{} in {}", counted(known.logins.into(), "login"), counted(known.days, "day"))
}

fn account(account: &Account) -> String {
    let sudo = match account.may_use_sudo.known() {
        Some(true) => "may use sudo",
        Some(false) => "may not use sudo",
        None => "may use sudo or not, which only /etc/sudoers says",
    };
    let state = match account.state.known() {
        Some(state) => account_state(*state),
        None => "locked, expired or neither, which only /etc/shadow says",
    };
    let groups = if account.groups.is_empty() { NONE.to_owned() } else { account.groups.join(", ") };
    format!(
        "uid {}, shell {}, home {}, groups {groups}; {sudo}; {state}",
        account.uid, account.shell, account.home
    )
}
