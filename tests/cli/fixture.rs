//! A state directory with sessions in it, and the binary that reads them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use login_tracer::assess::{Assessment, Level, Reason};
use login_tracer::enrich::{Facts, Why};
use login_tracer::notify::outbox;
use login_tracer::output::View;
use login_tracer::session;
use login_tracer::session::{
    AccountState, Attempt, AttemptKey, Auth, AuthKey, Certificate, Closed, CommandKind, Container, End,
    Escalation, FirstCommand, Identity, Opening, Service, SessionKey, Sshd, Tried, TriedUser, Update,
};
use login_tracer::store::Writer;
use tempfile::TempDir;
use uuid::Uuid;

/// A moment at which sessions are looked at; they were opened in the days before.
pub(crate) const NOW: &str = "2026-11-21T09:30:00Z";

/// A directory as the roles leave it.
pub(crate) struct State {
    dir: TempDir,
}

impl State {
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Every kind of session that a list can show, oldest first.
    pub(crate) fn with_examples() -> Self {
        let state = Self::unrated();
        state.rate(200, Level::High, Some(72), &[(80, "reputation: 80"), (-8, "seen\u{1b}[2J before")]);
        state.rate(300, Level::Medium, Some(40), &[(40, "reputation: 40")]);
        state.rate(400, Level::Unknown, None, &[(0, "no answer in 3 s")]);
        state.rate(600, Level::Low, Some(0), &[]);
        state
    }

    /// The same before the notify role ever ran.
    pub(crate) fn unrated() -> Self {
        let state = Self::empty();
        state.write(&examples());
        state
    }

    fn rate(&self, pid: u32, level: Level, score: Option<u8>, reasons: &[(i16, &str)]) {
        fs::create_dir_all(self.path().join(outbox::DIRECTORY)).unwrap();
        let reasons =
            reasons.iter().map(|(points, text)| Reason { points: *points, text: (*text).to_owned() });
        let assessment = Assessment { level, score, reasons: reasons.collect() };
        let taken_in = outbox::TakenIn {
            store_id: Uuid::nil(),
            cursor: 0,
            ratings: vec![(key(pid), (assessment, Facts::unknown(Why::NotConfigured)))],
            reassessed: Vec::new(),
            announcements: Vec::new(),
            better_known: Vec::new(),
            untold_after: None,
        };
        outbox::Outbox::open(self.path()).unwrap().take_in(&taken_in, time(NOW)).unwrap();
    }

    pub(crate) fn write(&self, updates: &[Update]) {
        Writer::open(self.path(), None).unwrap().commit(updates).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs the binary on this directory, as a program would: no terminal, a fixed time zone.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().unwrap();
        Run { output, dir: self.path().to_str().unwrap().to_owned() }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.args(arguments).arg("--state-dir").arg(self.path());
        command
    }

    /// Lets everybody reach the directory, so that its own modes are what decides.
    pub(crate) fn open_to_others(&self, mode: u32) {
        fs::set_permissions(self.path(), Permissions::from_mode(mode)).unwrap();
    }
}

/// What a run of the binary said.
pub(crate) struct Run {
    output: Output,
    dir: String,
}

impl Run {
    /// Exit code, then both streams, with the directory as `<dir>`.
    pub(crate) fn shown(&self) -> String {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        let code = self.output.status.code().map_or("none".to_owned(), |code| code.to_string());
        format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap().replace(&self.dir, "<dir>")
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap().replace(&self.dir, "<dir>")
    }
}

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_login-tracer"));
    command.env("TZ", "Europe/Madrid").env_remove("LOGIN_TRACER_LOG").env_remove("NO_COLOR");
    command
}

/// A person in Madrid at [`NOW`].
pub(crate) fn view(has_colour: bool) -> View {
    View { now: NOW.parse().unwrap(), zone: TimeZone::get("Europe/Madrid").unwrap(), has_colour }
}

pub(crate) fn opening(pid: u32, at: &str) -> Opening {
    Opening {
        key: key(pid),
        host: "web-1".to_owned(),
        service: Service::Ssh,
        by: None,
        boot_id: "boot".to_owned(),
        user: Some("alice".to_owned()),
        uid: Some(1001),
        peer: Some("192.0.2.7:40022".parse().unwrap()),
        local: Some("192.0.2.1:22".parse().unwrap()),
        auth: None,
        tty: None,
        sshd: Sshd { pid, exe: Some("/usr/lib/openssh/sshd-session".to_owned()) },
        sshd_start_boot_ns: 1_000,
        at: time(at),
        recovered: false,
        container: None,
        account: Some(AccountState::Usable),
    }
}

pub(crate) fn key(pid: u32) -> SessionKey {
    SessionKey::new("machine", "boot", pid, 1_000)
}

pub(crate) fn opened(opening: Opening) -> Update {
    Update::Opened(Box::new(opening))
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn terminal(pid: u32, at: &str, tty: &str) -> Update {
    let key = key(pid);
    Update::Identified { key, at: time(at), user: None, uid: None, tty: Some(tty.to_owned()) }
}

pub(crate) fn closed(pid: u32, at: &str, end: End) -> Update {
    let key = key(pid);
    Update::Closed { key, closed: Closed { at: time(at), end } }
}

/// Alice became somebody in her session.
pub(crate) fn escalated(pid: u32, at: &str, to: (u32, Option<&str>), exe: &str, count: u64) -> Update {
    let identity = |(uid, user): (u32, Option<&str>)| Identity { uid, user: user.map(str::to_owned) };
    let escalation = Escalation {
        pid: pid + 50,
        from: identity((1001, Some("alice"))),
        to: identity(to),
        exe: exe.to_owned(),
    };
    let (key, at) = (key(pid), time(at));
    let boot_ns = at.as_microsecond().unsigned_abs();
    Update::Escalated { key, at, boot_ns, escalation: Box::new(escalation), count }
}

fn by_certificate(pid: u32, at: &str) -> Update {
    let auth = Auth {
        method: "publickey".to_owned(),
        key: Some(auth_key("ED25519-CERT")),
        certificate: Some(Certificate { id: "root@corp".to_owned(), serial: 7, ca: auth_key("RSA") }),
        user_log: None,
    };
    Update::Authenticated { key: key(pid), at: time(at), user: None, auth: Box::new(auth) }
}

fn auth_key(kind: &str) -> AuthKey {
    let fingerprint = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI".to_owned();
    AuthKey { kind: kind.to_owned(), fingerprint }
}

fn began(pid: u32, at: &str, kind: CommandKind, arguments: &[&str]) -> Update {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let first = FirstCommand { kind, path: "/bin/bash".to_owned(), arguments };
    Update::Began { key: key(pid), at: time(at), first: Box::new(first) }
}

/// An attempt from an address at a time, which lasted two seconds.
pub(crate) fn attempt(
    number: u32,
    peer: &str,
    at: &str,
    reason: session::Reason,
    method: Option<&str>,
    users: &[(&str, bool)],
) -> Update {
    let began_at = time(at);
    Update::Attempt(Box::new(Attempt {
        key: AttemptKey::of_monitor("machine", "boot", number, 1_000),
        host: "web-1".to_owned(),
        peer: format!("{peer}:40022").parse().unwrap(),
        local: Some("192.0.2.1:22".parse().unwrap()),
        sshd_pid: Some(number),
        began_at,
        ended_at: began_at + jiff::SignedDuration::from_secs(2),
        tried: Tried {
            users: users
                .iter()
                .map(|(name, is_known)| TriedUser { name: (*name).to_owned(), is_known: *is_known })
                .collect(),
            methods: method.map(str::to_owned).into_iter().collect(),
            failures: u32::from(method.is_some()) * 3,
        },
        reason,
    }))
}

fn examples() -> Vec<Update> {
    vec![
        opened(opening(100, "2026-11-18T08:00:00.000001Z")),
        escalated(100, "2026-11-18T08:00:05Z", (1002, None), "sudo", 37),
        closed(100, "2026-11-20T22:15:00.5Z", End::HostRestarted),
        opened(Opening {
            user: Some("root".to_owned()),
            uid: Some(0),
            peer: Some("[2001:db8:85a3:1319:8a2e:370:7334:1]:51000".parse().unwrap()),
            local: Some("[2001:db8::1]:22".parse().unwrap()),
            ..opening(200, "2026-11-20T23:30:00.123456Z")
        }),
        terminal(200, "2026-11-20T23:30:00.2Z", "pts/0"),
        by_certificate(200, "2026-11-20T23:30:00.3Z"),
        began(200, "2026-11-20T23:30:00.4Z", CommandKind::Shell, &["-bash"]),
        closed(200, "2026-11-20T23:33:07.623456Z", End::Logout),
        opened(Opening {
            user: Some("名前".to_owned()),
            uid: Some(1002),
            auth: Some(Auth { method: "password".to_owned(), key: None, certificate: None, user_log: None }),
            ..opening(300, "2026-11-21T06:00:00Z")
        }),
        terminal(300, "2026-11-21T06:00:00.1Z", "pts/11"),
        closed(300, "2026-11-21T06:00:00.45Z", End::Killed),
        // A name that wants to clear the screen, to hide and to turn around.
        opened(Opening {
            user: Some("\u{1b}[2Jro\u{200b}ot\u{202e}x\n".to_owned()),
            uid: None,
            container: Some(Container {
                pid_namespace: 4_026_532_200,
                cgroup: Some("/docker/\u{1b}[2Jx".to_owned()),
            }),
            auth: Some(Auth {
                method: "publickey".to_owned(),
                key: Some(auth_key("RSA")),
                certificate: None,
                user_log: Some("\u{1b}[2Jsomebody else\n".to_owned()),
            }),
            sshd: Sshd { pid: 400, exe: Some("/tmp/\u{9b}31msshd".to_owned()) },
            ..opening(400, "2026-11-21T07:00:00Z")
        }),
        began(400, "2026-11-21T07:00:01Z", CommandKind::Command, &["sh", "-c", "rm -rf \u{1b}[2J /\n"]),
        closed(400, "2026-11-21T07:10:00Z", End::Unseen),
        opened(Opening {
            user: None,
            uid: None,
            peer: None,
            local: None,
            sshd: Sshd { pid: 500, exe: None },
            ..opening(500, "2026-11-21T08:00:00Z")
        }),
        opened(Opening {
            user: Some("a-very-long-account-name-of-thirty".to_owned()),
            peer: Some("198.51.100.23:60000".parse().unwrap()),
            ..opening(600, "2026-11-21T09:29:51Z")
        }),
        terminal(600, "2026-11-21T09:29:51.1Z", "pts/1"),
        escalated(600, "2026-11-21T09:29:52Z", (0, Some("root")), "/usr/bin/sudo", 1),
        escalated(600, "2026-11-21T09:29:53Z", (1002, Some("b\u{1b}[2Job")), "/tmp/\u{202e}odus\n", 1),
        opened(Opening {
            service: Service::Su,
            by: Some(Identity { uid: 1000, user: Some("al\u{1b}[2Jice".to_owned()) }),
            user: Some("postgres".to_owned()),
            uid: Some(26),
            peer: None,
            local: None,
            auth: None,
            tty: Some("tty1".to_owned()),
            sshd: Sshd { pid: 700, exe: Some("/usr/bin/su".to_owned()) },
            ..opening(700, "2026-11-17T06:30:00Z")
        }),
        closed(700, "2026-11-17T06:30:10Z", End::Logout),
    ]
}
