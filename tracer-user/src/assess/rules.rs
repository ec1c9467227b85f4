//! The rules: what each one looks for, in a sentence, and the functions that look.
//!
//! A rule gives its points or nothing; it takes none away. What is trusted does that, after all of them
//! ([`super::calculation`]). A rule that cannot judge, because what it looks at is not known, gives nothing.

mod account;
mod address;
mod inside;
mod past;

use super::Login;
use crate::config::{Learning, Points, Risk, Rule};
use crate::enrich::Facts;
use crate::enrich::history::{History, Known, UserHistory};

/// What a rule looks at.
pub(super) struct Case<'a> {
    pub(super) login: &'a Login,
    pub(super) facts: &'a Facts,
    pub(super) risk: &'a Risk,
}

/// What a rule found: its points, and why in a sentence. May hold text that strangers chose.
pub(super) type Finding = (u8, String);

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

/// What a rule finds in a case. Those of trust find nothing here: they depend on the others.
pub(super) fn judge(rule: Rule, case: &Case<'_>) -> Option<Finding> {
    let points = case.points().of(rule);
    let found = match rule {
        Rule::Reputation => return address::reputation(case),
        Rule::Listed => return address::listed(case),
        Rule::UnconfirmedName => address::unconfirmed_name(case),
        Rule::Root => account::root(case),
        Rule::Password => account::password(case),
        Rule::RootPassword => account::root_password(case),
        Rule::NoLoginShell => account::no_login_shell(case),
        Rule::ServiceAccount => account::service(case),
        Rule::DisabledAccount => account::disabled(case),
        Rule::LockedAccount => account::locked(case),
        Rule::NewUser => past::new_user(case),
        Rule::NewAddress => past::new_address(case),
        Rule::NewNetwork => past::new_network(case),
        Rule::NewCountry => past::new_country(case),
        Rule::NewKey => past::new_key(case),
        Rule::NewHour => past::new_hour(case),
        Rule::Dormant => past::dormant(case),
        Rule::FailuresFromAddress => past::failures_from_address(case),
        Rule::FailuresOfUser => past::failures_of_user(case),
        Rule::ImpossibleTravel => past::impossible_travel(case),
        Rule::ManyUsers => past::many_users(case),
        Rule::ManyAddresses => past::many_addresses(case),
        Rule::Escalation => inside::escalation(case),
        Rule::UnusualEscalation => inside::unusual_escalation(case),
        Rule::FailuresAfter => inside::failures_after(case),
        Rule::EventsLost => past::events_lost(case),
        Rule::TrustedNetwork | Rule::TrustedUser | Rule::TrustedKey => None,
    };
    (points > 0).then_some(points).zip(found)
}

impl Case<'_> {
    fn points(&self) -> &Points {
        &self.risk.points
    }

    fn history(&self) -> Option<&History> {
        self.facts.history.known()
    }

    /// The past of the user, if enough of it is known that something can be new.
    fn learned(&self) -> Option<&UserHistory> {
        let user = self.history()?.user.as_ref()?;
        is_learned(user.known, self.risk.learning).then_some(user)
    }
}

/// Whether the learning period is over. A user who was never seen is still to be learned.
pub(super) fn is_learned(known: Known, learning: Learning) -> bool {
    known.logins > 0 && (known.logins >= learning.logins || known.days >= u32::from(learning.days))
}
