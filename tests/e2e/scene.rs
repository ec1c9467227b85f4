//! One scenario's view: which sessions it expects, and the comparison of what is listed with what happened.
//!
//! Truth comes from the suite itself (the client's port, the account, when the client began and left), from the session
//! (uid, `SSH_CONNECTION`, terminal), from sshd's log (the monitor's pid) and from `/proc` (when the monitor was gone).

mod inside;
mod local;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use login_tracer::session::Attempt;

use crate::accounts::{Account, BOB};
use crate::client::{Client, Use};
use crate::lines::LIMIT;
use crate::processes;
use crate::sandbox::HOST;
use crate::site::Site;
use crate::tracer::{Session, State};

/// How far the tracer's clock readings may be from ours: it converts from time since boot.
const CLOCK_SLACK: Duration = Duration::from_millis(50);
/// How much later than its client sshd may let a session in. 5 ms were measured, 20 ms on a busy machine.
const OPEN_SLACK: Duration = Duration::from_millis(500);
/// The same on an emulated machine, where ten logins share what is less than a tenth of a CPU: 800 ms were measured.
const OPEN_SLACK_EMULATED: Duration = Duration::from_secs(5);

fn open_slack() -> Duration {
    match env::var_os("LOGIN_TRACER_E2E_EMULATED") {
        Some(_) => OPEN_SLACK_EMULATED,
        None => OPEN_SLACK,
    }
}

/// A scenario while it is played.
pub struct Scene<'a> {
    pub site: &'a Site,
    started: Timestamp,
    /// What was there before.
    known: BTreeSet<String>,
    processes: BTreeSet<u32>,
    /// The sessions that happened.
    expected: BTreeSet<String>,
    /// Those in which user ids were gained; in no other one was any.
    gained: BTreeSet<String>,
}

/// A session that was found as it should be.
#[derive(Debug)]
pub struct Open {
    truth: Truth,
    /// The monitor.
    pub monitor: u32,
    /// The processes of which the last one to end ends the session.
    held_by: Vec<u32>,
}

/// What a session must look like.
#[derive(Debug)]
struct Truth {
    service: &'static str,
    account: Account,
    peer: SocketAddr,
    local: SocketAddr,
    monitor: u32,
    /// `None` if it was too short to look.
    exe: Option<String>,
    tty: Option<String>,
    in_container: bool,
    opened: (Timestamp, Timestamp),
    closed: Option<(Timestamp, Timestamp)>,
    end: &'static str,
}

impl<'a> Scene<'a> {
    pub fn begin(site: &'a Site) -> Self {
        let mut scene = Self {
            site,
            started: Timestamp::now(),
            known: BTreeSet::new(),
            processes: processes::descendants(),
            expected: BTreeSet::new(),
            gained: BTreeSet::new(),
        };
        scene.known = scene.listed().into_iter().map(|session| session.session).collect();
        scene
    }

    /// Waits until the client is in and its session is listed as it should be.
    #[track_caller]
    pub fn opened(&mut self, client: &Client) -> Open {
        let in_by = client.wait_until_in();
        let told = client.told();
        let login = &client.login;
        if let Some(told) = &told {
            assert_eq!(
                (told.uid, told.peer, told.local, told.tty.is_some()),
                (login.account.uid, login.peer, login.local, client.login.is_for(&Use::Terminal)),
                "the session itself disagrees with the suite"
            );
        }
        let monitor = self.monitor_of(client);
        let exe = fs::read_link(format!("/proc/{monitor}/exe")).expect("the monitor lives");
        let truth = Truth {
            service: login.service,
            account: login.account,
            peer: login.peer,
            local: login.local,
            monitor,
            exe: Some(exe.display().to_string()),
            in_container: pid_namespace(monitor) != pid_namespace(std::process::id()),
            tty: told.and_then(|told| told.tty),
            opened: (client.began - CLOCK_SLACK, in_by + open_slack()),
            closed: None,
            end: "",
        };
        self.wait_for(&truth);
        Open { truth, monitor, held_by: vec![monitor] }
    }

    /// Waits until the session that the client left is over, and listed as closed at that time.
    #[track_caller]
    pub fn closed(&mut self, mut open: Open, client: &Client, end: &'static str) {
        let over_by = self.wait_until_gone(&open.held_by);
        open.truth.closed = Some((client.left - CLOCK_SLACK, over_by + CLOCK_SLACK));
        open.truth.end = end;
        self.wait_for(&open.truth);
    }

    /// The same for a session that may be over before one can look at it while it is open.
    #[track_caller]
    pub fn came_and_went(&mut self, client: &Client) {
        let login = &client.login;
        let in_by = client.wait_until_in();
        let monitor = self.monitor_of(client);
        let over_by = self.wait_until_gone(&[monitor]);
        let truth = Truth {
            service: login.service,
            account: login.account,
            peer: login.peer,
            local: login.local,
            monitor,
            exe: None,
            in_container: false,
            tty: None,
            opened: (client.began - CLOCK_SLACK, in_by + open_slack()),
            closed: Some((client.left - CLOCK_SLACK, over_by + CLOCK_SLACK)),
            end: "logout",
        };
        self.wait_for(&truth);
    }

    /// A whole session as most are: in, seen, out, closed.
    #[track_caller]
    pub fn follow(&mut self, mut client: Client) {
        let open = self.opened(&client);
        client.leave();
        self.closed(open, &client, "logout");
    }

    /// Checks that the session is listed as open, now that the tracer has seen all that happened until now.
    #[track_caller]
    pub fn still_open(&mut self, open: &Open) {
        self.fence();
        self.wait_for(&open.truth);
    }

    /// Waits until something that is no login is listed as a session that is over.
    #[track_caller]
    pub fn passes_for_a_session(&mut self, peer: SocketAddr) {
        let started = Instant::now();
        loop {
            let listed = self.listed();
            let found =
                listed.iter().find(|session| session.peer() == Some(peer) && session.state == State::Closed);
            if let Some(session) = found {
                self.expected.insert(session.session.clone());
                return;
            }
            assert!(started.elapsed() < LIMIT, "no session from {peer} is listed");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number of the pid namespace and the control group that are listed for a session in a container.
    #[track_caller]
    pub fn container_of(&self, open: &Open) -> (u64, String) {
        let listed = self.listed();
        let session = listed.iter().find(|session| session.peer() == Some(open.truth.peer));
        let container = session.and_then(|session| session.container.clone()).expect("it is in a container");
        (container.pid_namespace, container.cgroup.expect("it has a control group"))
    }

    /// Waits until enough is known of the session of a client.
    #[track_caller]
    pub fn known(&self, client: &Client, is_enough: impl Fn(&Session) -> bool) -> Session {
        let started = Instant::now();
        loop {
            let listed = self.listed().into_iter().find(|session| session.peer() == Some(client.login.peer));
            match listed {
                Some(session) if is_enough(&session) => return session,
                other => assert!(started.elapsed() < LIMIT, "not enough is known: {other:#?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a connection is listed as an attempt, once.
    #[track_caller]
    pub fn attempted(&self, peer: SocketAddr) -> Attempt {
        let started = Instant::now();
        loop {
            let mut found = self.site.tracer.attempts().unwrap_or_else(|error| panic!("{error:#}"));
            found.retain(|attempt| attempt.peer == peer);
            assert!(found.len() <= 1, "one connection, one attempt: {found:#?}");
            if let Some(attempt) = found.pop() {
                assert_eq!(attempt.host, HOST);
                assert!(
                    self.started - CLOCK_SLACK <= attempt.began_at
                        && attempt.began_at <= attempt.ended_at
                        && attempt.ended_at <= Timestamp::now() + CLOCK_SLACK,
                    "{attempt:#?} did not happen since {}",
                    self.started
                );
                return attempt;
            }
            assert!(started.elapsed() < LIMIT, "no attempt from {peer} is listed");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Checks that a connection that is over is listed as no attempt.
    #[track_caller]
    pub fn no_attempt_from(&mut self, peer: SocketAddr) {
        self.fence();
        let attempts = self.site.tracer.attempts().unwrap_or_else(|error| panic!("{error:#}"));
        let found = attempts.iter().find(|attempt| attempt.peer == peer);
        assert!(found.is_none(), "{found:#?}");
    }

    /// The post-auth child of the session, which outlives its monitor when that is killed.
    pub fn post_auth_child(&self, open: &Open) -> u32 {
        let children = processes::children(open.monitor);
        let child = children.iter().find(|pid| processes::uid(**pid) == Some(open.truth.account.uid));
        *child.unwrap_or_else(|| panic!("no child of the monitor runs as {}", open.truth.account.name))
    }

    /// From now on the session lasts as long as this process.
    pub fn held_by(&mut self, open: &mut Open, pid: u32) {
        open.held_by = vec![pid];
    }

    /// After a real login has come and gone, nothing may be listed but what was expected, and all of it closed.
    #[track_caller]
    pub fn conclude(&mut self) {
        self.wait_for_our_processes();
        self.fence();
        let new: Vec<_> = self.listed().into_iter().filter(|s| !self.known.contains(&s.session)).collect();
        let unexpected: Vec<_> = new.iter().filter(|s| !self.expected.contains(&s.session)).collect();
        if !unexpected.is_empty() {
            panic!("{} sessions that never happened: {unexpected:#?}", unexpected.len());
        }
        if new.len() != self.expected.len() {
            panic!("{} sessions happened and {} are listed", self.expected.len(), new.len());
        }
        if new.iter().any(|session| session.state != State::Closed) {
            panic!("all sessions are over, but not all are closed");
        }
        let unexpected = new.iter().find(|s| s.escalated_to.is_some() && !self.gained.contains(&s.session));
        if let Some(session) = unexpected {
            let gained = self.site.tracer.gained(&session.session);
            panic!("nobody gained a user id in {session:#?}, but this is listed: {gained:#?}");
        }
        self.site.explained.lock().expect("nobody fails with the lock").extend(self.expected.iter().cloned());
    }

    /// Checks all that is listed against all that scenarios accounted for.
    pub fn everything_is_explained(&self) {
        let explained = self.site.explained.lock().expect("nobody fails with the lock").clone();
        let listed = self.listed();
        let unexplained: Vec<_> = listed.iter().filter(|s| !explained.contains(&s.session)).collect();
        if !unexplained.is_empty() {
            panic!("no scenario accounts for {unexplained:#?}");
        }
        if listed.len() != explained.len() {
            panic!("{} sessions happened, {} are listed now", explained.len(), listed.len());
        }
    }

    /// Checks that every connection is listed as one attempt at most, and as none if it is a session.
    pub fn attempts_are_no_sessions(&self) {
        let attempts = self.site.tracer.attempts().unwrap_or_else(|error| panic!("{error:#}"));
        assert!(!attempts.is_empty(), "some scenarios were refused");
        let mut peers: BTreeSet<_> = attempts.iter().map(|attempt| (attempt.peer, attempt.local)).collect();
        assert_eq!(peers.len(), attempts.len(), "no connection is told twice");
        let both: Vec<_> = self
            .listed()
            .into_iter()
            .filter(|s| s.peer().is_some_and(|peer| !peers.insert((peer, s.local()))))
            .collect();
        assert!(both.is_empty(), "sessions, and yet attempts: {both:#?}");
    }

    /// A login after which whatever happened before must be listed.
    fn fence(&mut self) {
        let mut client = self.site.plain.login(BOB).to(Use::Run("true".to_owned())).start();
        client.wait();
        self.came_and_went(&client);
    }

    fn wait_for_our_processes(&self) {
        let started = Instant::now();
        loop {
            let ours: Vec<_> = processes::descendants().difference(&self.processes).copied().collect();
            if ours.is_empty() {
                return;
            }
            if started.elapsed() > LIMIT {
                let names = ours.iter().map(|pid| {
                    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    format!("{pid} {}", String::from_utf8_lossy(&title).replace('\0', " "))
                });
                panic!("these processes did not end: {:?}", names.collect::<Vec<_>>());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn wait_until_gone(&self, pids: &[u32]) -> Timestamp {
        let started = Instant::now();
        while !pids.iter().all(|pid| processes::is_gone(*pid)) {
            if started.elapsed() > LIMIT {
                panic!("sshd's processes {pids:?} did not end");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Timestamp::now()
    }

    /// The monitor of a session: by sshd's own words, or as the only child of a listener that logs nothing.
    fn monitor_of(&self, client: &Client) -> u32 {
        if let Some(listener) = client.login.listener {
            let children = processes::children(listener);
            assert_eq!(children.len(), 1, "one connection, one monitor: {children:?}");
            return *children.first().expect("it has one");
        }
        let account = client.login.account.name;
        let words =
            format!(" for {account} from {} port {} ssh2", client.login.peer.ip(), client.login.peer.port());
        let to_dropbear = format!(" auth succeeded for '{account}' ");
        let from = format!(" from {}:{}", client.login.peer.ip(), client.login.peer.port());
        let found = self.site.log.wait_for(LIMIT, |line| {
            // "<85>Nov 21 07:12:28 dropbear[PID]: Pubkey auth succeeded for 'alice' with ... from 127.0.0.1:20021"
            if line.text.contains(&to_dropbear) && line.text.ends_with(&from) {
                return line.text.split_once("dropbear[")?.1.split_once(']')?.0.parse().ok();
            }
            // "<38>Nov 21 07:12:28 sshd[PID]: Accepted publickey for alice from 127.0.0.1 port 20021 ssh2: ED25519 ..."
            let (head, text) = line.text.split_once("]: Accepted ")?;
            text.contains(&words).then(|| head.rsplit_once('[')?.1.parse().ok()).flatten()
        });
        found.unwrap_or_else(|| panic!("sshd did not log \"Accepted ...{words}\""))
    }

    #[track_caller]
    fn wait_for(&mut self, truth: &Truth) {
        let started = Instant::now();
        loop {
            let listed = self.listed();
            let at_peer: Vec<_> =
                listed.iter().filter(|session| session.peer() == Some(truth.peer)).collect();
            let differences = match at_peer.as_slice() {
                [] => vec!["it is not listed".to_owned()],
                [session] => truth.differences(session),
                several => vec![format!("it is listed {} times", several.len())],
            };
            if differences.is_empty() {
                self.expected.insert(at_peer[0].session.clone());
                return;
            }
            if started.elapsed() > LIMIT {
                panic!(
                    "the session of {} from {}: {}",
                    truth.account.name,
                    truth.peer,
                    differences.join("; ")
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All sessions since the scenario began, as the undisturbed tracer lists them.
    pub fn new_sessions(&self) -> Vec<Session> {
        self.listed().into_iter().filter(|session| !self.known.contains(&session.session)).collect()
    }

    fn listed(&self) -> Vec<Session> {
        self.site.tracer.sessions().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// All that is known, for whoever reads about a failure.
    pub fn evidence(&self) -> String {
        let listing = crate::tracer::Tracer::listing().unwrap_or_else(|error| format!("{error:#}"));
        let new = listing.lines().filter(|line| !self.known.iter().any(|key| line.contains(key)));
        let new: String = new.map(|line| format!("  {line}\n")).collect();
        format!(
            "listed since the start of the scenario:\n{new}sshd's log:\n{}the tracer's messages:\n{}",
            self.site.log.since(self.started),
            self.site.tracer.messages(self.started),
        )
    }
}

/// As the kernel names it.
pub fn pid_namespace(pid: u32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/pid")).expect("the process lives");
    link.display().to_string()
}

impl Truth {
    /// In what a listed session differs from what happened.
    fn differences(&self, listed: &Session) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, listed: String, truth: String| {
            if listed != truth {
                found.push(format!("{what} is {listed}, but was {truth}"));
            }
        };
        compare("service", listed.service.clone(), self.service.to_owned());
        compare("host", listed.host.clone(), HOST.to_owned());
        compare("user", format!("{:?}", listed.user), format!("{:?}", Some(self.account.name)));
        compare("uid", format!("{:?}", listed.uid), format!("{:?}", Some(self.account.uid)));
        compare("peer", format!("{:?}", listed.peer()), format!("{:?}", Some(self.peer)));
        compare("local", format!("{:?}", listed.local()), format!("{:?}", Some(self.local)));
        compare("the monitor", listed.sshd.pid.to_string(), self.monitor.to_string());
        if self.exe.is_some() {
            compare("the executable", format!("{:?}", listed.sshd.exe), format!("{:?}", self.exe));
        }
        // Accounts of a container are its own business.
        let account = (!self.in_container).then_some(self.account.state);
        compare("the account", format!("{:?}", listed.account.as_deref()), format!("{account:?}"));
        compare("in a container", listed.container.is_some().to_string(), self.in_container.to_string());
        compare("tty", format!("{:?}", listed.tty), format!("{:?}", self.tty));
        let state = if self.closed.is_some() { State::Closed } else { State::Open };
        compare("state", format!("{:?}", listed.state), format!("{state:?}"));
        let end = self.closed.map(|_| self.end);
        compare("end", format!("{:?}", listed.end.as_deref()), format!("{end:?}"));

        let mut between = |what: &str, listed: Option<Timestamp>, truth: Option<(Timestamp, Timestamp)>| {
            let right = match (listed, truth) {
                (Some(at), Some((from, to))) => from <= at && at <= to,
                (None, None) => true,
                _ => false,
            };
            if !right {
                found.push(format!("{what} is {listed:?}, but was within {truth:?}"));
            }
        };
        between("opened_at", Some(listed.opened_at), Some(self.opened));
        between("closed_at", listed.closed_at, self.closed);
        let duration = listed.closed_at.map(|at| at.duration_since(listed.opened_at).as_secs_f64());
        let same = match (listed.duration_s, duration) {
            // Rounded to a second at worst.
            (Some(listed), Some(truth)) => truth >= 0.0 && (listed - truth).abs() <= 1.0,
            (None, None) => true,
            _ => false,
        };
        if !same {
            found.push(format!("duration_s is {:?}, but was {duration:?}", listed.duration_s));
        }
        found
    }
}
