//! Where a change goes: allowlist, routes and quiet hours. Pure: what is known comes in, a [`Verdict`] comes out.
//!
//! Promises:
//! - Without routes, everything goes to every sink. What no route matches goes nowhere, unless it is about the tracer or
//!   the host itself ([`Case::is_news`]): that goes to every sink, so that no route silences it by not thinking of it.
//! - Conditions about a session do not hold for what has none. What is not known matches no condition.
//! - A level that is not known counts as medium: never as harmless, because something failed, and not as an alarm, because
//!   whoever is new and nobody can judge is unknown.
//! - Routes see when a change happened; quiet hours see when it is told. Both are the clock of the host.
//! - Quiet hours hold, they do not drop.
//! - Attempts match only routes that name them: whoever can connect can make them.

mod condition;
pub mod hours;
mod verdict;

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use self::verdict::*;
use super::message::Event;
use crate::assess::Level;
use crate::config::{Allow, Exception, Kind, Rules, Take};
use crate::session::Service;

/// What is known about a change when it is decided where it goes.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    pub kind: Kind,
    /// `None` for what has no session.
    pub level: Option<Level>,
    /// Whose session it is; who runs what was found; what was tried.
    pub users: Vec<&'a str>,
    pub groups: Groups,
    pub address: Option<IpAddr>,
    pub host: &'a str,
    pub service: Option<&'static str>,
    /// Fingerprint of the key that proved who the user is.
    pub key: Option<&'a str>,
    /// When it happened.
    pub at: Timestamp,
    /// When the session began; of what has none, when it happened.
    pub began: Timestamp,
}

/// To which groups that any route names the user belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    Known(Vec<String>),
    /// Nobody could say.
    Unknown,
}

/// What was decided about the beginning of the session: its end follows that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing.
    Undecided,
    /// It was not allowed; its end is told as it was.
    NotAllowed,
    Allowed(Allowed),
}

impl Beginning {
    /// What follows from the verdict about the first change of a session that was finished; `None`: it has none.
    pub fn of(verdict: Option<&Verdict>) -> Self {
        verdict.and_then(|verdict| verdict.allowed.clone()).map_or(Self::NotAllowed, Self::Allowed)
    }
}

impl<'a> Case<'a> {
    /// Of an event, with the level of its session.
    pub fn of(event: &'a Event, level: Option<Level>, groups: Groups) -> Self {
        let kind = kind_of(event);
        let (users, host) = match event {
            Event::Opened(subject)
            | Event::Closed { subject, .. }
            | Event::Escalated { subject, .. }
            | Event::Raised { subject, .. } => (subject.user.as_deref().into_iter().collect(), &subject.host),
            Event::ForeignSshd { host, foreign, .. } => {
                (foreign.run_by.user.as_deref().into_iter().collect(), host)
            }
            Event::EventsLost { host, .. }
            | Event::SinkSuspended { host, .. }
            | Event::MessagesLost { host, .. }
            // Each of them was looked at by itself, see [`super::intake`].
            | Event::Stormed { host, .. }
            | Event::Group { host, .. } => (Vec::new(), host),
            Event::Summary { summary, .. } => (Vec::new(), &summary.host),
            Event::Attempted { attempt } => {
                // Names that are no accounts may be passwords; they are kept out of what is stored.
                let known = attempt.tried.users.iter().filter(|user| user.is_known);
                (known.map(|user| user.name.as_str()).collect(), &attempt.host)
            }
        };
        let subject = event.subject();
        let peer = match (event, subject) {
            (Event::Attempted { attempt }, _) => Some(attempt.peer),
            (_, subject) => subject.and_then(|subject| subject.peer),
        };
        Self {
            kind,
            level: subject.and(level),
            users,
            groups,
            address: peer.map(|peer| peer.ip().to_canonical()),
            host,
            service: service_of(event),
            key: subject
                .and_then(|subject| subject.auth.as_ref()?.key.as_ref())
                .map(|key| key.fingerprint.as_str()),
            at: event.at(),
            began: subject.map_or_else(|| event.at(), |subject| subject.opened_at),
        }
    }

    /// Whether it is about the tracer or the host and no session: nobody may silence it by accident.
    fn is_news(&self) -> bool {
        match self.kind {
            Kind::Loss | Kind::Finding | Kind::Agent => true,
            Kind::Opened | Kind::Closed | Kind::Escalated | Kind::Raised | Kind::Attempts => false,
        }
    }
}

/// What an event is, in the words of the configuration.
pub fn kind_of(event: &Event) -> Kind {
    match event {
        Event::Opened(_) => Kind::Opened,
        Event::Closed { .. } => Kind::Closed,
        Event::Escalated { .. } => Kind::Escalated,
        Event::Raised { .. } => Kind::Raised,
        Event::ForeignSshd { .. } => Kind::Finding,
        Event::EventsLost { .. } => Kind::Loss,
        Event::Attempted { .. } | Event::Stormed { .. } => Kind::Attempts,
        // A summary is asked no route.
        Event::SinkSuspended { .. }
        | Event::MessagesLost { .. }
        | Event::Summary { .. }
        | Event::Group { .. } => Kind::Agent,
    }
}

/// What let the user in, or did not.
fn service_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::Opened(subject)
        | Event::Closed { subject, .. }
        | Event::Escalated { subject, .. }
        | Event::Raised { subject, .. } => Some(subject.service.as_str()),
        // Attempts do not say which server they were made at; both speak ssh.
        Event::Attempted { .. } | Event::Stormed { .. } => Some(Service::Ssh.as_str()),
        Event::ForeignSshd { .. }
        | Event::EventsLost { .. }
        | Event::SinkSuspended { .. }
        | Event::MessagesLost { .. }
        | Event::Summary { .. }
        | Event::Group { .. } => None,
    }
}

/// Decides where a change goes. `sinks` are all that are configured.
pub fn decide(
    rules: &Rules,
    sinks: &[String],
    case: &Case<'_>,
    beginning: &Beginning,
    now: Timestamp,
    zone: &TimeZone,
) -> Verdict {
    let allowed = match (case.kind, beginning) {
        (Kind::Opened | Kind::Closed | Kind::Escalated | Kind::Raised, Beginning::Allowed(entry)) => {
            Some(entry.clone())
        }
        (Kind::Opened | Kind::Closed | Kind::Escalated | Kind::Raised, Beginning::Undecided) => {
            allowed_by(&rules.allow, case, zone)
        }
        _ => None,
    };
    if allowed.is_some() && matches!(case.kind, Kind::Opened | Kind::Closed) {
        return Verdict { at: now, reason: Why::Allowed, allowed, routes: Vec::new(), sinks: Vec::new() };
    }
    let (reason, routes, names) = by_routes(rules, sinks, case, zone);
    let sinks = names
        .into_iter()
        .map(|sink| Destination { held: held(rules, &sink, case, now, zone), sink })
        .collect();
    Verdict { at: now, reason, allowed, routes, sinks }
}

fn by_routes(
    rules: &Rules,
    sinks: &[String],
    case: &Case<'_>,
    zone: &TimeZone,
) -> (Why, Vec<Look>, Vec<String>) {
    if case.kind == Kind::Attempts && !asks_for_attempts(rules) {
        return (Why::NotAsked, Vec::new(), Vec::new());
    }
    if rules.routes.is_empty() {
        return (Why::NoRoutes, Vec::new(), sinks.to_vec());
    }
    let (mut looks, mut names, mut has_match) = (Vec::new(), Vec::new(), false);
    for route in &rules.routes {
        let failed = condition::check(&route.when, case, zone).err();
        let matches = failed.is_none();
        let to = if matches { route.sinks.clone() } else { Vec::new() };
        for sink in &to {
            if !names.contains(sink) {
                names.push(sink.clone());
            }
        }
        looks.push(Look { route: route.name.clone(), failed, sinks: to });
        has_match |= matches;
        if matches && rules.take == Take::First {
            break;
        }
    }
    match (has_match, rules.take) {
        (true, _) if names.is_empty() => (Why::Dropped, looks, names),
        (true, Take::First) => (Why::FirstRoute, looks, names),
        (true, Take::All) => (Why::AllRoutes, looks, names),
        (false, _) if case.is_news() => (Why::NewsWithoutRoute, looks, sinks.to_vec()),
        (false, _) => (Why::NoMatch, looks, names),
    }
}

/// Whether single attempts are told at all: somebody named them.
pub fn asks_for_attempts(rules: &Rules) -> bool {
    rules.routes.iter().any(|route| route.when.kinds.contains(&Kind::Attempts) && !route.sinks.is_empty())
}

/// The first entry of the allowlist that a session matches.
fn allowed_by(entries: &[Allow], case: &Case<'_>, zone: &TimeZone) -> Option<Allowed> {
    let entry = entries
        .iter()
        .find(|entry| !is_over(entry, case.began, zone) && condition::is_allowed(entry, case))?;
    Some(Allowed {
        entry: entry.number,
        reason: entry.reason.clone(),
        until: entry.until.as_ref().map(|until| until.text.clone()),
    })
}

/// Whether an entry of the allowlist does not hold any more.
pub fn is_over(entry: &Allow, at: Timestamp, zone: &TimeZone) -> bool {
    let Some(until) = &entry.until else { return false };
    // Outside of the calendar is after everything.
    zone.to_timestamp(until.end).is_ok_and(|end| at >= end)
}

/// The quiet hours that hold a change back from a sink now.
fn held(rules: &Rules, sink: &str, case: &Case<'_>, now: Timestamp, zone: &TimeZone) -> Option<Held> {
    let quiet: Vec<_> = rules
        .quiet
        .iter()
        .filter(|quiet| quiet.sinks.is_empty() || quiet.sinks.iter().any(|name| name == sink))
        .filter(|quiet| !quiet.except.iter().any(|exception| is_excepted(*exception, case)))
        .map(|quiet| &quiet.hours)
        .collect();
    let at = zone.to_datetime(now);
    let first = quiet.iter().find(|quiet| hours::covers(quiet, at))?;
    Some(Held { until: hours::end(&quiet, now, zone)?, hours: first.to_string() })
}

fn is_excepted(exception: Exception, case: &Case<'_>) -> bool {
    match exception {
        Exception::AtLeast(level) => case.level.is_some_and(|found| rank(found) >= rank(level)),
        Exception::Kind(kind) => case.kind == kind,
    }
}

/// The order of levels; see the promises.
fn rank(level: Level) -> u8 {
    match level {
        Level::Low => 0,
        Level::Medium | Level::Unknown => 1,
        Level::High => 2,
    }
}

#[cfg(test)]
mod tests;
