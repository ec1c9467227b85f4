//! Sessions without a network: listed as they really were.

use std::fs;
use std::time::{Duration, Instant};

use super::{CLOCK_SLACK, OPEN_SLACK, Scene};
use crate::accounts::Account;
use crate::lines::LIMIT;
use crate::local::Visit;
use crate::sandbox::HOST;
use crate::tracer::{Identity, Session, State};

/// A session on the host that was found as it should be.
#[derive(Debug)]
pub struct Inside {
    pub key: String,
    pub monitor: u32,
}

impl Scene<'_> {
    /// Waits until the session of somebody who is in by now is listed as it should be.
    #[track_caller]
    pub fn is_inside(&mut self, visit: &Visit, tty: Option<&str>) -> Inside {
        let monitor = visit.monitor();
        let exe = fs::read_link(format!("/proc/{monitor}/exe")).expect("it lives").display().to_string();
        let in_by = jiff::Timestamp::now();
        let session = self
            .session_of(monitor, |session| session.state == State::Open && session.first_command.is_some());
        assert_eq!(
            (session.host.as_str(), session.service.as_str(), session.user.as_deref(), session.uid),
            (HOST, visit.service, Some(visit.account.name), Some(visit.account.uid)),
        );
        let by = visit.by.map(|by| Identity { uid: by.uid, user: Some(by.name.to_owned()) });
        assert_eq!((&session.by, session.peer(), session.local()), (&by, None, None));
        assert_eq!((session.tty.as_deref(), session.sshd.exe.as_deref()), (tty, Some(exe.as_str())));
        assert!(
            visit.began - CLOCK_SLACK <= session.opened_at && session.opened_at <= in_by + OPEN_SLACK,
            "{session:#?} began {} and was in by {in_by}",
            visit.began
        );
        self.expected.insert(session.session.clone());
        Inside { key: session.session, monitor }
    }

    /// Waits until the session is listed as closed, since whoever it was has left.
    #[track_caller]
    pub fn is_gone(&mut self, inside: &Inside, visit: &Visit, end: &str) -> Session {
        let over_by = self.wait_until_gone(&[inside.monitor]);
        let session = self.session_of(inside.monitor, |session| session.state == State::Closed);
        let at = session.closed_at.expect("it is closed");
        assert!(
            visit.left - CLOCK_SLACK <= at && at <= over_by + CLOCK_SLACK,
            "{session:#?} was left at {} and over by {over_by}",
            visit.left
        );
        assert_eq!((session.end.as_deref(), session.session.as_str()), (Some(end), inside.key.as_str()));
        session
    }

    /// Checks that since the beginning nothing is listed but what was expected.
    #[track_caller]
    pub fn nothing_new(&mut self) {
        self.fence();
        let new: Vec<_> =
            self.new_sessions().into_iter().filter(|s| !self.expected.contains(&s.session)).collect();
        assert!(new.is_empty(), "nobody was let in: {new:#?}");
    }

    /// Waits until exactly these user ids are listed as gained in the session: from, to, by which program.
    #[track_caller]
    pub fn gained_by(&mut self, inside: &Inside, expected: &[(Account, Account, &str)]) {
        self.fence();
        self.gained.insert(inside.key.clone());
        let gained = self.site.tracer.gained(&inside.key).unwrap_or_else(|error| panic!("{error:#}"));
        let found: Vec<_> = gained.iter().map(|g| (g.from, g.to, g.exe.as_str())).collect();
        let truth: Vec<_> = expected.iter().map(|(from, to, exe)| (from.uid, to.uid, *exe)).collect();
        assert_eq!(found, truth, "listed as gained, and really gained");
    }

    /// What is listed of the session that this process holds, once it is as wanted.
    #[track_caller]
    fn session_of(&self, monitor: u32, is_right: impl Fn(&Session) -> bool) -> Session {
        let started = Instant::now();
        loop {
            let mut found = self.new_sessions();
            found.retain(|session| session.sshd.pid == monitor);
            assert!(found.len() <= 1, "it is listed {} times", found.len());
            match found.pop() {
                Some(session) if is_right(&session) => return session,
                other => assert!(started.elapsed() < LIMIT, "not as it should be: {other:#?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
