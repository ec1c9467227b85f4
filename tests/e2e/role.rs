//! A second trace role beside the one that watches all scenarios: with a state directory of its own, to be stopped,
//! killed and replaced. What it lists must be what the other lists, which nobody disturbs.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use login_tracer::config::Config;
use login_tracer::store::Reader;
use login_tracer::supervise::trace::{Setup, run_observed};
use rustix::process::Signal;

use crate::accounts::{Account, write};
use crate::lines::{LIMIT, Lines};
use crate::processes::{self, command};
use crate::sandbox::{ROOM, TRACER};
use crate::scene::Scene;
use crate::tracer::{Session, gained, parse};

/// How far two roles may be apart in what they say about a time: each reads the clocks for itself.
const CLOCK_SLACK: Duration = Duration::from_millis(50);

/// This program, inside of the sandbox.
const THIS: &str = "/run/e2e/bin/e2e";
/// The name under which it is a trace role that kills itself.
const SUICIDAL: &str = "suicidal-trace";

/// The role, running or not. What it leaves in the kernel goes with it.
pub struct Role {
    room: PathBuf,
    child: Option<Child>,
    log: Arc<Lines>,
}

impl Role {
    /// Not started yet.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let room = PathBuf::from(format!("{ROOM}/role-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&room).expect("a folder of its own");
        let role = Self { room, child: None, log: Lines::none() };
        role.configure("");
        role
    }

    /// Started, and ready.
    pub fn start() -> Self {
        let mut role = Self::new();
        role.launch();
        role
    }

    /// Replaces its configuration, for the next start.
    pub fn configure(&self, text: &str) {
        write(self.room.join("config.toml"), text, 0o600).expect("a configuration");
    }

    /// Starts it, and waits until it is ready.
    pub fn launch(&mut self) {
        let command = self.login_tracer("trace");
        assert!(self.launch_as(command), "the role ended:\n{}", self.log());
    }

    /// Starts it so that it kills itself after the step of this kind and number. Says whether it lived to be ready.
    pub fn launch_and_kill_after(&mut self, kind: &str, number: u32) -> bool {
        let mut command = command(THIS);
        command.arg0(SUICIDAL).arg(&self.room).arg(kind).arg(number.to_string());
        self.launch_as(command)
    }

    fn launch_as(&mut self, mut command: Command) -> bool {
        let ready = self.room.join("ready");
        // Of an earlier start.
        fs::remove_file(&ready).ok();
        let socket = UnixDatagram::bind(&ready).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a bound");
        command.env("NOTIFY_SOCKET", &ready).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        self.log = Lines::of(child.stderr.take().expect("it is piped"));
        let (started, mut buffer) = (Instant::now(), [0; 256]);
        let is_ready = loop {
            let length = socket.recv(&mut buffer).unwrap_or(0);
            if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                break true;
            }
            if child.try_wait().expect("our own child").is_some() {
                break false;
            }
            assert!(started.elapsed() < LIMIT, "the role did not become ready:\n{}", self.log());
        };
        self.child = Some(child);
        is_ready
    }

    /// Ends it as a service manager does.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("it runs");
        let status = processes::wait_for_end(&mut child, "the trace role");
        assert!(status.success(), "it ended well:\n{}", self.log());
    }

    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.take().expect("it runs").wait().expect("our own child");
    }

    pub fn signal(&self, signal: Signal) {
        processes::signal(self.child.as_ref().expect("it runs").id(), signal);
    }

    /// Waits for it to kill itself; says whether it did, instead of having nothing left to do.
    pub fn killed_itself(&mut self, patience: Duration) -> bool {
        let started = Instant::now();
        let child = self.child.as_mut().expect("it was started");
        while started.elapsed() < patience {
            if let Some(status) = child.try_wait().expect("our own child") {
                assert!(!status.success() && status.code().is_none(), "it ended by itself:\n{}", self.log());
                self.child = None;
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub fn log(&self) -> String {
        self.log.since(Timestamp::MIN)
    }

    pub fn sessions(&self) -> Vec<Session> {
        let output = self.login_tracer("sessions").args(["--json", "--limit", "0"]).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "sessions: {}", String::from_utf8_lossy(&output.stderr));
        parse(&String::from_utf8(output.stdout).expect("UTF-8")).expect("sessions")
    }

    /// `login-tracer unload`.
    pub fn unload(&self) -> String {
        let output = self.login_tracer("unload").output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "unload: {text}");
        text
    }

    pub fn state_dir(&self) -> PathBuf {
        self.room.join("state")
    }

    /// Waits until it lists every session that the undisturbed role has listed since the scenario began, each once and with
    /// the same facts, and nothing else. The sessions, as it lists them.
    #[track_caller]
    pub fn expect_all(&self, scene: &Scene<'_>) -> Vec<Session> {
        let started = Instant::now();
        loop {
            let (truth, listed) = (scene.new_sessions(), self.sessions());
            let differences = differences(&truth, &listed);
            if differences.is_empty() {
                return listed;
            }
            assert!(started.elapsed() < LIMIT, "{differences:#?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the list is as it should be.
    #[track_caller]
    pub fn wait_for(&self, is_right: impl Fn(&[Session]) -> bool) -> Vec<Session> {
        let started = Instant::now();
        loop {
            let listed = self.sessions();
            if is_right(&listed) {
                return listed;
            }
            assert!(started.elapsed() < LIMIT, "{listed:#?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it lists what was gained in the session from an address: by whom, whom, by what; and nothing else.
    #[track_caller]
    pub fn expect_gains(&self, peer: SocketAddr, expected: &[(Account, Account, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(from, to, exe)| (from.uid, to.uid, *exe)).collect();
        let started = Instant::now();
        loop {
            let listed = self.sessions();
            let session = listed.iter().find(|session| session.peer() == Some(peer));
            let found = session.map(|session| {
                gained(self.login_tracer("show"), &session.session)
                    .unwrap_or_else(|error| panic!("{error:#}"))
            });
            let found = found.unwrap_or_default();
            let told: Vec<_> = found.iter().map(|g| (g.from, g.to, g.exe.as_str())).collect();
            if told == expected {
                return;
            }
            assert!(started.elapsed() < LIMIT, "{told:?} instead of {expected:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many changes of a kind are stored.
    pub fn changes(&self, kind: &str) -> usize {
        let reader = Reader::open(&self.state_dir()).expect("a database");
        let changes = reader.changes_after(0, 10_000).expect("changes");
        changes.iter().filter(|change| change.kind.as_str() == kind).count()
    }

    pub fn login_tracer(&self, verb: &str) -> Command {
        let mut command = command(TRACER);
        command.arg("--config").arg(self.room.join("config.toml")).arg("--state-dir").arg(self.state_dir());
        command.args(["--log", "info", verb]);
        command
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            processes::end(child);
        }
        self.login_tracer("unload").output().ok();
    }
}

/// In what the lists of two roles differ.
fn differences(truth: &[Session], listed: &[Session]) -> Vec<String> {
    let facts = |session: &Session| {
        format!(
            "{} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            session.session,
            session.service,
            session.host,
            session.user,
            session.uid,
            session.by,
            session.peer(),
            session.local(),
            session.tty,
            session.sshd.pid,
            session.end
        )
    };
    let mut found = Vec::new();
    for session in truth {
        let same: Vec<_> = listed.iter().filter(|listed| listed.session == session.session).collect();
        let [same] = same[..] else {
            found.push(format!("listed {} times: {}", same.len(), facts(session)));
            continue;
        };
        if facts(same) != facts(session) {
            found.push(format!("{} instead of {}", facts(same), facts(session)));
        }
        let apart = |a: Timestamp, b: Timestamp| a.duration_since(b).unsigned_abs();
        let closed = [session, same].map(|session| session.closed_at.unwrap_or(session.opened_at));
        if apart(session.opened_at, same.opened_at) > CLOCK_SLACK || apart(closed[0], closed[1]) > CLOCK_SLACK
        {
            found.push(format!("{} is at other times: {same:?} instead of {session:?}", session.session));
        }
    }
    let is_new = |listed: &&Session| !truth.iter().any(|session| session.session == listed.session);
    found.extend(listed.iter().filter(is_new).map(|session| format!("never happened: {}", facts(session))));
    found
}

/// Runs as the role in the folder that is named first, if this process was started as [`SUICIDAL`]. It kills itself after
/// the step of this kind and number.
pub fn run_if_called() -> Option<ExitCode> {
    let mut arguments = std::env::args();
    if arguments.next()? != SUICIDAL {
        return None;
    }
    let arguments: Vec<_> = arguments.collect();
    Some(match trace_until(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{SUICIDAL}: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn trace_until(arguments: &[String]) -> anyhow::Result<()> {
    let [room, kind, number] = arguments else { anyhow::bail!("usage: trace ROOM STEP NUMBER") };
    let (state_dir, kind, number) = (Path::new(room).join("state"), kind.clone(), number.parse::<u32>()?);
    login_tracer::output::log::start("info")?;
    fs::create_dir_all(&state_dir)?;
    let config = Config::default();
    let setup = Setup { config: &config, state_dir: &state_dir, group: None, record: None, mask: false };
    let count = AtomicU32::new(0);
    let kill_there = move |step| {
        if format!("{step:?}") == kind && count.fetch_add(1, Ordering::Relaxed) + 1 == number {
            processes::signal(std::process::id(), Signal::KILL);
        }
    };
    run_observed(&setup, Box::new(kill_there))
}
