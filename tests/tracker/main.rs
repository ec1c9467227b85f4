//! The tracker at its boundary: events in, findings out.
//!
//! `traces` replays recordings of real logins (made by `login-tracer trace --record`), `properties` throws every
//! order, loss and repetition of events at it, `rule` holds one test per condition of the rule; `auth` and `attempts`
//! are about what sshd says in its log; `escalation` holds one test per rule about user ids that are gained inside of
//! sessions, `foreign` one about sshds that are not this host's, `dropbear` and `local` one per condition of those doors.

mod attempts;
mod auth;
mod dropbear;
mod escalation;
mod foreign;
mod local;
mod properties;
mod rule;
mod traces;
mod world;

use login_tracer::event::Event;
use login_tracer::tracker::{Finding, Tracker};

/// What the tracker finds in these events.
fn findings<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Finding> {
    let mut tracker = Tracker::default();
    for event in events {
        tracker.handle(event);
    }
    std::iter::from_fn(|| tracker.next_finding()).collect()
}
