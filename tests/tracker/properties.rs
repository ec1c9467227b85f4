//! Any order, loss or repetition of events: no panic, no session opened twice, none closed that was not open.

use std::collections::HashMap;
use std::sync::LazyLock;

use login_tracer::event::{BootTime, Escalated, Event, ExitStatus, Fact, Image, Process};
use login_tracer::tracker::Finding;
use proptest::prelude::*;

use crate::{findings, traces};

static RECORDINGS: LazyLock<Vec<traces::Recording>> = LazyLock::new(traces::recordings);

/// Every finding must make sense after the ones before it.
fn check(found: &[Finding]) -> Result<(), TestCaseError> {
    let mut is_open: HashMap<Process, bool> = HashMap::new();
    for finding in found {
        match finding {
            Finding::Opened { monitor, .. } | Finding::Recovered { monitor, .. } => {
                prop_assert!(is_open.insert(*monitor, true).is_none(), "opened twice: {monitor:?}");
            }
            Finding::Identified { monitor, .. }
            | Finding::Authenticated { monitor, .. }
            | Finding::Began { monitor, .. } => {
                prop_assert_eq!(is_open.get(monitor), Some(&true), "identified, but not open");
            }
            Finding::Closed { monitor, .. } => {
                prop_assert_eq!(is_open.insert(*monitor, false), Some(true), "closed, but not open");
            }
            Finding::Escalated { monitor, count, .. } => {
                prop_assert!(is_open.contains_key(monitor), "escalated, but never opened");
                prop_assert!(*count > 0);
            }
            Finding::ForeignSshd { uid, image, .. } => {
                prop_assert!(*uid != 0 || !image.is_trusted_sshd(), "trusted and doubted");
            }
            Finding::Attempt(attempt) => {
                let Some(monitor) = attempt.monitor else { continue };
                prop_assert!(!is_open.contains_key(&monitor), "a session, and yet an attempt");
                prop_assert!(attempt.tried.users.len() <= 8 && attempt.tried.methods.len() <= 8);
            }
        }
    }
    Ok(())
}

/// A process of a small world, so that events meet each other.
fn any_process() -> impl Strategy<Value = Process> {
    (1_u32..6, 1_u64..3).prop_map(|(pid, start)| Process { pid, start: BootTime(start) })
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let name = prop_oneof![
        Just("sshd"),
        Just("sshd-session"),
        Just("sshd-auth"),
        Just("dropbear"),
        Just("login"),
        Just("su"),
        Just("sudo"),
    ];
    let mode = prop_oneof![4 => Just(0o4755_u32), 1 => Just(0o777_u32)];
    let image = (name, mode).prop_map(|(name, mode)| Image {
        name: name.into(),
        path: format!("/usr/sbin/{name}"),
        owner_uid: 0,
        mode,
    });
    let status = prop_oneof![3 => Just(ExitStatus::Code(0)), 1 => Just(ExitStatus::Code(255)), 1 => Just(ExitStatus::Signal(9))];
    prop_oneof![
        2 => image.clone().prop_map(Fact::Exec),
        2 => image.clone().prop_map(|image| Fact::Enter { image, tty: Some("tty1".into()) }),
        1 => image.prop_map(Fact::ForeignExec),
        2 => (0_u32..3).prop_map(|uid| Fact::Leave {
            tty: Some("pts/0".into()),
            path: "/bin/sh".into(),
            arguments: vec!["-sh".into()],
            user: Some(uid),
        }),
        2 => Just(Fact::Socket {
            peer: "192.0.2.7:40000".parse().expect("an address"),
            local: "192.0.2.1:22".parse().expect("an address"),
        }),
        4 => any_line().prop_map(|text| Fact::LogLine { text }),
        4 => any_process().prop_map(|child| Fact::Fork { child }),
        4 => status.prop_map(Fact::Exit),
        4 => Just(Fact::TimerDisarmed { title: "sshd: alice [priv]".into() }),
        2 => (0_u32..3).prop_map(|uid| Fact::Credentials { ruid: uid, euid: uid, suid: uid }),
        2 => (any_process(), 0_u32..3).prop_map(|(root, to)| {
            Fact::Escalated(Escalated { root, from: 1, to, is_granted: to == 2, name: "su".into(), path: None })
        }),
    ]
}

/// Lines of processes of the small world.
fn any_line() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("Accepted password for alice from 192.0.2.7 port 40000 ssh2".to_owned()),
        Just("Accepted password for bob from 192.0.2.8 port 40000 ssh2".to_owned()),
        Just("Password auth succeeded for 'alice' from 192.0.2.7:40000".to_owned()),
        Just("drop connection #1 from [192.0.2.7]:4 on [192.0.2.1]:22 past MaxStartups".to_owned()),
        "[a-z]{0,9}".prop_map(|name| format!("Invalid user {name} from 192.0.2.7 port 40000")),
        "Failed [a-z]{1,9} for (invalid user )?[a-z]{0,200} from 192.0.2.7 port 40000 ssh2",
        any::<String>(),
    ];
    (1_u32..6, text).prop_map(|(pid, text)| format!("<38>Nov 21 07:12:28 sshd[{pid}]: {text}"))
}

fn any_event() -> impl Strategy<Value = Event> {
    (0_u64..1_000, any_process(), 1_u32..6, 0_u32..3, any_fact()).prop_map(
        |(at, process, parent_pid, uid, fact)| Event { at: BootTime(at), process, parent_pid, uid, fact },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn invented_events(events in proptest::collection::vec(any_event(), 0..200)) {
        check(&findings(&events))?;
    }

    /// Real logins, with events lost, repeated and moved.
    #[test]
    fn damaged_recordings(
        index in any::<prop::sample::Index>(),
        fates in proptest::collection::vec((0_u8..10, any::<prop::sample::Index>()), 400),
    ) {
        let recording = &RECORDINGS[index.index(RECORDINGS.len())];
        let mut events = Vec::new();
        for (event, (fate, place)) in recording.events.iter().zip(fates) {
            match fate {
                0 => {}
                1 => events.extend([event.clone(), event.clone()]),
                2 if !events.is_empty() => events.insert(place.index(events.len()), event.clone()),
                _ => events.push(event.clone()),
            }
        }
        events.extend_from_within(..);
        check(&findings(&events))?;
    }
}
