//! What is told of many attempts at once.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Label, Message, counted, line, name, span};
use crate::notify::storm::{Refused, Storm};

/// How many reasons are named.
const REASONS: usize = 4;

pub(super) fn stormed(
    host: &str,
    (from, until): (Timestamp, Timestamp),
    storm: &Storm,
    zone: &TimeZone,
) -> Message {
    let host = name(Some(host), "unknown host");
    let what = counted(storm.count, "SSH attempt", "SSH attempts");
    let addresses = counted(storm.addresses.distinct(), "address", "addresses");
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
    Message { summary: format!("{what} on {host} from {addresses}"), level: None, lines, is_reworded: false }
}

/// `root (12), alice (3), and 40 names that are no account`
pub(super) fn users(storm: &Storm) -> Option<String> {
    let unknown = (storm.unknown_users > 0).then(|| match storm.unknown_users {
        1 => "1 name that is no account".to_owned(),
        count => format!("{count} names that are no account"),
    });
    match (storm.users.is_empty(), unknown) {
        (true, unknown) => unknown,
        (false, None) => Some(storm.users.to_string()),
        (false, Some(unknown)) => Some(format!("{}, and {unknown}", storm.users)),
    }
}

/// `unknown user (40), wrong password (15)`
pub(super) fn reasons(storm: &Storm) -> String {
    let words = |refused: &Refused| format!("{} ({})", refused.reason.as_str(), refused.count);
    storm.reasons.iter().take(REASONS).map(words).collect::<Vec<_>>().join(", ")
}
