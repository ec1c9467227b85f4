//! Finishes an announcement: its words, where it goes, and the deliveries that follow from that.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::groups::Directory;
use super::message::{self, Event};
use super::outbox::{Finished, NewDelivery, Rating};
use super::route::{self, Beginning, Case};
use super::template;
use crate::config::{Rules, Template};
use crate::session::ChangeKind;

/// The namespace of delivery ids; an arbitrary constant that must never change.
const DELIVERIES: Uuid = Uuid::from_u128(0x8a0f_3d0b_41c6_4a6e_b8a1_5f0c_93d7_2e64);

/// The id of a delivery, the same whenever and wherever it is made again.
///
/// `subject` is the session key, or store id and row number of a change without a session.
pub fn delivery_id(subject: &str, kind: ChangeKind, seq: u32, sink: &str) -> Uuid {
    // The name of a sink holds no slash, the other parts neither: no two deliveries share a name.
    Uuid::new_v5(&DELIVERIES, format!("{subject}/{}/{seq}/{sink}", kind.as_str()).as_bytes())
}

/// What an announcement is called, for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) subject: &'a str,
    pub(super) kind: ChangeKind,
    pub(super) seq: u32,
}

/// What is decided by the configuration of this role.
pub(super) struct Announcer {
    pub(super) rules: Rules,
    pub(super) templates: Vec<Template>,
    /// Names of the sinks.
    pub(super) sinks: Vec<String>,
    pub(super) directory: Directory,
}

impl Announcer {
    /// The finished announcement. `rating` is there for every event that has a session.
    pub(super) fn finish(
        &self,
        name: Name<'_>,
        event: &Event,
        rating: Option<&Rating>,
        beginning: &Beginning,
        now: Timestamp,
    ) -> Finished {
        let id = |sink: &str| delivery_id(name.subject, name.kind, name.seq, sink);
        self.decide(event, rating, beginning, now, None, id)
    }

    /// News of the role itself, which are about a sink and go to the others.
    pub(super) fn finish_news(
        &self,
        event: &Event,
        about: &str,
        now: Timestamp,
        id: impl Fn(&str) -> Uuid,
    ) -> Finished {
        self.decide(event, None, &Beginning::Undecided, now, Some(about), id)
    }

    fn decide(
        &self,
        event: &Event,
        rating: Option<&Rating>,
        beginning: &Beginning,
        now: Timestamp,
        about: Option<&str>,
        id: impl Fn(&str) -> Uuid,
    ) -> Finished {
        let zone = TimeZone::system();
        let message = message::compose(event, rating.map(|(assessment, facts)| (assessment, facts)), &zone);
        let level = rating.map(|(assessment, _)| assessment.level);
        let score = rating.and_then(|(assessment, _)| assessment.score);
        let case = Case::of(event, level, self.directory.at_hand(event));
        let mut verdict = route::decide(&self.rules, &self.sinks, &case, beginning, now, &zone);
        verdict.sinks.retain(|to| Some(to.sink.as_str()) != about);
        let delivery = |to: &route::Destination| NewDelivery {
            id: id(&to.sink),
            sink: to.sink.clone(),
            held_until: to.held.as_ref().map(|held| held.until),
            message: template::apply(&self.templates, case.kind, &to.sink, &message, score),
        };
        let deliveries = verdict.sinks.iter().map(delivery).collect();
        Finished { message, verdict, deliveries }
    }
}
