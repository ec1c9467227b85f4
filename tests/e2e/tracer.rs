//! The program under test, from outside: `login-tracer trace` at work, and `login-tracer sessions --json`.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use login_tracer::session::{Attempt, Auth, FirstCommand};
use login_tracer::store::{AttemptFilter, Reader};
use serde::Deserialize;

use crate::accounts::write;
use crate::lines::{LIMIT, Lines};
use crate::processes::{self, command};
use crate::recording::Recordings;
use crate::sandbox::{self, ROOM, TRACER};

/// A session as the tracer lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    /// The stable identity.
    pub session: String,
    pub host: String,
    pub service: String,
    pub user: Option<String>,
    pub uid: Option<u32>,
    pub by: Option<Identity>,
    peer: Option<Address>,
    local: Option<Address>,
    pub sshd: Sshd,
    pub tty: Option<String>,
    pub auth: Option<Auth>,
    pub first_command: Option<FirstCommand>,
    pub state: State,
    pub opened_at: Timestamp,
    pub recovered: bool,
    pub closed_at: Option<Timestamp>,
    pub duration_s: Option<f64>,
    pub end: Option<String>,
    pub escalated_to: Option<u32>,
    pub container: Option<Container>,
    /// How the account stood.
    pub account: Option<String>,
}

/// Where a session's sshd runs, if not among the machine's own processes.
#[derive(Debug, Clone, Deserialize)]
pub struct Container {
    pub pid_namespace: u64,
    pub cgroup: Option<String>,
}

/// What `show --json` says about a session beside that.
#[derive(Debug, Deserialize)]
struct Shown {
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    at: Timestamp,
    count: Option<u64>,
    escalation: Option<Escalation>,
}

#[derive(Debug, Deserialize)]
struct Escalation {
    from: Identity,
    to: Identity,
    exe: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    pub uid: u32,
    pub user: Option<String>,
}

/// An sshd that is not the machine's, as the tracer lists it.
#[derive(Debug, Deserialize)]
pub struct Foreign {
    pub at: Timestamp,
    pub run_by: Identity,
    pub exe: String,
    pub doubt: String,
}

/// A user id that was gained inside of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gained {
    pub from: u32,
    pub to: u32,
    /// The account that is gained, as the tracer names it.
    pub user: Option<String>,
    pub exe: String,
    /// It stands for so many.
    pub count: u64,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Closed,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Sshd {
    pub pid: u32,
    pub exe: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Address {
    address: IpAddr,
    port: u16,
}

impl Session {
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer.as_ref().map(|peer| SocketAddr::new(peer.address, peer.port))
    }

    pub fn local(&self) -> Option<SocketAddr> {
        self.local.as_ref().map(|local| SocketAddr::new(local.address, local.port))
    }

    /// Whether it may be of this sandbox: the tracer sees every login on this kernel.
    fn may_be_ours(&self) -> bool {
        self.peer().is_none_or(|peer| match peer.ip().to_canonical() {
            IpAddr::V4(address) => {
                let local = self.local().map(|local| local.ip());
                address == sandbox::address() || local == Some(sandbox::address().into())
            }
            IpAddr::V6(address) => {
                address.is_loopback()
                    && self.local().is_none_or(|local| sandbox::server_ports().contains(&local.port()))
            }
        })
    }
}

/// Names the keys of `[trace]` that all tracers of a run get, one TOML line each: `cargo xtask vm` forces hooks by it.
const TRACE_KEYS: &str = "LOGIN_TRACER_E2E_TRACE";

/// The section `[trace]` of every configuration: all doors, and what the run asks for.
pub fn trace_section() -> String {
    let keys = std::env::var(TRACE_KEYS).unwrap_or_default();
    format!("[trace]\nservices = [\"ssh\", \"dropbear\", \"login\", \"su\", \"sudo\"]\n{keys}\n")
}

/// The trace role at work, with a state directory of its own.
pub struct Tracer {
    child: std::sync::Mutex<Child>,
    messages: Arc<Lines>,
}

impl Tracer {
    /// Starts it, recording or not, and waits until it says that it is ready.
    pub fn start(recording: bool) -> anyhow::Result<Self> {
        let socket_path = format!("{ROOM}/notify");
        let socket = UnixDatagram::bind(&socket_path).context("cannot listen for readiness")?;
        socket.set_read_timeout(Some(LIMIT)).context("cannot bound the wait for readiness")?;
        write(format!("{ROOM}/config.toml"), &trace_section(), 0o644)?;
        let mut command = login_tracer();
        command.arg("trace");
        if recording {
            command.args(["--record", &Recordings::source()]);
        }
        command.env("NOTIFY_SOCKET", socket_path).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the tracer")?;
        let messages = Lines::of(child.stderr.take().context("the messages are piped")?);
        let tracer = Self { child: child.into(), messages };
        let mut buffer = [0; 1024];
        loop {
            let Ok(length) = socket.recv(&mut buffer) else {
                anyhow::bail!("the tracer did not become ready:\n{}", tracer.messages(Timestamp::MIN));
            };
            if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                return Ok(tracer);
            }
        }
    }

    /// All sessions of the sandbox, oldest first.
    pub fn sessions(&self) -> anyhow::Result<Vec<Session>> {
        parse(&Self::listing()?)
    }

    /// All attempts at servers of the sandbox, oldest first.
    pub fn attempts(&self) -> anyhow::Result<Vec<Attempt>> {
        let reader = Reader::open(format!("{ROOM}/state").as_ref()).context("cannot read the database")?;
        let mut attempts = Vec::new();
        reader.for_each_attempt(&AttemptFilter::default(), |attempt| {
            let local = attempt.local.filter(|local| sandbox::server_ports().contains(&local.port()));
            if local.is_some() {
                attempts.push(attempt);
            }
        })?;
        Ok(attempts)
    }

    /// What `attempts` prints with these further arguments.
    pub fn attempts_listing(arguments: &[&str]) -> String {
        let output = login_tracer().arg("attempts").args(arguments).output().expect("it can be run");
        assert!(output.status.success(), "attempts: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What `sessions --json` prints.
    pub fn listing() -> anyhow::Result<String> {
        let output = login_tracer()
            .args(["sessions", "--json", "--limit", "0"])
            .output()
            .context("cannot list sessions")?;
        ensure!(
            output.status.success(),
            "login-tracer sessions: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).context("the list is not UTF-8")
    }

    /// The user ids that were gained inside of a session, in the order in which they were.
    pub fn gained(&self, session: &str) -> anyhow::Result<Vec<Gained>> {
        let mut show = login_tracer();
        show.arg("show");
        gained(show, session)
    }

    /// What `findings --json` lists, newest first.
    pub fn findings(&self) -> anyhow::Result<Vec<Foreign>> {
        let output =
            login_tracer().args(["findings", "--json", "--limit", "0"]).output().context("cannot list")?;
        ensure!(output.status.success(), "findings: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).context("the list is not UTF-8")?;
        text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// What the trace role said since `start`, and whether it is still there.
    pub fn messages(&self, start: Timestamp) -> String {
        let mut child = self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let end = match child.try_wait() {
            Ok(None) => String::new(),
            Ok(Some(status)) => format!("  it has ended: {status}\n"),
            Err(error) => format!("  it cannot be waited for: {error}\n"),
        };
        self.messages.since(start) + &end
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        processes::signal(child.id(), rustix::process::Signal::TERM);
        child.wait().ok();
    }
}

/// The user ids that were gained inside of a session, by what this `login-tracer show` says of it.
pub fn gained(mut show: std::process::Command, session: &str) -> anyhow::Result<Vec<Gained>> {
    let output = show.args(["--json", session]).output().context("cannot show")?;
    let shown: Shown = serde_json::from_slice(&output.stdout).context("not a session")?;
    let gained = shown.changes.into_iter().filter_map(|change| {
        let Escalation { from, to, exe } = change.escalation?;
        let count = change.count.unwrap_or(1);
        Some(Gained { from: from.uid, to: to.uid, user: to.user, exe, count, at: change.at })
    });
    Ok(gained.collect())
}

/// The sessions of the sandbox in what `sessions --json` prints, oldest first.
pub fn parse(text: &str) -> anyhow::Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for line in text.lines() {
        let session: Session =
            serde_json::from_str(line).with_context(|| format!("not a session: {line}"))?;
        if session.may_be_ours() {
            sessions.push(session);
        }
    }
    sessions.sort_by_key(|session| session.opened_at);
    Ok(sessions)
}

fn login_tracer() -> std::process::Command {
    let mut command = command(TRACER);
    command.args(["--config", &format!("{ROOM}/config.toml"), "--state-dir", &format!("{ROOM}/state")]);
    command
}
