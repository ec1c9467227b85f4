//! A state directory with its `sessions.db`, and the notify role as a process that can be killed.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use jiff::{SignedDuration, Timestamp};
use login_tracer::config::file::Source;
use login_tracer::config::{
    Config, Http, List, PaceChoice, Queueing, Rate, Secret, Secrets, Sink, SinkKind, Slack, ThreatJammer,
    Webhook, parse,
};
use login_tracer::notify::outbox::{self, Decision, DeliveryRow, DeliveryState, Reader};
use login_tracer::notify::{self, Step};
use login_tracer::session::{Closed, End, LossCounter, Opening, SessionKey, Sshd, Update};
use login_tracer::store::Writer;
use login_tracer::supervise;
use login_tracer::supervise::lock::{self, Holder};
use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use crate::{slack, threat_jammer};

/// Longest that anything here may take. Generous: the machine may be busy with building.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A host under test.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) setup: Setup,
    writer: Option<Writer>,
}

/// What the role is started with.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Names and URLs of the webhooks.
    pub(crate) slack: Vec<(String, String)>,
    pub(crate) slack_timeout_ms: u64,
    /// Names and URLs of receivers of signed JSON.
    #[serde(default)]
    pub(crate) webhooks: Vec<(String, String)>,
    /// Base URL of the look-up service.
    pub(crate) threat_jammer: Option<String>,
    pub(crate) deadline_ms: u64,
    pub(crate) per_minute: u32,
    /// How long its answers are good; an hour where nothing is said.
    #[serde(default)]
    pub(crate) good_for_s: Option<u64>,
    /// A list of addresses.
    pub(crate) list: Option<PathBuf>,
    /// A database of places.
    #[serde(default)]
    pub(crate) city: Option<PathBuf>,
    /// Routes, quiet hours, allowlist and templates, as in the configuration file.
    pub(crate) rules: String,
    /// Messages, in milliseconds, of sinks that have a pace.
    pub(crate) paces: Vec<(String, u32, u64)>,
    /// Windows in milliseconds of sinks whose changes are told together.
    pub(crate) groups: Vec<(String, u64)>,
    /// The limits of every queue, where they are not the usual ones.
    pub(crate) max_age_s: Option<u64>,
    pub(crate) max_queued: Option<u32>,
    pub(crate) keep_delivered_s: Option<u64>,
    /// Kill the process at this step, counted from 1.
    pub(crate) kill_at: Option<u32>,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let writer = Some(Writer::open(dir.path(), None).unwrap());
        let setup = Setup { slack_timeout_ms: 5000, deadline_ms: 3000, per_minute: 1000, ..Setup::default() };
        Self { dir, setup, writer }
    }

    pub(crate) fn with_slack(slack: &slack::Slack) -> Self {
        let mut world = Self::new();
        world.setup.slack.push(("team".to_owned(), slack.url()));
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn commit(&mut self, updates: &[Update]) {
        self.writer.as_mut().expect("the store is open").commit(updates).unwrap();
    }

    /// Puts another store in the place of the one that is there, as after damage.
    pub(crate) fn replace_store(&mut self) {
        self.writer = None;
        login_tracer::store::set_aside(&self.path().join("sessions.db"), Timestamp::now()).unwrap();
        self.writer = Some(Writer::open(self.path(), None).unwrap());
    }

    pub(crate) fn start(&self) -> Role {
        Role::start(self.path(), &self.setup)
    }

    pub(crate) fn deliveries(&self, session: SessionKey) -> Vec<DeliveryRow> {
        match Reader::open(self.path()) {
            Ok(reader) => reader.deliveries_of(session).unwrap(),
            Err(_) => Vec::new(),
        }
    }

    /// The announcements of a session, finished or not.
    pub(crate) fn decisions(&self, session: SessionKey) -> Vec<Decision> {
        match Reader::open(self.path()) {
            Ok(reader) => reader.decisions_of(session).unwrap(),
            Err(_) => Vec::new(),
        }
    }

    /// Waits until all deliveries of a session are in a state, and returns them.
    pub(crate) fn settled(&self, session: SessionKey, state: DeliveryState) -> Vec<DeliveryRow> {
        eventually("deliveries in their state", || {
            let rows = self.deliveries(session);
            (!rows.is_empty() && rows.iter().all(|row| row.state == state)).then_some(rows)
        })
    }
}

/// The role as a process; killed when dropped. What it logs is kept.
pub(crate) struct Role {
    child: Child,
    /// Kept open: it can be read even when the state directory is gone.
    log: fs::File,
}

impl Role {
    fn start(state_dir: &Path, setup: &Setup) -> Self {
        Self::start_in(Command::new("env"), state_dir, setup)
    }

    /// Starts it through another program that runs its arguments.
    pub(crate) fn start_in(mut wrapper: Command, state_dir: &Path, setup: &Setup) -> Self {
        let path = state_dir.join("role.log");
        let file = fs::File::options().create(true).append(true).open(&path).unwrap();
        let log = fs::File::open(path).unwrap();
        let child = wrapper
            .arg(env::current_exe().unwrap())
            .args(["--exact", "world::role", "--ignored", "--nocapture"])
            .env("DELIVERY_TEST_STATE_DIR", state_dir)
            .env("DELIVERY_TEST_SETUP", serde_json::to_string(setup).unwrap())
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        let mut bytes = vec![0; usize::try_from(self.log.metadata().unwrap().len()).unwrap()];
        self.log.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The file system as the role sees it.
    pub(crate) fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.child.id()).into()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end and waits for that.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        let log = self.log();
        // In every test, whatever happened: secrets are in no log.
        if !thread::panicking() {
            assert!(!log.contains("hush"), "a secret is in the log:\n{log}");
            assert!(!log.contains("panicked"), "{log}");
        } else {
            // Shown by the test harness, with the failure.
            std::io::stderr().write_all(log.as_bytes()).ok();
        }
    }
}

/// The process of the role: not a test of its own, but what [`Role::start`] runs.
#[test]
#[ignore = "started by the other tests"]
fn role() {
    let Some(state_dir) = env::var_os("DELIVERY_TEST_STATE_DIR") else { return };
    let setup: Setup = serde_json::from_str(&env::var("DELIVERY_TEST_SETUP").unwrap()).unwrap();
    // As `login-tracer notify` does before it begins.
    fs::create_dir_all(Path::new(&state_dir).join(outbox::DIRECTORY)).unwrap();
    let _lock = lock::acquire(Holder::Role(supervise::Role::Notify), Path::new(&state_dir)).unwrap();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let steps = std::cell::Cell::new(0);
    let mut journal =
        fs::File::options().create(true).append(true).open(Path::new(&state_dir).join("steps")).unwrap();
    let kill_at = setup.kill_at;
    let journal = std::cell::RefCell::new(move |step: Step| writeln!(journal, "{step:?}").unwrap());
    let on_step = move |step| {
        (journal.borrow_mut())(step);
        steps.set(steps.get() + 1);
        if Some(steps.get()) == kill_at {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    };
    notify::run_observed(&setup.config(), Path::new(&state_dir), Rc::new(on_step)).unwrap();
}

impl Setup {
    pub(crate) fn config(&self) -> Config {
        let mut config = Config { host_name: Some("web-1".to_owned()), ..Config::default() };
        config.enrich.deadline = Duration::from_millis(self.deadline_ms);
        let list = |path: PathBuf| List { name: "drop".to_owned(), path, points: None };
        config.enrich.lists = self.list.clone().map(list).into_iter().collect();
        config.enrich.databases.city.clone_from(&self.city);
        config.enrich.threat_jammer = self.threat_jammer.clone().map(|base_url| ThreatJammer {
            base_url,
            token: Secret::new(threat_jammer::TOKEN.to_owned()),
            cache_ttl: Duration::from_secs(self.good_for_s.unwrap_or(3600)),
            requests_per_minute: self.per_minute,
            requests_per_month: 5000,
        });
        let timeout = Duration::from_millis(self.slack_timeout_ms);
        if let Some(keep) = self.keep_delivered_s {
            config.notify.keep_delivered = Duration::from_secs(keep);
        }
        let slack = |(name, url): &(String, String)| Sink {
            queue: self.queueing(name),
            name: name.clone(),
            kind: SinkKind::Slack(Slack {
                webhook_url: Secret::new(url.clone()),
                http: Http { timeout, ca: None },
            }),
        };
        let webhook = |(name, url): &(String, String)| Sink {
            queue: self.queueing(name),
            name: name.clone(),
            kind: SinkKind::Webhook(Webhook {
                url: Secret::new(url.clone()),
                secret: None,
                http: Http { timeout, ca: None },
            }),
        };
        let sinks: Vec<_> = self.slack.iter().map(slack).chain(self.webhooks.iter().map(webhook)).collect();
        if !sinks.is_empty() {
            config.sinks = sinks;
        }
        let parsed = self.parsed_rules();
        (config.rules, config.templates) = (parsed.rules, parsed.templates);
        (config.summaries, config.notify.gather_attempts) = (parsed.summaries, parsed.notify.gather_attempts);
        config
    }

    fn queueing(&self, sink: &str) -> Queueing {
        let pace = self.paces.iter().find(|(name, _, _)| name == sink);
        let own = |(_, count, per): &(String, u32, u64)| Rate::new(*count, Duration::from_millis(*per));
        Queueing {
            group: self
                .groups
                .iter()
                .find(|(name, _)| name == sink)
                .map(|(_, window)| Duration::from_millis(*window)),
            group_red: false,
            pace: pace.map_or(PaceChoice::Unlimited, |pace| PaceChoice::Own(own(pace))),
            max_age: self.max_age_s.map_or(Queueing::DEFAULT_MAX_AGE, Duration::from_secs),
            max_queued: self.max_queued.unwrap_or(Queueing::DEFAULT_MAX_QUEUED),
        }
    }
}

impl Setup {
    /// The rules and templates, with sinks of these names.
    fn parsed_rules(&self) -> Config {
        let sink = |(name, _): &(String, String)| format!("[sinks.{name}]\ntype = \"console\"\n");
        let text = format!("{}\n{}", self.rules, self.slack.iter().map(sink).collect::<String>());
        parse::config(&Source { text, is_public: false }, Secrets::Read).unwrap()
    }
}

/// Waits until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn key(number: u32) -> SessionKey {
    SessionKey::new("machine", "boot", number, u64::from(number))
}

/// A login that happens now.
pub(crate) fn opened(number: u32, user: &str, peer: &str) -> Update {
    opened_at(number, user, peer, Timestamp::now())
}

pub(crate) fn opened_at(number: u32, user: &str, peer: &str, at: Timestamp) -> Update {
    let peer: SocketAddr = format!("{peer}:40000").parse().unwrap();
    Update::Opened(Box::new(Opening {
        key: key(number),
        host: "web-1".to_owned(),
        service: login_tracer::session::Service::Ssh,
        by: None,
        boot_id: "boot".to_owned(),
        user: Some(user.to_owned()),
        uid: Some(1000),
        peer: Some(peer),
        local: None,
        auth: None,
        tty: None,
        sshd: Sshd { pid: number, exe: None },
        sshd_start_boot_ns: u64::from(number),
        at,
        recovered: false,
        container: None,
        account: None,
    }))
}

pub(crate) fn closed(number: u32) -> Update {
    Update::Closed { key: key(number), closed: Closed { at: Timestamp::now(), end: End::Logout } }
}

/// So many kernel events are missing.
pub(crate) fn lost(count: u64) -> Update {
    let counter = LossCounter { name: "boot/1".to_owned(), value: count };
    Update::EventsLost { at: Timestamp::now(), count, counter }
}

pub(crate) fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}
