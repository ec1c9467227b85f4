//! A message for programs: what happened as JSON, for the sinks `webhook`, `command` and `file`.
//!
//! The names and formats here are a promise to other people's programs. [`VERSION`] is raised when something is renamed,
//! removed or means something else; what is added to it is no new version. Texts are complete, as they were received,
//! and written so that they are harmless on a terminal.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::message::{Event, Line};
use super::outbox::Delivery;
use super::storm::Storm;
use super::summary::Summary;
use crate::assess::{Assessment, Level};
use crate::enrich::{Fact, Facts, Network, Place};
use crate::sanitize;
use crate::session::{Attempt, Auth, Escalation, ForeignSshd, Identity};

/// The version of the schema.
pub const VERSION: u32 = 1;

/// One message.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    version: u32,
    /// The delivery: the same in every repetition.
    pub id: String,
    /// `opened`, `closed`, `escalated`, `risk_raised`, `foreign_sshd`, `events_lost`, `attempt`, `attempts`,
    /// `sink_suspended`, `messages_lost`, `summary`, `group`.
    pub kind: &'static str,
    /// When it happened, RFC 3339 in UTC.
    pub at: String,
    pub host: &'a str,
    pub session: Option<SessionRecord<'a>>,
    /// The user id that a process of the session gained.
    escalation: Option<&'a Escalation>,
    /// An sshd that is not this host's.
    foreign_sshd: Option<&'a ForeignSshd>,
    /// Events that the kernel could not report.
    pub events_lost: Option<u64>,
    /// A connection that led to no session.
    attempt: Option<AttemptRecord<'a>>,
    /// Many of them at once.
    attempts: Option<&'a Storm>,
    /// What happened in a day or a week.
    figures: Option<&'a Summary>,
    /// The sink that is gone, or that messages were given up for.
    sink: Option<&'a str>,
    /// Messages that were given up.
    messages_lost: Option<u64>,
    /// How many changes are told together; each is listed with `login-tracer show`.
    changes: Option<u32>,
    /// How risky; null for news of the tracer itself.
    pub level: Option<Level>,
    assessment: Option<&'a Assessment>,
    network: Option<&'a Network>,
    place: Option<&'a Place>,
    /// The whole in one sentence.
    pub summary: &'a str,
    /// The details in words, as people read them.
    details: &'a [Line],
}

/// The session that a message is about.
#[derive(Debug, Serialize)]
pub struct SessionRecord<'a> {
    /// Its key, for ever; the `session` of `login-tracer sessions --json`.
    pub session: &'a str,
    /// `ssh`, `dropbear`, `login`, `su`, `sudo`.
    service: &'static str,
    pub user: Option<&'a str>,
    pub uid: Option<u32>,
    /// Who became the user, with su and sudo.
    by: Option<&'a Identity>,
    pub peer: Option<Endpoint>,
    /// How they proved who they are.
    auth: Option<&'a Auth>,
    opened_at: String,
    /// Nobody saw it begin; it did so after `opened_at`.
    recovered: bool,
    closed_at: Option<String>,
    pub duration_s: Option<f64>,
    /// How it ended: the `end` of `login-tracer sessions --json`.
    pub end: Option<&'static str>,
}

/// A connection that led to no session. Names that are no accounts of the host are left out: people type passwords there.
#[derive(Debug, Serialize)]
struct AttemptRecord<'a> {
    peer: Endpoint,
    began_at: String,
    ended_at: String,
    /// The accounts that were tried.
    users: Vec<&'a str>,
    /// How many other names were.
    unknown_users: usize,
    methods: &'a [String],
    failures: u32,
    reason: &'static str,
}

impl<'a> AttemptRecord<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        let tried = &attempt.tried;
        let (known, unknown): (Vec<_>, Vec<_>) = tried.users.iter().partition(|user| user.is_known);
        Self {
            peer: Endpoint::from(attempt.peer),
            began_at: rfc3339(attempt.began_at),
            ended_at: rfc3339(attempt.ended_at),
            users: known.into_iter().map(|user| user.name.as_str()).collect(),
            unknown_users: unknown.len(),
            methods: &tried.methods,
            failures: tried.failures,
            reason: attempt.reason.as_str(),
        }
    }
}

/// An address with its port.
#[derive(Debug, Serialize)]
pub struct Endpoint {
    pub address: String,
    pub port: u16,
}

impl<'a> Record<'a> {
    pub fn new(delivery: &'a Delivery) -> Self {
        let (mut end, mut escalation, mut foreign_sshd, mut events_lost) = (None, None, None, None);
        let (mut attempted, mut storm, mut summary) = (None, None, None);
        let (mut about, mut messages_lost, mut changes) = (None, None, None);
        let (kind, host) = match &delivery.event {
            Event::Opened(subject) => ("opened", &subject.host),
            Event::Closed { subject, at, end: how } => {
                end = Some((*at, *how));
                ("closed", &subject.host)
            }
            Event::Escalated { subject, how, .. } => {
                escalation = Some(how);
                ("escalated", &subject.host)
            }
            Event::Raised { subject, .. } => ("risk_raised", &subject.host),
            Event::ForeignSshd { host, foreign, .. } => {
                foreign_sshd = Some(foreign);
                ("foreign_sshd", host)
            }
            Event::EventsLost { host, count, .. } => {
                events_lost = Some(*count);
                ("events_lost", host)
            }
            Event::Attempted { attempt } => {
                attempted = Some(AttemptRecord::new(attempt));
                ("attempt", &attempt.host)
            }
            Event::Stormed { host, storm: many, .. } => {
                storm = Some(many.as_ref());
                ("attempts", host)
            }
            Event::SinkSuspended { host, sink, .. } => {
                about = Some(sink.as_str());
                ("sink_suspended", host)
            }
            Event::MessagesLost { host, sink, expired, dropped, .. } => {
                (about, messages_lost) = (Some(sink.as_str()), Some(expired + dropped));
                ("messages_lost", host)
            }
            Event::Summary { summary: figures, .. } => {
                summary = Some(figures.as_ref());
                ("summary", &figures.host)
            }
            Event::Group { host, count, .. } => {
                changes = Some(*count);
                ("group", host)
            }
        };
        let session = delivery.event.subject().map(|subject| SessionRecord {
            session: &delivery.subject,
            service: subject.service.as_str(),
            user: subject.user.as_deref(),
            uid: subject.uid,
            by: subject.by.as_ref(),
            peer: subject.peer.map(Endpoint::from),
            auth: subject.auth.as_ref(),
            opened_at: rfc3339(subject.opened_at),
            recovered: subject.recovered,
            closed_at: end.map(|(at, _)| rfc3339(at)),
            duration_s: end.map(|(at, _)| at.duration_since(subject.opened_at).as_secs_f64().max(0.0)),
            end: end.map(|(_, end)| end.as_str()),
        });
        let facts = delivery.rating.as_ref().map(|(_, facts)| facts);
        Self {
            version: VERSION,
            id: delivery.id.to_string(),
            kind,
            at: rfc3339(delivery.event.at()),
            host,
            session,
            escalation,
            foreign_sshd,
            events_lost,
            attempt: attempted,
            attempts: storm,
            figures: summary,
            sink: about,
            messages_lost,
            changes,
            level: delivery.message.level,
            assessment: delivery.rating.as_ref().map(|(assessment, _)| assessment),
            network: facts.and_then(|facts: &Facts| known(&facts.network)),
            place: facts.and_then(|facts: &Facts| known(&facts.place)),
            summary: &delivery.message.summary,
            details: &delivery.message.lines,
        }
    }

    /// The score, where there is one.
    pub fn score(&self) -> Option<u8> {
        self.assessment.and_then(|assessment| assessment.score)
    }

    /// The facts by name, each in one harmless line of at most `max_chars`. What is not known is not there.
    pub fn variables(&self, max_chars: usize) -> Vec<(&'static str, String)> {
        let session = self.session.as_ref();
        let peer = session.and_then(|session| session.peer.as_ref());
        let peer = peer.or(self.attempt.as_ref().map(|attempt| &attempt.peer));
        let auth = session.and_then(|session| session.auth);
        let by = session.and_then(|session| session.by);
        let key = auth.and_then(|auth| auth.key.as_ref());
        let program = self.escalation.map(|how| &how.exe).or(self.foreign_sshd.map(|foreign| &foreign.exe));
        [
            ("LOGIN_TRACER_ID", Some(self.id.clone())),
            ("LOGIN_TRACER_KIND", Some(self.kind.to_owned())),
            ("LOGIN_TRACER_AT", Some(self.at.clone())),
            ("LOGIN_TRACER_HOST", Some(self.host.to_owned())),
            ("LOGIN_TRACER_SUMMARY", Some(self.summary.to_owned())),
            ("LOGIN_TRACER_LEVEL", self.level.map(|level| level.to_string())),
            ("LOGIN_TRACER_SCORE", self.score().map(|score| score.to_string())),
            ("LOGIN_TRACER_SESSION", session.map(|session| session.session.to_owned())),
            ("LOGIN_TRACER_SERVICE", session.map(|session| session.service.to_owned())),
            ("LOGIN_TRACER_USER", session.and_then(|session| session.user).map(str::to_owned)),
            ("LOGIN_TRACER_UID", session.and_then(|session| session.uid).map(|uid| uid.to_string())),
            ("LOGIN_TRACER_BY_UID", by.map(|by| by.uid.to_string())),
            ("LOGIN_TRACER_BY", by.and_then(|by| by.user.clone())),
            ("LOGIN_TRACER_ADDRESS", peer.map(|peer| peer.address.clone())),
            ("LOGIN_TRACER_PORT", peer.map(|peer| peer.port.to_string())),
            ("LOGIN_TRACER_AUTH", auth.map(|auth| auth.method.clone())),
            ("LOGIN_TRACER_KEY", key.map(|key| key.fingerprint.clone())),
            ("LOGIN_TRACER_GAINED_UID", self.escalation.map(|how| how.to.uid.to_string())),
            ("LOGIN_TRACER_PROGRAM", program.cloned()),
            (
                "LOGIN_TRACER_DURATION_S",
                session.and_then(|session| session.duration_s).map(|s| format!("{s:.3}")),
            ),
            ("LOGIN_TRACER_END", session.and_then(|session| session.end).map(str::to_owned)),
            ("LOGIN_TRACER_EVENTS_LOST", self.events_lost.map(|lost| lost.to_string())),
            ("LOGIN_TRACER_SINK", self.sink.map(str::to_owned)),
            ("LOGIN_TRACER_ATTEMPTS", self.attempts.map(|storm| storm.count.to_string())),
            ("LOGIN_TRACER_CHANGES", self.changes.map(|changes| changes.to_string())),
            ("LOGIN_TRACER_MESSAGES_LOST", self.messages_lost.map(|lost| lost.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, sanitize::text(&value?, max_chars))))
        .collect()
    }

    /// One line of JSON, without its end.
    pub fn json(&self) -> String {
        sanitize::json(self).expect("a record of texts and numbers is JSON")
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { address: address.ip().to_string(), port: address.port() }
    }
}

fn known<T>(fact: &Fact<T>) -> Option<&T> {
    match fact {
        Fact::Known(value) => Some(value),
        Fact::Unknown { .. } => None,
    }
}

/// A time in UTC with exactly six decimals, so that texts sort as times do.
fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
