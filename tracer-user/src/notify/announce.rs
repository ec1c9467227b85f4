//! Finishes an announcement: its words, where it goes, and the deliveries that follow from that.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::groups::Directory;
use super::message::{self, Event};
use super::outbox::{Finished, NewDelivery, Rating};
use super::route::{self, Beginning, Case, Destination, Verdict, Why};
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
        let verdict = self.verdict(event, rating, beginning, now);
        let id = |sink: &str| delivery_id(name.subject, name.kind, name.seq, sink);
        self.carry_out(verdict, event, rating, id)
    }

    /// An announcement of which it was decided before where it goes.
    pub(super) fn finish_by(&self, verdict: Verdict, name: Name<'_>, event: &Event) -> Finished {
        let id = |sink: &str| delivery_id(name.subject, name.kind, name.seq, sink);
        self.carry_out(verdict, event, None, id)
    }

    /// A summary, which goes to the sinks of its schedule. Templates are for what happens and not for summaries.
    pub(super) fn finish_summary(
        &self,
        event: &Event,
        sinks: &[String],
        now: Timestamp,
        id: impl Fn(&str) -> Uuid,
    ) -> Finished {
        let to = |sink: &String| Destination { sink: sink.clone(), held: None };
        let sinks = sinks.iter().map(to).collect::<Vec<_>>();
        let new = |to: &Destination| NewDelivery {
            id: id(&to.sink),
            sink: to.sink.clone(),
            held_until: None,
            message: None,
        };
        let deliveries = sinks.iter().map(new).collect();
        let verdict = Verdict { at: now, reason: Why::Scheduled, allowed: None, routes: Vec::new(), sinks };
        Finished { message: message::compose(event, None, &TimeZone::system()), verdict, deliveries }
    }

    /// News of the role itself, which are about a sink and go to the others.
    pub(super) fn finish_news(
        &self,
        event: &Event,
        about: &str,
        now: Timestamp,
        id: impl Fn(&str) -> Uuid,
    ) -> Finished {
        let mut verdict = self.verdict(event, None, &Beginning::Undecided, now);
        let was_told = !verdict.sinks.is_empty();
        verdict.sinks.retain(|to| to.sink != about);
        if was_told && verdict.sinks.is_empty() {
            // Routes would tell it to nobody but the sink that is gone: then any other one will do.
            let others = self.sinks.iter().filter(|sink| *sink != about);
            verdict.sinks = others.map(|sink| Destination { sink: sink.clone(), held: None }).collect();
            verdict.reason = Why::NewsWithoutRoute;
        }
        self.carry_out(verdict, event, None, id)
    }

    /// Where an event goes, and why.
    pub(super) fn verdict(
        &self,
        event: &Event,
        rating: Option<&Rating>,
        beginning: &Beginning,
        now: Timestamp,
    ) -> Verdict {
        let level = rating.map(|(assessment, _)| assessment.level);
        let case = Case::of(event, level, self.directory.at_hand(event));
        route::decide(&self.rules, &self.sinks, &case, beginning, now, &TimeZone::system())
    }

    fn carry_out(
        &self,
        verdict: Verdict,
        event: &Event,
        rating: Option<&Rating>,
        id: impl Fn(&str) -> Uuid,
    ) -> Finished {
        let zone = TimeZone::system();
        let message = message::compose(event, rating.map(|(assessment, facts)| (assessment, facts)), &zone);
        let (kind, score) = (route::kind_of(event), rating.and_then(|(assessment, _)| assessment.score));
        let delivery = |to: &route::Destination| NewDelivery {
            id: id(&to.sink),
            sink: to.sink.clone(),
            held_until: to.held.as_ref().map(|held| held.until),
            message: template::apply(&self.templates, kind, &to.sink, &message, score),
        };
        let deliveries = verdict.sinks.iter().map(delivery).collect();
        Finished { message, verdict, deliveries }
    }
}
