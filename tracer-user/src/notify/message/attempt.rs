//! What is told of connections that led to no session.

use jiff::tz::TimeZone;

use super::{Label, Message, line, name, time};
use crate::sanitize;
use crate::session::Attempt;
use crate::words;

/// Longest list of names or methods that is shown, in characters.
const LIST_CHARS: usize = 200;

/// Who tried what from where, and why it came to nothing. Names that are no accounts of the host are not told: people
/// type passwords there.
pub(super) fn attempted(attempt: &Attempt, zone: &TimeZone) -> Message {
    let host = name(Some(&attempt.host), words::UNKNOWN_HOST);
    let known: Vec<_> = known_users(attempt).map(|user| name(Some(user), words::NAMELESS)).collect();
    let user = match (known.is_empty(), attempt.tried.users.is_empty()) {
        (false, _) => sanitize::text(&known.join(", "), LIST_CHARS),
        (true, false) => words::NO_ACCOUNT.to_owned(),
        (true, true) => words::NOBODY.to_owned(),
    };
    let (address, reason) = (attempt.peer.ip().to_canonical().to_string(), words::refused(attempt.reason));
    let mut lines = vec![
        line(Label::User, user.clone()),
        line(Label::Host, host.clone()),
        line(Label::Time, time(attempt.ended_at, zone)),
        line(Label::Address, address.clone()),
        line(Label::Refused, reason.to_owned()),
    ];
    if !attempt.tried.methods.is_empty() {
        lines.push(line(Label::Method, sanitize::text(&attempt.tried.methods.join(", "), LIST_CHARS)));
    }
    let summary = words::attempt(&user, &host, &address, reason);
    Message { summary, level: None, lines, is_reworded: false }
}

/// The names that are accounts of the host.
fn known_users(attempt: &Attempt) -> impl Iterator<Item = &str> {
    attempt.tried.users.iter().filter(|user| user.is_known).map(|user| user.name.as_str())
}
