//! `sessions.db` at its boundary: updates in, rows out; killed, damaged, full, and read by others.

mod attempts;
mod faults;
mod readers;
#[path = "../root.rs"]
mod root;
mod rows;

use jiff::Timestamp;
use login_tracer::session::{Closed, End, LossCounter, Opening, SessionKey, Sshd, Update};

/// A session by the monitor with this pid.
fn opening(pid: u32) -> Opening {
    Opening {
        key: SessionKey::new("machine", "boot", pid, 1_000),
        host: "web-1".into(),
        service: login_tracer::session::Service::Ssh,
        by: None,
        boot_id: "boot".into(),
        user: Some("alice".into()),
        uid: Some(1001),
        peer: Some("192.0.2.7:40000".parse().expect("an address")),
        local: Some("192.0.2.1:22".parse().expect("an address")),
        auth: None,
        tty: None,
        sshd: Sshd { pid, exe: Some("/usr/sbin/sshd".into()) },
        sshd_start_boot_ns: 1_000,
        at: at(0),
        recovered: false,
        container: None,
        account: None,
    }
}

fn opened(opening: &Opening) -> Update {
    Update::Opened(Box::new(opening.clone()))
}

fn closed(opening: &Opening, seconds: i64) -> Update {
    Update::Closed { key: opening.key, closed: Closed { at: at(seconds), end: End::Logout } }
}

/// So many events more, by a counter that shows `total`.
fn lost(count: u64, total: u64) -> Update {
    Update::EventsLost { at: at(0), count, counter: LossCounter { name: "boot/1".into(), value: total } }
}

/// So many seconds after an arbitrary moment.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + seconds).expect("a time")
}
