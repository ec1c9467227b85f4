//! What is told of the inside of sessions, and of sshds that have none.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Label, Message, Subject, headline, line, name, rated, time, who};
use crate::assess::{Assessment, Level};
use crate::enrich::Facts;
use crate::session::{Escalation, ForeignSshd, Identity};
use crate::words;

/// Who became whom, by which program, in whose session.
pub(super) fn escalated(
    subject: &Subject,
    at: Timestamp,
    how: &Escalation,
    rating: Option<(&Assessment, &Facts)>,
    zone: &TimeZone,
) -> Message {
    let (from, to) = (identity(&how.from), identity(&how.to));
    let program = name(Some(&how.exe), words::UNKNOWN_PROGRAM);
    let mut lines = who(subject);
    lines.push(line(Label::Time, time(at, zone)));
    lines.push(line(Label::Gained, words::became(&from, &to)));
    lines.push(line(Label::Program, words::program(&program, how.pid)));
    lines.push(line(Label::Opened, time(subject.opened_at, zone)));
    let session = headline(subject);
    let summary = words::gained(&from, &to, &program, &session);
    rated(summary, lines, subject, rating)
}

/// The risk of a session rose.
pub(super) fn raised(
    subject: &Subject,
    at: Timestamp,
    from: Level,
    rating: Option<(&Assessment, &Facts)>,
    zone: &TimeZone,
) -> Message {
    let mut lines = who(subject);
    lines.push(line(Label::Time, time(at, zone)));
    lines.push(line(Label::Opened, time(subject.opened_at, zone)));
    lines.push(line(Label::Before, words::risk_before(words::level(from))));
    rated(words::headed(words::RISKIER, &headline(subject)), lines, subject, rating)
}

/// Who runs an sshd that is not this host's, and why it is not trusted.
pub(super) fn foreign(host: &str, at: Timestamp, foreign: &ForeignSshd, zone: &TimeZone) -> Message {
    let host = name(Some(host), words::UNKNOWN_HOST);
    let program = name(Some(&foreign.exe), words::UNKNOWN_PROGRAM);
    let who = identity(&foreign.run_by);
    let summary = words::foreign(&program, &who, &host, words::doubtful(foreign.doubt));
    let lines = vec![
        line(Label::User, who),
        line(Label::Host, host),
        line(Label::Time, time(at, zone)),
        line(Label::Program, words::program(&program, foreign.pid)),
        line(Label::Doubt, words::doubt(foreign.doubt)),
    ];
    Message { summary, level: None, lines, is_reworded: false }
}

/// `alice (uid 1001)`
pub(super) fn identity(identity: &Identity) -> String {
    match &identity.user {
        Some(user) => words::user_with_uid(&name(Some(user), words::NAMELESS), identity.uid),
        None => words::uid(identity.uid),
    }
}
