//! Messages that a template is tried with: one of each kind, and for sessions one of which little is known.

use std::net::SocketAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::assess::{Assessment, Level, Reason};
use crate::config::Kind;
use crate::enrich::{Facts, Why};
use crate::event::Doubt;
use crate::notify::message::{self, Event, Message, Subject};
use crate::notify::route::kind_of;
use crate::notify::storm::{Members, Tally};
use crate::session::{
    self, Attempt, AttemptKey, Auth, End, Escalation, ForeignSshd, Identity, Service, Tried, TriedUser,
};
use crate::words;

/// Kind, message and score of each example.
pub(super) fn all() -> Vec<(Kind, Message, Option<u8>)> {
    let (at, host) = (Timestamp::UNIX_EPOCH, || "example".to_owned());
    let identity = |uid: u32, user: &str| Identity { uid, user: Some(user.to_owned()) };
    let how = || Escalation {
        pid: 1,
        from: identity(1000, "example"),
        to: identity(0, "root"),
        exe: "/usr/bin/sudo".to_owned(),
    };
    let foreign = ForeignSshd {
        pid: 1,
        run_by: identity(1000, "example"),
        exe: "/home/example/sshd".to_owned(),
        doubt: Doubt::User,
    };
    let attempt = Attempt {
        key: AttemptKey(Uuid::nil()),
        host: host(),
        peer: address(),
        local: None,
        sshd_pid: None,
        began_at: at,
        ended_at: at,
        tried: Tried {
            users: vec![TriedUser { name: "example".to_owned(), is_known: true }],
            methods: vec!["password".to_owned()],
            failures: 1,
        },
        reason: session::Reason::WrongPassword,
    };
    let mut events = Vec::new();
    for is_known in [true, false] {
        let subject = || subject(is_known);
        events.push(Event::Opened(subject()));
        events.push(Event::Closed { subject: subject(), at, end: End::Logout });
        events.push(Event::Escalated { subject: subject(), at, how: how() });
        events.push(Event::Raised { subject: subject(), at, from: Level::Low });
    }
    events.push(Event::ForeignSshd { host: host(), at, foreign });
    events.push(Event::EventsLost { host: host(), at, count: 1 });
    let mut tally = Tally::default();
    tally.add(&attempt);
    events.push(Event::Attempted { attempt: Box::new(attempt) });
    let (storm, members) = (Box::new(tally.storm()), Members::default());
    events.push(Event::Stormed { host: host(), at, until: at, storm, members });
    events.iter().map(example).collect()
}

fn example(event: &Event) -> (Kind, Message, Option<u8>) {
    let is_known = event.subject().is_some_and(|subject| subject.user.is_some());
    let (level, score) = if is_known { (Level::High, Some(80)) } else { (Level::Unknown, None) };
    let reasons = vec![Reason { points: 0, text: words::EXAMPLE_REASON.to_owned() }];
    let (assessment, facts) = (Assessment { level, score, reasons }, Facts::unknown(Why::NoData));
    let rating = event.subject().map(|_| (&assessment, &facts));
    (kind_of(event), message::compose(event, rating, &TimeZone::UTC), score)
}

fn subject(is_known: bool) -> Subject {
    let auth = Auth { method: "password".to_owned(), key: None, certificate: None, user_log: None };
    Subject {
        host: "example".to_owned(),
        user: is_known.then(|| "example".to_owned()),
        uid: is_known.then_some(1000),
        peer: is_known.then(address),
        auth: is_known.then_some(auth),
        opened_at: Timestamp::UNIX_EPOCH,
        recovered: !is_known,
        service: Service::Ssh,
        by: None,
    }
}

/// TEST-NET-1, RFC 5737: nobody's address.
fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 51_122))
}
