//! The whole program at work: `login-tracer run` with both roles, a state directory of its own, and doubles of the
//! services that it talks to.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::accounts::write;
use crate::lines::{LIMIT, Lines};
use crate::processes::{self, command};
use crate::sandbox::{self, ROOM, TRACER};
use crate::slack::Slack;
use crate::threat_jammer::{self, ThreatJammer};
use crate::tracer::trace_section;

/// The list of addresses of the owner's.
const LIST: &str = "drop.txt";

/// `login-tracer run` and everything around it; killed when dropped.
pub struct Whole {
    child: Child,
    room: PathBuf,
    pub slack: Slack,
    pub threat_jammer: ThreatJammer,
    /// What the console sink printed.
    pub console: Arc<Lines>,
    /// What it logged.
    pub log: Arc<Lines>,
}

impl Whole {
    /// Starts it with an empty state directory and waits until both roles work.
    pub fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let room = PathBuf::from(format!("{ROOM}/whole-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&room).expect("a folder of its own");
        let (slack, threat_jammer) = (Slack::start(), ThreatJammer::start());
        let config = format!(
            "[sinks.console]\ntype = \"console\"\n[sinks.ops]\ntype = \"slack\"\npace = \"none\"\nwebhook_url = \"{}\"\n\
             [enrich.threat_jammer]\nbase_url = \"{}\"\ntoken = \"{}\"\nrequests_per_minute = 1000\n\
             [enrich.lists.drop]\npath = \"{}\"\n{}",
            slack.url(),
            threat_jammer.server.url(),
            threat_jammer::TOKEN,
            room.join(LIST).display(),
            trace_section(),
        );
        write(room.join("config.toml"), &config, 0o600).expect("a configuration");
        write(room.join(LIST), "# nobody\n", 0o644).expect("a list");
        let (child, console, log) = launch(&room);
        Self { child, room, slack, threat_jammer, console, log }
    }

    /// Puts an address on the list of the owner's.
    pub fn list(&self, address: std::net::IpAddr) {
        write(self.room.join("new.txt"), &format!("{address} # seen attacking\n"), 0o644).expect("a list");
        fs::rename(self.room.join("new.txt"), self.room.join(LIST)).expect("the list is replaced");
    }

    /// Ends it as a service manager does, and says how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        processes::signal(self.child.id(), rustix::process::Signal::TERM);
        processes::wait_for_end(&mut self.child, "login-tracer run")
    }

    /// Starts it again with what it left.
    pub fn restart(&mut self) {
        (self.child, self.console, self.log) = launch(&self.room);
    }

    /// Kills the supervisor, as nobody should.
    pub fn kill(&mut self) {
        processes::end(&mut self.child);
    }

    /// The process of a role.
    pub fn role(&self, verb: &str) -> Option<u32> {
        processes::children(self.child.id()).into_iter().find(|pid| has_argument(*pid, verb))
    }

    /// Kills a role, and waits until the supervisor has replaced it and the new one works.
    pub fn kill_role(&self, verb: &str) {
        let victim = self.role(verb).expect("the role runs");
        let killed_at = Timestamp::now();
        processes::signal(victim, rustix::process::Signal::KILL);
        let words = match verb {
            "trace" => "supervise::trace: tracing",
            _ => "the notify role is working",
        };
        let back =
            self.log.wait_for(LIMIT, |line| (line.at > killed_at && line.text.contains(words)).then_some(()));
        back.unwrap_or_else(|| panic!("{verb} did not come back:\n{}", self.log.since(killed_at)));
    }

    /// Waits until so many messages are shown in Slack that contain `words`; never more.
    #[track_caller]
    pub fn expect_messages(&self, words: &str, count: usize) -> Vec<String> {
        let (started, here) = (Instant::now(), format!(" from {}", sandbox::address()));
        loop {
            // Logins to another run of the suite are seen, and told, as well.
            let is_ours = |text: &String| !text.contains(" from 127.") || text.contains(&here);
            let texts = self.slack.texts().into_iter().filter(is_ours);
            let found: Vec<_> = texts.filter(|text| text.contains(words)).collect();
            assert!(found.len() <= count, "{count} messages with {words:?} were expected: {found:#?}");
            if found.len() == count {
                return found;
            }
            assert!(
                started.elapsed() < LIMIT,
                "{} of {count} messages with {words:?} arrived:\n{:#?}\n{}",
                found.len(),
                self.slack.texts(),
                self.log.since(Timestamp::MIN),
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What `sessions --json` prints for this state directory.
    pub fn sessions(&self) -> Vec<serde_json::Value> {
        let mut command = self.login_tracer();
        let output = command.args(["sessions", "--json", "--limit", "0"]).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "sessions: {error}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
    }

    /// What a command prints for this state directory.
    pub fn page(&self, arguments: &[&str]) -> String {
        let output = self.login_tracer().args(arguments).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Waits until a session of `sessions --json` is as `is_right` says.
    #[track_caller]
    pub fn expect_session(&self, is_right: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let started = Instant::now();
        loop {
            let sessions = self.sessions();
            if let Some(session) = sessions.iter().find(|session| is_right(session)) {
                return session.clone();
            }
            let log = || self.log.since(Timestamp::MIN);
            assert!(started.elapsed() < LIMIT, "no session is as expected: {sessions:#?}\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn state_dir(&self) -> PathBuf {
        self.room.join("state")
    }

    fn login_tracer(&self) -> Command {
        login_tracer(&self.room)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        processes::signal(self.child.id(), rustix::process::Signal::TERM);
        let started = Instant::now();
        while started.elapsed() < LIMIT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        processes::end(&mut self.child);
    }
}

fn login_tracer(room: &Path) -> Command {
    let mut command = command(TRACER);
    command.arg("--config").arg(room.join("config.toml")).arg("--state-dir").arg(room.join("state"));
    command
}

fn launch(room: &Path) -> (Child, Arc<Lines>, Arc<Lines>) {
    let socket_path = room.join("ready");
    // Of an earlier start.
    fs::remove_file(&socket_path).ok();
    let socket = UnixDatagram::bind(&socket_path).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a bound");
    let mut command = login_tracer(room);
    command.arg("run").env("NOTIFY_SOCKET", &socket_path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let console = Lines::of(child.stdout.take().expect("it is piped"));
    let log = Lines::of(child.stderr.take().expect("it is piped"));
    let mut buffer = [0; 256];
    loop {
        let Ok(length) = socket.recv(&mut buffer) else {
            processes::end(&mut child);
            panic!("login-tracer run did not become ready:\n{}", log.since(Timestamp::MIN));
        };
        if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            return (child, console, log);
        }
    }
}

fn has_argument(pid: u32, argument: &str) -> bool {
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    title.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
}
