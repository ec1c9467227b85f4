//! A small world of processes, each known by its id.

use login_tracer::event::{BootTime, Event, ExitStatus, Fact, Image, Process};

pub(crate) const LISTENER: u32 = 100;
pub(crate) const MONITOR: u32 = 200;
pub(crate) const PREAUTH: u32 = 201;
pub(crate) const POSTAUTH: u32 = 202;
pub(crate) const SHELL: u32 = 203;
pub(crate) const ALICE: u32 = 1001;
pub(crate) const SSHD_USER: u32 = 74;

/// Starts in the order of the ids, so that a process is known by its id here.
pub(crate) fn process(pid: u32) -> Process {
    Process { pid, start: BootTime(u64::from(pid)) }
}

pub(crate) fn event(at: u64, pid: u32, parent_pid: u32, uid: u32, fact: Fact) -> Event {
    Event { at: BootTime(at), process: process(pid), parent_pid, uid, fact }
}

pub(crate) fn sshd(name: &str) -> Image {
    Image { name: name.into(), path: format!("/usr/sbin/{name}"), owner_uid: 0, mode: 0o755 }
}

pub(crate) fn disarm() -> Fact {
    Fact::TimerDisarmed { title: "sshd: alice [priv]".into() }
}

pub(crate) fn becomes(uid: u32) -> Fact {
    Fact::Credentials { ruid: uid, euid: uid, suid: uid }
}

/// The login of a normal user with a command, by OpenSSH up to 9.7.
pub(crate) fn login() -> Vec<Event> {
    let (peer, local) =
        ("192.0.2.7:40000".parse().expect("an address"), "192.0.2.1:22".parse().expect("an address"));
    vec![
        event(1, LISTENER, 1, 0, Fact::Fork { child: process(MONITOR) }),
        event(2, MONITOR, LISTENER, 0, Fact::Exec(sshd("sshd"))),
        event(3, MONITOR, LISTENER, 0, Fact::Fork { child: process(PREAUTH) }),
        event(4, MONITOR, LISTENER, 0, Fact::Socket { peer, local }),
        event(5, PREAUTH, MONITOR, SSHD_USER, becomes(SSHD_USER)),
        event(6, PREAUTH, MONITOR, SSHD_USER, Fact::Exit(ExitStatus::Code(0))),
        event(7, MONITOR, LISTENER, 0, disarm()),
        event(8, MONITOR, LISTENER, 0, Fact::Fork { child: process(POSTAUTH) }),
        event(9, POSTAUTH, MONITOR, ALICE, becomes(ALICE)),
        event(10, POSTAUTH, MONITOR, ALICE, Fact::Fork { child: process(SHELL) }),
        event(
            11,
            SHELL,
            POSTAUTH,
            ALICE,
            Fact::Leave {
                tty: Some("pts/3".into()),
                path: "/bin/bash".into(),
                arguments: vec!["-bash".into()],
                user: None,
            },
        ),
        event(12, POSTAUTH, MONITOR, ALICE, Fact::Exit(ExitStatus::Code(255))),
        event(13, MONITOR, LISTENER, 0, Fact::Exit(ExitStatus::Code(255))),
    ]
}

/// A line of a monitor's log, as syslog(3) sends it.
pub(crate) fn says(at: u64, pid: u32, text: &str) -> Event {
    let text = format!("<38>Nov 21 07:12:28 sshd[{pid}]: {text}");
    event(at, pid, LISTENER, 0, Fact::LogLine { text })
}

/// The connection of the login.
pub(crate) fn connection() -> Fact {
    let (peer, local) =
        ("192.0.2.7:40000".parse().expect("an address"), "192.0.2.1:22".parse().expect("an address"));
    Fact::Socket { peer, local }
}
