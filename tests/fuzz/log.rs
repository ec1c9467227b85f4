//! Lines of sshd's log, as real as they come and with every damage, said by the monitor of a login before, while and after
//! it is let in.

use std::sync::LazyLock;

use login_tracer::event::{BootTime, Event, ExitStatus, Fact, Image, Process};
use login_tracer::tracker::{Finding, Tracker};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::edit::{Edit, edited, edits};
use crate::recorded_lines;

const MONITOR: u32 = 4_242;
const PREAUTH: u32 = 4_243;

/// The recorded lines, without what names the process that said them.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let events = recorded_lines().into_iter().map(|line| serde_json::from_str::<Event>(&line).unwrap());
    let texts = events.filter_map(|event| {
        let Fact::LogLine { text } = event.fact else { return None };
        text.split_once("]: ").map(|(_, text)| text.to_owned())
    });
    texts.collect()
});

fn event(at: u64, pid: u32, uid: u32, fact: Fact) -> Event {
    let process = Process { pid, start: BootTime(u64::from(pid)) };
    let parent_pid = if pid == PREAUTH { MONITOR } else { 1 };
    Event { at: BootTime(at), process, parent_pid, uid, fact }
}

/// What the monitor is heard to say.
fn line(at: u64, text: &[u8]) -> Event {
    let text = String::from_utf8_lossy(text);
    let text = format!("<38>Nov 21 07:12:28 sshd[{MONITOR}]: {text}").replace('\0', " ");
    event(at, MONITOR, 0, Fact::LogLine { text })
}

proptest! {
    #[test]
    fn lines(
        said in proptest::collection::vec((any::<Index>(), edits()), 1..6),
        let_in_after in 0_usize..8,
    ) {
        let image = Image { name: "sshd".into(), path: "/usr/sbin/sshd".into(), owner_uid: 0, mode: 0o755 };
        let (peer, local) = ("127.64.1.1:4".parse().unwrap(), "127.64.1.1:22".parse().unwrap());
        let preauth = Process { pid: PREAUTH, start: BootTime(u64::from(PREAUTH)) };
        let mut events = vec![
            event(1, MONITOR, 0, Fact::Exec(image)),
            event(2, MONITOR, 0, Fact::Socket { peer, local }),
            event(3, MONITOR, 0, Fact::Fork { child: preauth }),
        ];
        let text = |(which, edits): &(Index, Vec<Edit>)| edited(TEXTS[which.index(TEXTS.len())].as_bytes(), edits);
        events.extend(said.iter().map(|said| line(4, &text(said))));
        let login = [
            event(5, PREAUTH, 74, Fact::Exit(ExitStatus::Code(0))),
            event(6, MONITOR, 0, Fact::TimerDisarmed { title: String::new() }),
        ];
        let place = (3 + let_in_after).min(events.len());
        let is_let_in = let_in_after < 6;
        if is_let_in {
            events.splice(place..place, login);
        }
        events.push(event(9, MONITOR, 0, Fact::Exit(ExitStatus::Code(255))));
        let mut tracker = Tracker::default();
        events.iter().for_each(|event| tracker.handle(event));
        let found: Vec<_> = std::iter::from_fn(|| tracker.next_finding()).collect();
        let opened = found.iter().filter(|finding| matches!(finding, Finding::Opened { .. })).count();
        prop_assert_eq!(opened, usize::from(is_let_in), "lines open nothing");
        let mut own_attempts = 0;
        for finding in found {
            let Finding::Attempt(attempt) = finding else { continue };
            prop_assert!(attempt.tried.users.iter().all(|user| user.name.len() <= 128));
            prop_assert!(attempt.tried.methods.iter().all(|method| method.len() <= 32));
            own_attempts += usize::from(attempt.monitor.is_some());
        }
        prop_assert_eq!(own_attempts, usize::from(!is_let_in), "an attempt is a connection without a session");
    }
}
