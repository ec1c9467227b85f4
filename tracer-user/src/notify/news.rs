//! What the role tells about itself: by the routes, and never to the sink that it is about.

use std::rc::Rc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::announce::Announcer;
use super::message::Event;
use super::outbox::{Loss, News, NewsKind};
use super::summary::Summary;
use crate::config::Schedule;

/// Makes the news, and wakes those who deliver them.
pub(super) struct Herald {
    pub(super) host: String,
    pub(super) announcer: Rc<Announcer>,
    /// The workers' bells.
    pub(super) wake: Vec<Rc<Notify>>,
}

impl Herald {
    /// A sink is gone.
    pub(super) fn suspended(&self, sink: &str, why: &str, at: Timestamp) -> News {
        let event =
            Event::SinkSuspended { host: self.host.clone(), at, sink: sink.to_owned(), why: why.to_owned() };
        self.about(NewsKind::SinkSuspended, sink, at, event)
    }

    /// Messages were given up.
    pub(super) fn lost(&self, sink: &str, loss: Loss, at: Timestamp) -> News {
        let event = Event::MessagesLost {
            host: self.host.clone(),
            at,
            sink: sink.to_owned(),
            expired: loss.expired,
            dropped: loss.dropped,
        };
        self.about(NewsKind::MessagesLost, sink, at, event)
    }

    /// What happened in the time of a schedule.
    pub(super) fn summary(&self, schedule: &Schedule, summary: Summary) -> News {
        let (kind, until) = (NewsKind::Summary, summary.until);
        let event = Event::Summary { every: schedule.every.as_str().to_owned(), summary: Box::new(summary) };
        // The schedule is part of it: another one may be due at the same time.
        let subject = format!("summary/{}/{}", schedule.name(), until.as_microsecond());
        let id = |to: &str| News::delivery_id(kind, &subject, to);
        let finished = self.announcer.finish_summary(&event, &schedule.sinks, Timestamp::now(), id);
        News { kind, event, finished, subject }
    }

    fn about(&self, kind: NewsKind, sink: &str, at: Timestamp, event: Event) -> News {
        let subject = format!("sink/{sink}/{}", at.as_microsecond());
        let id = |to: &str| News::delivery_id(kind, &subject, to);
        let finished = self.announcer.finish_news(&event, sink, at, id);
        News { kind, event, finished, subject }
    }

    /// Tells the workers that there is something to send.
    pub(super) fn ring(&self) {
        for wake in &self.wake {
            wake.notify_one();
        }
    }
}
