//! What is told of many attempts at once.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Label, Message, line, name, span};
use crate::notify::storm::{Refused, Storm};
use crate::words;

/// How many reasons are named.
const REASONS: usize = 4;

pub(super) fn stormed(
    host: &str,
    (from, until): (Timestamp, Timestamp),
    storm: &Storm,
    zone: &TimeZone,
) -> Message {
    let host = name(Some(host), words::UNKNOWN_HOST);
    let what = words::attempts(storm.count);
    let addresses = words::addresses(storm.addresses.distinct());
    let mut lines = vec![
        line(Label::Host, host.clone()),
        line(Label::Attempts, what.clone()),
        line(Label::Time, span(from, until, zone)),
        line(Label::Addresses, storm.addresses.to_string()),
    ];
    if let Some(users) = users(storm) {
        lines.push(line(Label::Users, users));
    }
    lines.push(line(Label::Refused, reasons(storm)));
    let summary = words::storm(&what, &host, &addresses);
    Message { summary, level: None, lines, is_reworded: false }
}

/// `root (12), alice (3), and 40 names that are no account`
pub(super) fn users(storm: &Storm) -> Option<String> {
    let unknown = (storm.unknown_users > 0).then(|| words::no_accounts(storm.unknown_users));
    match (storm.users.is_empty(), unknown) {
        (true, unknown) => unknown,
        (false, None) => Some(storm.users.to_string()),
        (false, Some(unknown)) => Some(words::and_no_accounts(&storm.users.to_string(), &unknown)),
    }
}

/// `unknown user (40), wrong password (15)`
pub(super) fn reasons(storm: &Storm) -> String {
    let named = |refused: &Refused| words::times(words::refused(refused.reason), refused.count);
    storm.reasons.iter().take(REASONS).map(named).collect::<Vec<_>>().join(", ")
}
