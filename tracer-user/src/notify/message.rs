//! What is told: one message, in words, for every sink. The words themselves are in `words.rs`.
//!
//! A message is finished text: strangers' names in it went through [`crate::sanitize`], times are in the host's time
//! zone. It is stored before it is sent, so a repetition says the same. A sink escapes for its own markup and lays it out.

mod attempt;
mod event;
mod group;
mod inside;
mod label;
mod method;
mod queue;
mod ranking;
mod storm;
mod summary;

pub use self::group::group;

use std::net::SocketAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::event::Event;
pub use self::label::Label;
pub use self::ranking::{Counts, Named, Ranking};
use super::outbox::Delivery;
use crate::assess::{Assessment, Level, Reason};
use crate::enrich::{Fact, Facts, Network, Place, Why};
use crate::sanitize;
use crate::session::{Auth, Identity, Service, Session};
use crate::words;

/// Longest name that is shown, in characters: user, host, network, city.
const NAME_CHARS: usize = 64;
/// Longest reason that is shown, in characters.
const REASON_CHARS: usize = 300;

/// Who came, to where and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub host: String,
    /// How they came in.
    #[serde(default)]
    pub service: Service,
    pub user: Option<String>,
    pub uid: Option<u32>,
    /// Who became the user, with su and sudo.
    #[serde(default)]
    pub by: Option<Identity>,
    pub peer: Option<SocketAddr>,
    /// How they proved who they are; also `None` in what an earlier version stored.
    #[serde(default)]
    pub auth: Option<Auth>,
    pub opened_at: Timestamp,
    /// Nobody saw it begin; it did so after `opened_at`.
    #[serde(default)]
    pub recovered: bool,
}

impl Subject {
    pub fn of(session: &Session) -> Self {
        Self {
            host: session.host.clone(),
            service: session.service,
            user: session.user.clone(),
            uid: session.uid,
            by: session.by.clone(),
            peer: session.peer,
            auth: session.auth.clone(),
            opened_at: session.opened_at,
            recovered: session.recovered,
        }
    }
}

/// A message as it is stored and handed to every sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The whole in one sentence, for a push notification.
    pub summary: String,
    /// Its colour; `None` for news of the tracer itself.
    pub level: Option<Level>,
    /// The details, in the order in which they are shown.
    pub lines: Vec<Line>,
    /// Whether a template has put it into other words: then nothing but itself says what it is about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_reworded: bool,
}

impl Message {
    /// The text under a label.
    pub fn get(&self, label: Label) -> Option<&str> {
        self.lines.iter().find(|line| line.label == label).map(|line| line.text.as_str())
    }

    /// The details as plain text, one in a line, with nothing in it that a program would make a link of.
    pub fn text(&self) -> String {
        let lines: Vec<_> =
            self.lines.iter().map(|line| format!("{}: {}", line.label.as_str(), line.text)).collect();
        sanitize::unlinked(&lines.join("\n"))
    }

    /// The summary in the same way.
    pub fn title(&self) -> String {
        sanitize::unlinked(&self.summary)
    }

    /// The text under a label, unless it says why something is not known.
    pub fn known(&self, label: Label) -> Option<&str> {
        self.lines.iter().find(|line| line.label == label && line.known).map(|line| line.text.as_str())
    }
}

/// One detail of a message. The text is never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub label: Label,
    pub text: String,
    /// Whether the text is what the label promises; otherwise it says why that is not known.
    pub known: bool,
}

/// Puts an event into words. `rating` is there for every event that has a session.
pub fn compose(event: &Event, rating: Option<(&Assessment, &Facts)>, zone: &TimeZone) -> Message {
    match event {
        Event::Opened(subject) => {
            let mut lines = who(subject);
            lines.extend(subject.auth.as_ref().map(|auth| line(Label::Method, method::shown(auth))));
            let (what, opened) = if subject.recovered {
                (words::found(subject.service), line(Label::Opened, opened(subject, zone)))
            } else {
                (words::login(subject.service), line(Label::Time, time(subject.opened_at, zone)))
            };
            lines.push(opened);
            let summary = words::headed(what, &headline(subject));
            rated(summary, lines, subject, rating)
        }
        Event::Closed { subject, at, end } => {
            let lasted = duration(subject.opened_at, *at);
            let mut lines = who(subject);
            lines.push(line(Label::Opened, opened(subject, zone)));
            lines.push(line(Label::Ended, time(*at, zone)));
            lines.push(line(Label::Duration, words::lasted(&lasted, words::end(*end, subject.service))));
            let summary = words::headed_after(words::ended(subject.service), &headline(subject), &lasted);
            rated(summary, lines, subject, rating)
        }
        Event::Escalated { subject, at, how } => inside::escalated(subject, *at, how, rating, zone),
        Event::Raised { subject, at, from } => inside::raised(subject, *at, *from, rating, zone),
        Event::ForeignSshd { host, at, foreign } => inside::foreign(host, *at, foreign, zone),
        Event::Attempted { attempt } => attempt::attempted(attempt, zone),
        Event::Stormed { host, at, until, storm, .. } => storm::stormed(host, (*at, *until), storm, zone),
        Event::EventsLost { host, at, count } => {
            let host = name(Some(host), words::UNKNOWN_HOST);
            let lines = vec![
                line(Label::Host, host.clone()),
                line(Label::Time, time(*at, zone)),
                line(Label::Lost, words::sessions_may_be_missing(*count)),
            ];
            Message { summary: words::events_lost(&host, *count), level: None, lines, is_reworded: false }
        }
        Event::Summary { every, summary } => summary::told(every, summary, zone),
        // Its words were made with it, of those of its members.
        Event::Group { host, count, .. } => {
            let summary = words::changes(*count, &name(Some(host), words::UNKNOWN_HOST));
            Message { summary, level: Some(Level::Unknown), lines: Vec::new(), is_reworded: false }
        }
        Event::SinkSuspended { host, at, sink, why } => queue::suspended(host, *at, sink, why, zone),
        Event::MessagesLost { host, at, sink, expired, dropped } => {
            queue::lost(host, *at, sink, (*expired, *dropped), zone)
        }
    }
}

/// A login that never happened, marked as an example in every place where somebody may look.
pub fn example(host: &str, at: Timestamp) -> Delivery {
    let subject = Subject {
        host: host.to_owned(),
        service: Service::Ssh,
        user: Some("example".to_owned()),
        uid: Some(1000),
        by: None,
        // TEST-NET-1, RFC 5737: nobody's address.
        peer: Some(SocketAddr::from(([192, 0, 2, 1], 51_122))),
        auth: None,
        opened_at: at,
        recovered: false,
    };
    let reasons = vec![Reason { points: 0, text: words::EXAMPLE_REASON.to_owned() }];
    let assessment = Assessment { level: Level::Unknown, score: None, reasons };
    let facts = Facts::unknown(Why::NoData);
    let event = Event::Opened(subject);
    let message = compose(&event, Some((&assessment, &facts)), &TimeZone::system());
    let message = marked_as_example(message);
    Delivery {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("example/{host}/{at}").as_bytes()),
        attempt: 1,
        subject: format!("example/{at}"),
        event,
        rating: Some((assessment, facts)),
        message,
        first_receipt: None,
    }
}

/// The same message, marked where everybody looks first.
pub fn marked_as_example(message: Message) -> Message {
    if message.summary.starts_with(words::EXAMPLE) {
        return message;
    }
    Message { summary: format!("{} - {}", words::EXAMPLE, message.summary), ..message }
}

fn rated(
    summary: String,
    mut lines: Vec<Line>,
    subject: &Subject,
    rating: Option<(&Assessment, &Facts)>,
) -> Message {
    if !subject.service.is_local() {
        lines.push(line(Label::Address, address(subject)));
    }
    let Some((assessment, facts)) = rating else {
        return Message { summary, level: Some(Level::Unknown), lines, is_reworded: false };
    };
    if !subject.service.is_local() {
        lines.push(fact(Label::Network, &facts.network, network));
        lines.push(fact(Label::Place, &facts.place, place));
    }
    lines.push(line(Label::Risk, risk(assessment)));
    let summary = words::with_risk(&summary, &score(assessment));
    Message { summary, level: Some(assessment.level), lines, is_reworded: false }
}

fn opened(subject: &Subject, zone: &TimeZone) -> String {
    let at = time(subject.opened_at, zone);
    if subject.recovered { words::or_later(&at) } else { at }
}

fn who(subject: &Subject) -> Vec<Line> {
    let mut lines = vec![
        line(Label::User, user_of(subject)),
        line(Label::Host, name(Some(&subject.host), words::UNKNOWN)),
    ];
    let by = subject.by.as_ref().map(inside::identity);
    lines.extend(words::through(subject.service, by.as_deref()).map(|text| line(Label::Through, text)));
    lines
}

/// `alice on web-1 from 193.146.30.1`
fn headline(subject: &Subject) -> String {
    let host = name(Some(&subject.host), words::UNKNOWN_HOST);
    match subject.peer {
        Some(peer) => words::from_address(&user_of(subject), &host, &peer.ip().to_string()),
        None => match &subject.by {
            Some(by) => words::for_somebody(&user_of(subject), &host, &inside::identity(by)),
            None => words::on_host(&user_of(subject), &host),
        },
    }
}

/// The name that a user is shown by.
pub fn user_of(subject: &Subject) -> String {
    match (&subject.user, subject.uid) {
        (None, Some(uid)) => words::uid(uid),
        (user, _) => name(user.as_deref(), words::UNKNOWN_USER),
    }
}

fn address(subject: &Subject) -> String {
    subject.peer.map_or_else(|| words::NO_ADDRESS.to_owned(), |peer| peer.ip().to_string())
}

/// `AS15704 NAME - description`
fn network(network: &Network) -> String {
    let mut text = format!("AS{}", network.asn);
    if let Some(known) = &network.name {
        text.push(' ');
        text.push_str(&sanitize::text(known, NAME_CHARS));
    }
    if let Some(description) = &network.description {
        text.push_str(" - ");
        text.push_str(&sanitize::text(description, NAME_CHARS));
    }
    text
}

/// `City - Region (CC)`, as much of it as is known.
fn place(place: &Place) -> String {
    let names: Vec<String> = [&place.city, &place.region]
        .into_iter()
        .flatten()
        .map(|part| sanitize::text(part, NAME_CHARS))
        .collect();
    let country = place.country_code.as_ref().map(|code| sanitize::text(code, NAME_CHARS));
    match (names.is_empty(), country) {
        (true, country) => country.unwrap_or_else(|| words::UNKNOWN.to_owned()),
        (false, None) => names.join(" - "),
        (false, Some(country)) => format!("{} ({country})", names.join(" - ")),
    }
}

fn fact<T>(label: Label, fact: &Fact<T>, shown: impl Fn(&T) -> String) -> Line {
    match fact {
        Fact::Known(value) => line(label, shown(value)),
        Fact::Unknown { why } => Line { label, text: words::unknown_since(&why.to_string()), known: false },
    }
}

/// `score (LEVEL) - reason`
fn risk(assessment: &Assessment) -> String {
    let reasons: Vec<&str> = assessment.reasons.iter().map(|reason| reason.text.as_str()).collect();
    let reasons = sanitize::text(&reasons.join("; "), REASON_CHARS);
    if reasons.is_empty() { score(assessment) } else { words::with_reasons(&score(assessment), &reasons) }
}

fn score(assessment: &Assessment) -> String {
    match assessment.score {
        Some(score) => words::score(score, words::level(assessment.level)),
        None => words::level(assessment.level).to_owned(),
    }
}

fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// From one time to another, which may be the same.
fn span(from: Timestamp, until: Timestamp, zone: &TimeZone) -> String {
    let (from, until) = (time(from, zone), time(until, zone));
    if from == until { from } else { words::span(&from, &until) }
}

/// From one time to another; nothing is longer than it was.
fn duration(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs_f64().max(0.0);
    // Cut, not rounded: 9.96 is not 10.0.
    let tenths = (seconds * 10.0).floor() as u64;
    words::duration(tenths / 10, tenths % 10)
}

fn name(text: Option<&str>, otherwise: &str) -> String {
    name_of_chars(text.unwrap_or_default(), otherwise, NAME_CHARS)
}

fn name_of_chars(text: &str, otherwise: &str, max_chars: usize) -> String {
    let text = sanitize::text(text, max_chars);
    if text.trim().is_empty() { otherwise.to_owned() } else { text }
}

/// Some services refuse a whole message for an empty text.
fn line(label: Label, text: String) -> Line {
    let text = if text.trim().is_empty() { words::UNKNOWN.to_owned() } else { text };
    Line { label, text, known: true }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn durations_in_two_units() {
        let table = [
            (-5_000, "0.0 s"),
            (0, "0.0 s"),
            (4_260, "4.2 s"),
            (9_999, "9.9 s"),
            (10_000, "10 s"),
            (59_999, "59 s"),
            (60_000, "1 min 0 s"),
            (1_657_000, "27 min 37 s"),
            (11_100_000, "3 h 5 min"),
            (198_000_000, "2 d 7 h"),
        ];
        let from = Timestamp::UNIX_EPOCH;
        for (milliseconds, expected) in table {
            assert_eq!(duration(from, from + SignedDuration::from_millis(milliseconds)), expected);
        }
    }

    #[test]
    fn places_with_what_is_known() {
        let table = [
            (Some("Madrid"), Some("Madrid"), Some("ES"), "Madrid - Madrid (ES)"),
            (None, Some("Bavaria"), Some("DE"), "Bavaria (DE)"),
            (None, None, Some("DE"), "DE"),
            (Some("Paris"), None, None, "Paris"),
        ];
        for (city, region, country, expected) in table {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let known = Place { city: owned(city), region: owned(region), country_code: owned(country) };
            assert_eq!(place(&known), expected);
        }
    }

    #[test]
    fn a_user_who_is_not_known_yet() {
        let mut subject = Subject {
            host: "h".to_owned(),
            service: Service::Ssh,
            user: None,
            uid: None,
            by: None,
            peer: None,
            auth: None,
            opened_at: Timestamp::UNIX_EPOCH,
            recovered: false,
        };
        assert_eq!(user_of(&subject), words::UNKNOWN_USER);
        subject.uid = Some(1000);
        assert_eq!(user_of(&subject), "uid 1000");
        subject.user = Some(" ".to_owned());
        assert_eq!(user_of(&subject), words::UNKNOWN_USER);
        subject.user = Some("alice".to_owned());
        assert_eq!(user_of(&subject), "alice");
    }
}
