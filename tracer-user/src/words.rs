//! Every English word of messages and of the reasons of ratings: facts in, words out. Pure, and nothing else is decided
//! here, so that a translation is another copy of this file.
//!
//! In this order: what stands for nothing; labels; who, where, when; sessions; the host; many changes in one message; the
//! queue; summaries; [`console`], its line; [`risk`], the reasons of ratings; why something is not known.
//!
//! Names come here harmless and of bounded length. What is a word of the data itself ([`level`], [`refused`],
//! [`doubtful`]) is the same in the database and in JSON, and passes through here for people.

use std::fmt;

use jiff::civil::Weekday;

use crate::assess::Level;
use crate::enrich::Why;
use crate::enrich::address::Scope;
use crate::enrich::quota::Refusal;
use crate::event::Doubt;
use crate::notify::message::Label;
use crate::session::{End, Reason, Service};

// What stands for nothing, and what marks an example.

pub(crate) const UNKNOWN: &str = "unknown";
pub(crate) const UNKNOWN_HOST: &str = "unknown host";
pub(crate) const UNKNOWN_USER: &str = "unknown user";
pub(crate) const UNKNOWN_PROGRAM: &str = "unknown program";
pub(crate) const UNKNOWN_SINK: &str = "unknown sink";
/// An account whose name is empty.
pub(crate) const NAMELESS: &str = "nameless";
/// An attempt by names of which none is an account.
pub(crate) const NO_ACCOUNT: &str = "a name that is no account";
/// An attempt that ended before anybody was named.
pub(crate) const NOBODY: &str = "nobody by name";
/// Where others have an address.
pub(crate) const NO_ADDRESS: &str = "none: sshd has no network connection";
/// How the summary of an example begins.
pub(crate) const EXAMPLE: &str = "EXAMPLE, nobody logged in";
/// The reason of its rating.
pub(crate) const EXAMPLE_REASON: &str = "this is an example: nobody logged in";

// Labels: what a line is about.

pub(crate) fn label(label: Label) -> &'static str {
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

pub(crate) fn level(level: Level) -> &'static str {
    level.as_str()
}

/// Why an attempt led to no session.
pub(crate) fn refused(reason: Reason) -> &'static str {
    reason.as_str()
}

/// Why an sshd is not this host's, in few words.
pub(crate) fn doubtful(doubt: Doubt) -> &'static str {
    doubt.as_str()
}

/// `1 login`, `3 logins`
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

pub(crate) fn uid(uid: u32) -> String {
    format!("uid {uid}")
}

/// `alice (uid 1001)`
pub(crate) fn user_with_uid(user: &str, uid: u32) -> String {
    format!("{user} (uid {uid})")
}

/// `alice on web-1 from 193.146.30.1`
pub(crate) fn from_address(user: &str, host: &str, address: &str) -> String {
    format!("{user} on {host} from {address}")
}

/// `postgres on web-1 for alice (uid 1001)`
pub(crate) fn for_somebody(user: &str, host: &str, by: &str) -> String {
    format!("{user} on {host} for {by}")
}

pub(crate) fn on_host(user: &str, host: &str) -> String {
    format!("{user} on {host}")
}

/// From one time to another.
pub(crate) fn span(from: &str, until: &str) -> String {
    format!("{from} to {until}")
}

/// When a session opened that nobody saw begin.
pub(crate) fn or_later(at: &str) -> String {
    format!("{at} or later: nobody saw it begin")
}

/// The two largest units: `4.2 s`, `27 min 37 s`, `3 h 5 min`, `2 d 7 h`. Below ten, `tenths` of seconds as well.
pub(crate) fn duration(seconds: u64, tenths: u64) -> String {
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
pub(crate) fn times(name: &str, count: u64) -> String {
    format!("{name} ({count})")
}

/// What follows the most common names; nothing where these are all.
pub(crate) fn and_others(others: u64) -> String {
    match others {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        others => format!(" and {others} others"),
    }
}

/// Why something is not known.
pub(crate) fn unknown_since(why: &str) -> String {
    format!("unknown - {why}")
}

// Sessions.

/// How the news of a login begins.
pub(crate) fn login(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH login",
        Service::Dropbear => "SSH login (Dropbear)",
        Service::Login => "Login at a terminal",
        Service::Su => "Login by su",
        Service::Sudo => "Login by sudo",
    }
}

/// The same for a session that nobody saw begin.
pub(crate) fn found(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH session found open",
        Service::Dropbear => "SSH session (Dropbear) found open",
        Service::Login => "Session at a terminal found open",
        Service::Su => "Session by su found open",
        Service::Sudo => "Session by sudo found open",
    }
}

/// The same for a session that is over.
pub(crate) fn ended(service: Service) -> &'static str {
    match service {
        Service::Ssh => "SSH session ended",
        Service::Dropbear => "SSH session (Dropbear) ended",
        Service::Login => "Session at a terminal ended",
        Service::Su => "Session by su ended",
        Service::Sudo => "Session by sudo ended",
    }
}

/// The door and who used it, where it is another one than OpenSSH.
pub(crate) fn through(service: Service, by: Option<&str>) -> Option<String> {
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
pub(crate) fn end(end: End, service: Service) -> &'static str {
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
pub(crate) fn headed(what: &str, who: &str) -> String {
    format!("{what}: {who}")
}

/// The same after so long.
pub(crate) fn headed_after(what: &str, who: &str, lasted: &str) -> String {
    format!("{what}: {who} after {lasted}")
}

/// `27 min 37 s (logout)`
pub(crate) fn lasted(lasted: &str, end: &str) -> String {
    format!("{lasted} ({end})")
}

/// A summary with the risk of its session.
pub(crate) fn with_risk(summary: &str, score: &str) -> String {
    format!("{summary}, risk {score}")
}

/// `72 (HIGH)`
pub(crate) fn score(score: u8, level: &str) -> String {
    format!("{score} ({})", level.to_uppercase())
}

/// `72 (HIGH) - first login from this country`
pub(crate) fn with_reasons(score: &str, reasons: &str) -> String {
    format!("{score} - {reasons}")
}

/// What follows the method where there was a certificate.
pub(crate) fn certificate(id: &str, serial: u64) -> String {
    format!(" - certificate {id} (serial {serial})")
}

pub(crate) const RISKIER: &str = "SSH session is riskier";

/// What the risk was before.
pub(crate) fn risk_before(level: &str) -> String {
    format!("risk {level}")
}

/// Who became whom.
pub(crate) fn became(from: &str, to: &str) -> String {
    format!("{from} became {to}")
}

/// The same by which program and in whose session.
pub(crate) fn gained(from: &str, to: &str, program: &str, session: &str) -> String {
    format!("User id gained: {from} became {to} by {program} in the session of {session}")
}

pub(crate) fn program(program: &str, pid: u32) -> String {
    format!("{program}, pid {pid}")
}

// Of the host.

/// An sshd or Dropbear that is not this host's.
pub(crate) fn foreign(program: &str, who: &str, host: &str, doubt: &str) -> String {
    format!("SSH server that is not the system's: {program} by {who} on {host} ({doubt})")
}

/// Why it is not, and what follows.
pub(crate) fn doubt(doubt: Doubt) -> String {
    let why = match doubt {
        Doubt::User => "it is not run by root",
        Doubt::Owner => "its file does not belong to root",
        Doubt::Writable => "others than root may write to its file",
        Doubt::Place => "its file is not where programs are installed",
    };
    format!("{why}; its logins are not recorded")
}

pub(crate) fn events_lost(host: &str, count: u64) -> String {
    format!("Kernel events lost on {host}: {count}")
}

/// What it means that events were lost.
pub(crate) fn sessions_may_be_missing(count: u64) -> String {
    let events = counted(count, "event", "events");
    format!(
        "{events}; sessions may be missing, or stay open until the next check against the running processes"
    )
}

pub(crate) fn attempt(user: &str, host: &str, address: &str, reason: &str) -> String {
    format!("SSH attempt: {user} on {host} from {address} ({reason})")
}

pub(crate) fn attempts(count: u64) -> String {
    counted(count, "SSH attempt", "SSH attempts")
}

pub(crate) fn storm(attempts: &str, host: &str, addresses: &str) -> String {
    format!("{attempts} on {host} from {addresses}")
}

pub(crate) fn addresses(count: u64) -> String {
    counted(count, "address", "addresses")
}

pub(crate) fn no_accounts(count: u64) -> String {
    counted(count, "name that is no account", "names that are no account")
}

/// `root (12), alice (3), and 40 names that are no account`
pub(crate) fn and_no_accounts(users: &str, unknown: &str) -> String {
    format!("{users}, and {unknown}")
}

// Many changes in one message.

pub(crate) fn changes(count: u32, host: &str) -> String {
    format!("{count} changes on {host}")
}

/// What a change is counted as: for one, and for many. In the order in which they are named.
pub(crate) const KINDS: [(&str, &str); 7] = [
    ("SSH login", "SSH logins"),
    ("session found open", "sessions found open"),
    ("end of a session", "ends of sessions"),
    ("gained user id", "gained user ids"),
    ("raised risk", "raised risks"),
    ("SSH attempt", "SSH attempts"),
    ("other change", "other changes"),
];

/// `addresses` may be empty.
pub(crate) fn group(what: &str, host: &str, users: &str, addresses: &str, worst: &str) -> String {
    let from = if addresses.is_empty() { String::new() } else { format!(" from {addresses}") };
    format!("{what} on {host}: {users}{from}, worst risk {worst}")
}

// The queue.

pub(crate) fn held_back(sink: &str, host: &str) -> String {
    format!("Messages to {sink} are held back on {host}: it does not take them any more")
}

pub(crate) fn how_to_resume(sink: &str) -> String {
    format!(
        "its messages wait; correct its configuration and restart the notify role, or run: login-tracer queue resume {sink}"
    )
}

pub(crate) fn given_up(count: u64, sink: &str, host: &str) -> String {
    let messages = counted(count, "message", "messages");
    format!("{messages} for {sink} on {host} could not be delivered and were given up")
}

/// Why they were.
pub(crate) fn why_given_up(expired: u64, dropped: u64) -> String {
    let parts =
        [(expired, "waited longer than max_age"), (dropped, "were more than max_queued, the oldest of them")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, words)| format!("{count} {words}")).collect::<Vec<_>>().join("; ")
}

pub(crate) const WHERE_TO_LOOK: &str =
    "see login-tracer queue list; what happened is in login-tracer sessions";

// A day or a week.

/// `every` is the word of the schedule.
pub(crate) fn summary(every: &str, host: &str, logins: u64, attempts: u64, worst: Option<&str>) -> String {
    let what = match every {
        "day" => "Daily summary",
        "week" => "Weekly summary",
        _ => "Summary",
    };
    let (logins, attempts) = (counted(logins, "login", "logins"), counted(attempts, "attempt", "attempts"));
    let worst = worst.map_or(String::new(), |worst| format!(", worst risk {worst}"));
    format!("{what} of {host}: {logins}, {attempts}{worst}")
}

pub(crate) const NO_LOGINS: &str = "none";

/// `212: 200 low, 10 medium, 2 unknown`
pub(crate) fn logins(total: u64, by_level: &[(u64, Level)]) -> String {
    let parts: Vec<_> = by_level.iter().map(|(count, of)| format!("{count} {}", level(*of))).collect();
    format!("{total}: {}", parts.join(", "))
}

/// `root from 203.0.113.9 at 2026-11-20 03:12:00 CET (85 high)`
pub(crate) fn risky(user: &str, address: Option<&str>, at: &str, score: Option<u8>, level: &str) -> String {
    let from = address.map_or(String::new(), |address| format!(" from {address}"));
    let score = score.map_or(String::new(), |score| format!("{score} "));
    format!("{user}{from} at {at} ({score}{level})")
}

pub(crate) fn open(count: u64) -> String {
    counted(count, "session", "sessions")
}

pub(crate) fn gained_times(count: u64) -> String {
    counted(count, "time", "times")
}

pub(crate) fn other_sshds(count: u64) -> String {
    counted(count, "start of another sshd", "starts of other sshds")
}

pub(crate) fn kernel_events_lost(count: u64) -> String {
    counted(count, "kernel event was lost", "kernel events were lost")
}

/// `users` may be nobody.
pub(crate) fn tried(count: u64, distinct: &str, named: &str, reasons: &str, users: Option<&str>) -> String {
    let users = users.map_or(String::new(), |users| format!("; for {users}"));
    format!("{count} from {distinct}: {named}; {reasons}{users}")
}

pub(crate) fn messages(delivered: u64, given_up: u64, waiting: u64) -> String {
    let some = |count: u64, words: &str| if count > 0 { format!(", {count} {words}") } else { String::new() };
    format!("{delivered} delivered{}{}", some(given_up, "given up"), some(waiting, "waiting"))
}

/// Below which the highest bar of a chart stands.
pub(crate) fn most(count: u64, at: &str) -> String {
    format!("most {count} at {at}")
}

/// Below a bar of a chart: `Mon 23`.
pub(crate) fn day(weekday: Weekday, day: i8) -> String {
    let weekday = match weekday {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    format!("{weekday} {day:02}")
}

/// The console's line: first one word for what happened, then its parts, which may hold colours.
pub(crate) mod console {
    pub(crate) const LOGIN: &str = "LOGIN";
    pub(crate) const FOUND: &str = "FOUND";
    pub(crate) const LOGOUT: &str = "LOGOUT";
    pub(crate) const GAINED: &str = "GAINED";
    pub(crate) const RAISED: &str = "RAISED";
    pub(crate) const TRIED: &str = "TRIED";
    pub(crate) const FOREIGN: &str = "SSHD?";
    pub(crate) const LOST: &str = "LOST";
    pub(crate) const STORM: &str = "STORM";
    pub(crate) const SUMMARY: &str = "SUMMARY";
    pub(crate) const GROUP: &str = "GROUP";
    pub(crate) const SINK: &str = "SINK";

    pub(crate) const NETWORK: &str = "network";
    pub(crate) const PLACE: &str = "place";
    pub(crate) const RISK: &str = "risk";

    pub(crate) fn through(door: &str) -> String {
        format!("through {door}")
    }

    pub(crate) fn from(address: &str) -> String {
        format!("from {address}")
    }

    /// `alice (uid 1001) became root (uid 0) by /usr/bin/su, pid 5`
    pub(crate) fn gained(gained: &str, program: &str) -> String {
        format!("{gained} by {program}")
    }

    pub(crate) fn by(method: &str) -> String {
        format!("by {method}")
    }

    pub(crate) fn after(duration: &str) -> String {
        format!("after {duration}")
    }

    /// An sshd that is not this host's, and why.
    pub(crate) fn runs(program: &str, doubt: &str) -> String {
        format!("runs {program}: {doubt}")
    }
}

/// Of risk: what rules look for and what they found, who vouches, who could not answer.
pub(crate) mod risk {
    use std::fmt;

    use crate::config::Rule;
    use crate::enrich::Why;
    use crate::enrich::address::Scope;

    /// What a rule looks for, in one sentence.
    pub(crate) const fn sentence(rule: Rule) -> &'static str {
        match rule {
            Rule::Reputation => {
                "so many percent of the worst score that a reputation service gives the address"
            }
            Rule::Listed => "a list of the owner's names the address; a list may have points of its own",
            Rule::UnconfirmedName => "the address has a name, and the name does not have the address",
            Rule::Root => "root logs in",
            Rule::Password => "by a password, or by answering questions, and not by a key",
            Rule::RootPassword => "root, and by a password: on top of both",
            Rule::NoLoginShell => "the shell of the account is one that lets nobody in, such as nologin",
            Rule::ServiceAccount => "the account is one for services, by its user id",
            Rule::DisabledAccount => "the account is past its last day, or no password fits it and one did",
            Rule::LockedAccount => {
                "the account's password was locked (usermod -L, passwd -l), and a key did; not root's"
            }
            Rule::NewUser => "the first login of this user on a host that is known for longer",
            Rule::NewAddress => "the first login of this user from this address",
            Rule::NewNetwork => "the first login of this user from this network (/24, or /48 of IPv6)",
            Rule::NewCountry => "the first of this user's last logins from this country",
            Rule::NewKey => "the first login of this user with this key",
            Rule::NewHour => "none of this user's last logins was within an hour of this time of day",
            Rule::Dormant => "this user has not logged in for 90 days",
            Rule::FailuresFromAddress => "5 or more refused tries from this address in the day before",
            Rule::FailuresOfUser => "10 or more refused tries to be this user in the hour before",
            Rule::ImpossibleTravel => {
                "more than 500 km from the login before, at more than 900 km/h: faster than an airliner"
            }
            Rule::ManyUsers => "3 or more other users from this address in the day before",
            Rule::ManyAddresses => "4 or more other addresses of this user in the day before",
            Rule::Escalation => {
                "a user id was gained inside, by a program that is there for it, such as sudo"
            }
            Rule::UnusualEscalation => "a user id was gained inside in any other way",
            Rule::FailuresAfter => "5 or more refused tries from this address in the hour after",
            Rule::EventsLost => {
                "kernel events were lost in the ten minutes before: what was recorded may lack something"
            }
            Rule::TrustedNetwork => "the address is in one of the trusted networks: taken away",
            Rule::TrustedUser => "the user is trusted: taken away",
            Rule::TrustedKey => "the key, or the authority that certified it, is trusted: taken away",
        }
    }

    // What rules found: of the account.

    pub(crate) const ROOT: &str = "root";
    pub(crate) const BY_PASSWORD: &str = "by password";
    pub(crate) const ROOT_BY_PASSWORD: &str = "root by password";
    pub(crate) const EXPIRED: &str = "the account has expired";
    pub(crate) const NO_PASSWORD_FITS: &str = "no password fits the account, and one did";
    pub(crate) const LOCKED_AND_PASSWORD: &str = "the account is locked, and a password did";
    pub(crate) const LOCKED: &str = "the account is locked, which keeps only passwords out";

    pub(crate) fn shell(shell: &str) -> String {
        format!("the account's shell is {shell}")
    }

    pub(crate) fn service_account(uid: u32) -> String {
        format!("a service's account (uid {uid})")
    }

    // Of the address.

    pub(crate) fn unconfirmed_name(name: &str) -> String {
        format!("calls itself {name}, which does not confirm it")
    }

    /// What a service says that gives no reason.
    pub(crate) const REPUTATION: &str = "reputation of the address";

    /// `lists` are names of lists, each with the entry.
    pub(crate) fn listed<'a>(lists: impl Iterator<Item = (&'a str, &'a str)>) -> String {
        let lists: Vec<_> = lists.map(|(list, entry)| format!("{list} ({entry})")).collect();
        format!("on the list {}", lists.join(" and on "))
    }

    /// A service's name, and what it says or why it says nothing.
    pub(crate) fn said_by(source: &str, said: impl fmt::Display) -> String {
        format!("{source}: {said}")
    }

    /// What AbuseIPDB says: how often the address was reported, and how sure it is; `usage` is in its own words.
    pub(crate) fn reported(times: u64, sure: u8, is_tor: bool, usage: Option<&str>) -> String {
        let times = match times {
            0 => "not reported".to_owned(),
            1 => "reported once".to_owned(),
            times => format!("reported {times} times"),
        };
        let tor = if is_tor { ", Tor exit" } else { "" };
        let usage = usage.map_or(String::new(), |usage| format!(", {usage}"));
        format!("{times}, {sure} % sure of abuse{tor}{usage}")
    }

    /// What CrowdSec says: its score, and what the address was seen doing in its own words.
    pub(crate) fn attacking(score: f64, behaviours: &[String]) -> String {
        match behaviours {
            [] => format!("{score} of 5"),
            seen => format!("{score} of 5, seen doing {}", seen.join(", ")),
        }
    }

    pub(crate) const NEVER_ATTACKING: &str = "never seen attacking";

    // What GreyNoise says.

    pub(crate) const MALICIOUS: &str = "malicious";
    pub(crate) const SUSPICIOUS: &str = "suspicious";
    pub(crate) const BENIGN: &str = "benign";
    pub(crate) const SCANS: &str = "scans the internet";
    pub(crate) const BUSINESS: &str = "a known business";
    pub(crate) const NOT_SCANNING: &str = "not seen scanning";

    /// The same with the name of who it is.
    pub(crate) fn said_of(said: &str, name: &str) -> String {
        format!("{said} ({name})")
    }

    // What the owner's files are called. What rests on one is rated again once when it has another name.

    pub(crate) const CITY_DATABASE: &str = "city database";
    pub(crate) const COUNTRY_DATABASE: &str = "country database";
    pub(crate) const NETWORK_DATABASE: &str = "network database";

    pub(crate) fn list(name: &str) -> String {
        format!("list {name}")
    }

    // Of the past.

    pub(crate) const NEW_USER: &str = "first login of this user";
    pub(crate) const NEW_ADDRESS: &str = "first login from this address";
    pub(crate) const NEW_NETWORK: &str = "first login from this network";
    pub(crate) const NEW_KEY: &str = "first login with this key";
    pub(crate) const NEW_HOUR: &str = "unusual time of day";

    pub(crate) fn new_country(code: Option<&str>) -> String {
        match code {
            Some(code) => format!("first login from this country ({code})"),
            None => "first login from this country".to_owned(),
        }
    }

    pub(crate) fn dormant(days: u32) -> String {
        format!("no login for {days} days")
    }

    pub(crate) fn failures_from_address(failures: u32) -> String {
        format!("{failures} refused tries from this address in the day before")
    }

    pub(crate) fn failures_of_user(failures: u32) -> String {
        format!("{failures} refused tries to be this user in the hour before")
    }

    pub(crate) fn travel(km: u32, minutes: u32) -> String {
        format!("{km} km from the login {minutes} min before")
    }

    pub(crate) fn many_users(users: u32) -> String {
        format!("{users} other users from this address in the day before")
    }

    pub(crate) fn many_addresses(addresses: u32) -> String {
        format!("{addresses} other addresses of this user in the day before")
    }

    pub(crate) fn events_lost(lost: u64) -> String {
        format!("{lost} kernel events were lost shortly before")
    }

    // Of what came after.

    pub(crate) fn became(user: Option<&str>, uid: u32, program: &str) -> String {
        match user {
            Some(user) => format!("became {user} by {program}"),
            None => format!("became uid {uid} by {program}"),
        }
    }

    pub(crate) fn failures_after(failures: u32) -> String {
        format!("{failures} refused tries from this address since")
    }

    // Of trust.

    pub(crate) const TRUSTED_KEY: &str = "trusted key";
    pub(crate) const TRUSTED_USER: &str = "trusted user";

    pub(crate) fn trusted_network(network: impl fmt::Display) -> String {
        format!("trusted network {network}")
    }

    /// What follows where trust would hide what it must not.
    pub(crate) const NOT_HIDDEN: &str = ", which does not hide root with a password";

    // Who vouches for a green login.

    pub(crate) const REPUTATION_KNOWN: &str = "a reputation service knows the address";
    pub(crate) const TRUSTED: &str = "its network or its key is trusted";
    pub(crate) const SAME_NETWORK: &str = "the user came from this network before";

    pub(crate) fn our_own(scope: Scope) -> String {
        format!("the address is our own ({scope})")
    }

    // What is not known; why is below.

    /// Of this host's own past.
    pub(crate) fn unknown_past(why: Why) -> String {
        said_by("history", why)
    }
}

// Why something is not known.

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no look-up is configured"),
            Self::NoAddress => f.write_str("the session has no address"),
            Self::Local => f.write_str("on this host itself, no address to judge by"),
            Self::NotPublic(scope) => write!(f, "{scope}, not looked up"),
            Self::Deadline => f.write_str("the look-up did not answer in time"),
            Self::Unreachable => f.write_str("the look-up could not be reached"),
            Self::Quota(refusal) => write!(f, "not looked up: {refusal}"),
            Self::Throttled => f.write_str("the look-up's limit of requests is reached"),
            Self::Denied => f.write_str("the look-up refuses the token"),
            Self::Status(status) => write!(f, "the look-up answered with status {status}"),
            Self::Garbled => f.write_str("the look-up's answer is not understood"),
            Self::NoData => f.write_str("the look-up has no data on it"),
            Self::NotAsked => f.write_str("not asked"),
            Self::Unreadable => f.write_str("it cannot be read"),
            Self::NoAccount => f.write_str("the account is not one of this host's own"),
            Self::InContainer => f.write_str("its sshd runs in a container with accounts of its own"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public address",
            Self::Loopback => "loopback address",
            Self::Private => "private address",
            Self::SharedByCarrier => "shared address of a carrier",
            Self::LinkLocal => "link-local address",
            Self::Documentation => "documentation address",
            Self::Reserved => "reserved address",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "the limit of requests per minute is reached",
            Self::Day => "the limit of requests per day is reached",
            Self::Week => "the limit of requests per week is reached",
            Self::Month => "the limit of requests per month is reached",
            Self::Uncounted => "requests cannot be counted",
        })
    }
}
