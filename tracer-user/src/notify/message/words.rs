//! Every English word of messages: facts in, words out. Pure, and nothing else is decided here, so that a translation is
//! another copy of this file. Why a login is risky is told in [`crate::assess::words`].
//!
//! Names come here harmless and of bounded length (`super::name`). What is a word of the data itself ([`level`],
//! [`refused`], [`doubtful`]) is the same in the database and in JSON, and passes through here for people.

use super::Label;
use crate::assess::Level;
use crate::event::Doubt;
use crate::session::{End, Reason, Service};

pub(super) const UNKNOWN: &str = "unknown";
pub(super) const UNKNOWN_HOST: &str = "unknown host";
pub(super) const UNKNOWN_USER: &str = "unknown user";
pub(super) const UNKNOWN_PROGRAM: &str = "unknown program";
pub(super) const UNKNOWN_SINK: &str = "unknown sink";
/// An account whose name is empty.
pub(super) const NAMELESS: &str = "nameless";
/// An attempt by names of which none is an account.
pub(super) const NO_ACCOUNT: &str = "a name that is no account";
/// An attempt that ended before anybody was named.
pub(super) const NOBODY: &str = "nobody by name";
/// Where others have an address.
pub(super) const NO_ADDRESS: &str = "none: sshd has no network connection";
/// How the summary of an example begins.
pub(super) const EXAMPLE: &str = "EXAMPLE, nobody logged in";
/// The reason of its rating.
pub(super) const EXAMPLE_REASON: &str = "this is an example: nobody logged in";

/// What a line is about.
pub(super) fn label(label: Label) -> &'static str {
    match label {
        Label::User => "User",
        Label::Host => "Host",
        Label::Time => "Time",
        Label::Opened => "Opened",
        Label::Ended => "Ended",
        Label::Duration => "Duration",
        Label::Through => "Through",
        Label::Gained => "Gained",
        Label::Program => "Program",
        Label::Address => "Address",
        Label::Method => "Method",
        Label::Network => "Network",
        Label::Place => "Place",
        Label::Risk => "Risk",
        Label::Lost => "Lost",
        Label::Doubt => "Why",
        Label::Changes => "Changes",
        Label::Users => "Users",
        Label::Addresses => "Addresses",
        Label::Worst => "Worst risk",
        Label::Refused => "Refused",
        Label::Attempts => "Attempts",
        Label::Note => "Note",
        Label::Sink => "Sink",
        Label::Remedy => "What to do",
        Label::Before => "Before",
        Label::Logins => "Logins",
        Label::Riskiest => "Look at",
        Label::Open => "Open now",
        Label::Escalations => "Gained ids",
        Label::Findings => "Findings",
        Label::Messages => "Messages",
        Label::Chart => "By time",
    }
}

// Who, where, when, how many.

pub(super) fn level(level: Level) -> &'static str {
    level.as_str()
}

/// Why an attempt led to no session.
pub(super) fn refused(reason: Reason) -> &'static str {
    reason.as_str()
}

/// Why an sshd is not this host's, in few words.
pub(super) fn doubtful(doubt: Doubt) -> &'static str {
    doubt.as_str()
}

/// `1 login`, `3 logins`
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

pub(super) fn uid(uid: u32) -> String {
    format!("uid {uid}")
}

/// `alice (uid 1001)`
pub(super) fn user_with_uid(user: &str, uid: u32) -> String {
    format!("{user} (uid {uid})")
}

/// `alice on web-1 from 193.146.30.1`
pub(super) fn from_address(user: &str, host: &str, address: &str) -> String {
    format!("{user} on {host} from {address}")
}

/// `postgres on web-1 for alice (uid 1001)`
pub(super) fn for_somebody(user: &str, host: &str, by: &str) -> String {
    format!("{user} on {host} for {by}")
}

pub(super) fn on_host(user: &str, host: &str) -> String {
    format!("{user} on {host}")
}

/// From one time to another.
pub(super) fn span(from: &str, until: &str) -> String {
    format!("{from} to {until}")
}

/// When a session opened that nobody saw begin.
pub(super) fn or_later(at: &str) -> String {
    format!("{at} or later: nobody saw it begin")
}

/// The two largest units: `4.2 s`, `27 min 37 s`, `3 h 5 min`, `2 d 7 h`. Below ten, `tenths` of seconds as well.
pub(super) fn duration(seconds: u64, tenths: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if seconds < 10 {
        format!("{seconds}.{tenths} s")
    } else if minutes == 0 {
        format!("{seconds} s")
    } else if hours == 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else if days == 0 {
        format!("{hours} h {} min", minutes % 60)
    } else {
        format!("{days} d {} h", hours % 24)
    }
}

/// `backup (200)`
pub(super) fn times(name: &str, count: u64) -> String {
    format!("{name} ({count})")
}

/// What follows the most common names; nothing where these are all.
pub(super) fn and_others(others: u64) -> String {
    match others {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        others => format!(" and {others} others"),
    }
}

/// Why something is not known.
pub(super) fn unknown_since(why: &str) -> String {
    format!("unknown - {why}")
}

// Sessions.

/// How the news of a login begins.
pub(super) fn login(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH login",
        Service::Dropbear => "SSH login (Dropbear)",
        Service::Login => "Login at a terminal",
        Service::Su => "Login by su",
        Service::Sudo => "Login by sudo",
    }
}

/// The same for a session that nobody saw begin.
pub(super) fn found(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH session found open",
        Service::Dropbear => "SSH session (Dropbear) found open",
        Service::Login => "Session at a terminal found open",
        Service::Su => "Session by su found open",
        Service::Sudo => "Session by sudo found open",
    }
}

/// The same for a session that is over.
pub(super) fn ended(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH session ended",
        Service::Dropbear => "SSH session (Dropbear) ended",
        Service::Login => "Session at a terminal ended",
        Service::Su => "Session by su ended",
        Service::Sudo => "Session by sudo ended",
    }
}

/// The door and who used it, where it is another one than OpenSSH.
pub(super) fn through(service: Service, by: Option<&str>) -> Option<String> {
    let door = match service {
        Service::Ssh => return None,
        Service::Dropbear => "Dropbear",
        Service::Login => "login, at a terminal of the host",
        Service::Su => "su, on the host",
        Service::Sudo => "sudo, on the host",
    };
    Some(match by {
        Some(by) => format!("{door}, for {by}"),
        None => door.to_owned(),
    })
}

/// How a session ended.
pub(super) fn end(end: End, service: Service) -> &'static str {
    match (end, service) {
        (End::Logout, _) => "logout",
        (End::HostRestarted, _) => "host restarted",
        (End::Unseen, _) => "ended while nothing watched",
        (End::Killed, Service::Ssh) => "sshd was killed",
        (End::Killed, Service::Dropbear) => "Dropbear was killed",
        (End::Killed, Service::Login) => "login was killed",
        (End::Killed, Service::Su) => "su was killed",
        (End::Killed, Service::Sudo) => "sudo was killed",
    }
}

/// `SSH login: alice on web-1`
pub(super) fn headed(what: &str, who: &str) -> String {
    format!("{what}: {who}")
}

/// The same after so long.
pub(super) fn headed_after(what: &str, who: &str, lasted: &str) -> String {
    format!("{what}: {who} after {lasted}")
}

/// `27 min 37 s (logout)`
pub(super) fn lasted(lasted: &str, end: &str) -> String {
    format!("{lasted} ({end})")
}

/// A summary with the risk of its session.
pub(super) fn with_risk(summary: &str, score: &str) -> String {
    format!("{summary}, risk {score}")
}

/// `72 (HIGH)`
pub(super) fn score(score: u8, level: &str) -> String {
    format!("{score} ({})", level.to_uppercase())
}

/// `72 (HIGH) - first login from this country`
pub(super) fn risk(score: &str, reasons: &str) -> String {
    format!("{score} - {reasons}")
}

/// What follows the method where there was a certificate.
pub(super) fn certificate(id: &str, serial: u64) -> String {
    format!(" - certificate {id} (serial {serial})")
}

pub(super) const RISKIER: &str = "SSH session is riskier";

/// What the risk was before.
pub(super) fn risk_before(level: &str) -> String {
    format!("risk {level}")
}

/// Who became whom.
pub(super) fn became(from: &str, to: &str) -> String {
    format!("{from} became {to}")
}

/// The same by which program and in whose session.
pub(super) fn gained(from: &str, to: &str, program: &str, session: &str) -> String {
    format!("User id gained: {from} became {to} by {program} in the session of {session}")
}

pub(super) fn program(program: &str, pid: u32) -> String {
    format!("{program}, pid {pid}")
}

// Of the host.

/// An sshd that is not this host's.
pub(super) fn foreign(program: &str, who: &str, host: &str, doubt: &str) -> String {
    format!("sshd that is not the system's: {program} by {who} on {host} ({doubt})")
}

/// Why it is not, and what follows.
pub(super) fn doubt(doubt: Doubt) -> String {
    let why = match doubt {
        Doubt::User => "it is not run by root",
        Doubt::Owner => "its file does not belong to root",
        Doubt::Writable => "others than root may write to its file",
        Doubt::Place => "its file is not where programs are installed",
    };
    format!("{why}; its logins are not recorded")
}

pub(super) fn events_lost(host: &str, count: u64) -> String {
    format!("Kernel events lost on {host}: {count}")
}

/// What it means that events were lost.
pub(super) fn sessions_may_be_missing(count: u64) -> String {
    let events = counted(count, "event", "events");
    format!(
        "{events}; sessions may be missing, or stay open until the next check against the running processes"
    )
}

pub(super) fn attempt(user: &str, host: &str, address: &str, reason: &str) -> String {
    format!("SSH attempt: {user} on {host} from {address} ({reason})")
}

pub(super) fn attempts(count: u64) -> String {
    counted(count, "SSH attempt", "SSH attempts")
}

pub(super) fn storm(attempts: &str, host: &str, addresses: &str) -> String {
    format!("{attempts} on {host} from {addresses}")
}

pub(super) fn addresses(count: u64) -> String {
    counted(count, "address", "addresses")
}

pub(super) fn no_accounts(count: u64) -> String {
    counted(count, "name that is no account", "names that are no account")
}

/// `root (12), alice (3), and 40 names that are no account`
pub(super) fn and_no_accounts(users: &str, unknown: &str) -> String {
    format!("{users}, and {unknown}")
}

// Many changes in one message.

pub(super) fn changes(count: u32, host: &str) -> String {
    format!("{count} changes on {host}")
}

/// What a change is counted as: for one, and for many. In the order in which they are named.
pub(super) const KINDS: [(&str, &str); 7] = [
    ("SSH login", "SSH logins"),
    ("session found open", "sessions found open"),
    ("end of a session", "ends of sessions"),
    ("gained user id", "gained user ids"),
    ("raised risk", "raised risks"),
    ("SSH attempt", "SSH attempts"),
    ("other change", "other changes"),
];

/// `addresses` may be empty.
pub(super) fn group(what: &str, host: &str, users: &str, addresses: &str, worst: &str) -> String {
    let from = if addresses.is_empty() { String::new() } else { format!(" from {addresses}") };
    format!("{what} on {host}: {users}{from}, worst risk {worst}")
}

// The queue.

pub(super) fn held_back(sink: &str, host: &str) -> String {
    format!("Messages to {sink} are held back on {host}: it does not take them any more")
}

pub(super) fn how_to_resume(sink: &str) -> String {
    format!(
        "its messages wait; correct its configuration and restart the notify role, or run: login-tracer queue resume {sink}"
    )
}

pub(super) fn given_up(count: u64, sink: &str, host: &str) -> String {
    let messages = counted(count, "message", "messages");
    format!("{messages} for {sink} on {host} could not be delivered and were given up")
}

/// Why they were.
pub(super) fn why_given_up(expired: u64, dropped: u64) -> String {
    let parts =
        [(expired, "waited longer than max_age"), (dropped, "were more than max_queued, the oldest of them")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, words)| format!("{count} {words}")).collect::<Vec<_>>().join("; ")
}

pub(super) const WHERE_TO_LOOK: &str =
    "see login-tracer queue list; what happened is in login-tracer sessions";

// A day or a week.

/// `every` is the word of the schedule.
pub(super) fn summary(every: &str, host: &str, logins: u64, attempts: u64, worst: Option<&str>) -> String {
    let what = match every {
        "day" => "Daily summary",
        "week" => "Weekly summary",
        _ => "Summary",
    };
    let (logins, attempts) = (counted(logins, "login", "logins"), counted(attempts, "attempt", "attempts"));
    let worst = worst.map_or(String::new(), |worst| format!(", worst risk {worst}"));
    format!("{what} of {host}: {logins}, {attempts}{worst}")
}

pub(super) const NO_LOGINS: &str = "none";

/// `212: 200 low, 10 medium, 2 unknown`
pub(super) fn logins(total: u64, by_level: &[(u64, Level)]) -> String {
    let parts: Vec<_> = by_level.iter().map(|(count, of)| format!("{count} {}", level(*of))).collect();
    format!("{total}: {}", parts.join(", "))
}

/// `root from 203.0.113.9 at 2026-11-20 03:12:00 CET (85 high)`
pub(super) fn risky(user: &str, address: Option<&str>, at: &str, score: Option<u8>, level: &str) -> String {
    let from = address.map_or(String::new(), |address| format!(" from {address}"));
    let score = score.map_or(String::new(), |score| format!("{score} "));
    format!("{user}{from} at {at} ({score}{level})")
}

pub(super) fn open(count: u64) -> String {
    counted(count, "session", "sessions")
}

pub(super) fn gained_times(count: u64) -> String {
    counted(count, "time", "times")
}

pub(super) fn other_sshds(count: u64) -> String {
    counted(count, "start of another sshd", "starts of other sshds")
}

pub(super) fn kernel_events_lost(count: u64) -> String {
    counted(count, "kernel event was lost", "kernel events were lost")
}

/// `users` may be nobody.
pub(super) fn tried(count: u64, distinct: &str, named: &str, reasons: &str, users: Option<&str>) -> String {
    let users = users.map_or(String::new(), |users| format!("; for {users}"));
    format!("{count} from {distinct}: {named}; {reasons}{users}")
}

pub(super) fn messages(delivered: u64, given_up: u64, waiting: u64) -> String {
    let some = |count: u64, words: &str| if count > 0 { format!(", {count} {words}") } else { String::new() };
    format!("{delivered} delivered{}{}", some(given_up, "given up"), some(waiting, "waiting"))
}

/// Below which the highest bar of a chart stands.
pub(super) fn most(count: u64, at: &str) -> String {
    format!("most {count} at {at}")
}
