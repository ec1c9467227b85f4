//! What is told of the inside of sessions, and of sshds that have none.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Label, Message, Subject, headline, line, name, rated, time, who};
use crate::assess::{Assessment, Level};
use crate::enrich::Facts;
use crate::event::Doubt;
use crate::session::{Escalation, ForeignSshd, Identity};

/// Who became whom, by which program, in whose session.
pub(super) fn escalated(
    subject: &Subject,
    at: Timestamp,
    how: &Escalation,
    rating: Option<(&Assessment, &Facts)>,
    zone: &TimeZone,
) -> Message {
    let (from, to) = (identity(&how.from), identity(&how.to));
    let program = name(Some(&how.exe), "unknown program");
    let mut lines = who(subject);
    lines.push(line(Label::Time, time(at, zone)));
    lines.push(line(Label::Gained, format!("{from} became {to}")));
    lines.push(line(Label::Program, format!("{program}, pid {}", how.pid)));
    lines.push(line(Label::Opened, time(subject.opened_at, zone)));
    let session = headline(subject);
    let summary = format!("User id gained: {from} became {to} by {program} in the session of {session}");
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
    lines.push(line(Label::Before, format!("risk {from}")));
    rated(format!("SSH session is riskier: {}", headline(subject)), lines, subject, rating)
}

/// Who runs an sshd that is not this host's, and why it is not trusted.
pub(super) fn foreign(host: &str, at: Timestamp, foreign: &ForeignSshd, zone: &TimeZone) -> Message {
    let host = name(Some(host), "unknown host");
    let program = name(Some(&foreign.exe), "unknown program");
    let who = identity(&foreign.run_by);
    let why = match foreign.doubt {
        Doubt::User => "it is not run by root",
        Doubt::Owner => "its file does not belong to root",
        Doubt::Writable => "others than root may write to its file",
        Doubt::Place => "its file is not where programs are installed",
    };
    let summary =
        format!("sshd that is not the system's: {program} by {who} on {host} ({})", foreign.doubt.as_str());
    let lines = vec![
        line(Label::User, who),
        line(Label::Host, host),
        line(Label::Time, time(at, zone)),
        line(Label::Program, format!("{program}, pid {}", foreign.pid)),
        line(Label::Doubt, format!("{why}; its logins are not recorded")),
    ];
    Message { summary, level: None, lines }
}

/// `alice (uid 1001)`
pub(super) fn identity(identity: &Identity) -> String {
    match &identity.user {
        Some(user) => format!("{} (uid {})", name(Some(user), "nameless"), identity.uid),
        None => format!("uid {}", identity.uid),
    }
}
