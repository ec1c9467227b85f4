//! The rules: the functions that look. What each one looks for, and what it says, is in [`crate::words::risk`].
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
