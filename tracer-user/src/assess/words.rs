//! Every English word about risk: what each rule looks for, why it gave its points, who vouches, and why something is not
//! known. Facts in, words out, as in `notify/message/words.rs`: a translation is another copy of both files.

use std::fmt;

use crate::config::Rule;
use crate::enrich::Why;
use crate::enrich::address::Scope;
use crate::enrich::quota::Refusal;

/// What a rule looks for, in one sentence.
pub const fn sentence(rule: Rule) -> &'static str {
    match rule {
        Rule::Reputation => "so many percent of the worst score that a reputation service gives the address",
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
        Rule::Escalation => "a user id was gained inside, by a program that is there for it, such as sudo",
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

pub(super) const ROOT: &str = "root";
pub(super) const BY_PASSWORD: &str = "by password";
pub(super) const ROOT_BY_PASSWORD: &str = "root by password";
pub(super) const EXPIRED: &str = "the account has expired";
pub(super) const NO_PASSWORD_FITS: &str = "no password fits the account, and one did";
pub(super) const LOCKED_AND_PASSWORD: &str = "the account is locked, and a password did";
pub(super) const LOCKED: &str = "the account is locked, which keeps only passwords out";

pub(super) fn shell(shell: &str) -> String {
    format!("the account's shell is {shell}")
}

pub(super) fn service_account(uid: u32) -> String {
    format!("a service's account (uid {uid})")
}

// Of the address.

/// What a service says that gives no reason.
pub(super) const REPUTATION: &str = "reputation of the address";

/// `lists` are names of lists, each with the entry.
pub(super) fn listed<'a>(lists: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let lists: Vec<_> = lists.map(|(list, entry)| format!("{list} ({entry})")).collect();
    format!("on the list {}", lists.join(" and on "))
}

pub(super) fn unconfirmed_name(name: &str) -> String {
    format!("calls itself {name}, which does not confirm it")
}

// Of the past.

pub(super) const NEW_USER: &str = "first login of this user";
pub(super) const NEW_ADDRESS: &str = "first login from this address";
pub(super) const NEW_NETWORK: &str = "first login from this network";
pub(super) const NEW_KEY: &str = "first login with this key";
pub(super) const NEW_HOUR: &str = "unusual time of day";

pub(super) fn new_country(code: Option<&str>) -> String {
    match code {
        Some(code) => format!("first login from this country ({code})"),
        None => "first login from this country".to_owned(),
    }
}

pub(super) fn dormant(days: u32) -> String {
    format!("no login for {days} days")
}

pub(super) fn failures_from_address(failures: u32) -> String {
    format!("{failures} refused tries from this address in the day before")
}

pub(super) fn failures_of_user(failures: u32) -> String {
    format!("{failures} refused tries to be this user in the hour before")
}

pub(super) fn travel(km: u32, minutes: u32) -> String {
    format!("{km} km from the login {minutes} min before")
}

pub(super) fn many_users(users: u32) -> String {
    format!("{users} other users from this address in the day before")
}

pub(super) fn many_addresses(addresses: u32) -> String {
    format!("{addresses} other addresses of this user in the day before")
}

pub(super) fn events_lost(lost: u64) -> String {
    format!("{lost} kernel events were lost shortly before")
}

// Of what came after.

pub(super) fn became(user: Option<&str>, uid: u32, program: &str) -> String {
    match user {
        Some(user) => format!("became {user} by {program}"),
        None => format!("became uid {uid} by {program}"),
    }
}

pub(super) fn failures_after(failures: u32) -> String {
    format!("{failures} refused tries from this address since")
}

// Of trust.

pub(super) const TRUSTED_KEY: &str = "trusted key";
pub(super) const TRUSTED_USER: &str = "trusted user";

pub(super) fn trusted_network(network: impl fmt::Display) -> String {
    format!("trusted network {network}")
}

/// What follows where trust would hide what it must not.
pub(super) const NOT_HIDDEN: &str = ", which does not hide root with a password";

// Who vouches for a green login.

pub(super) const REPUTATION_KNOWN: &str = "a reputation service knows the address";
pub(super) const TRUSTED: &str = "its network or its key is trusted";
pub(super) const SAME_NETWORK: &str = "the user came from this network before";

pub(super) fn our_own(scope: Scope) -> String {
    format!("the address is our own ({scope})")
}

// What is not known, and why.

/// Of one source of facts.
pub(super) fn unknown_of(source: &str, why: Why) -> String {
    format!("{source}: {why}")
}

/// Of this host's own past.
pub(super) fn unknown_past(why: Why) -> String {
    unknown_of("history", why)
}

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
