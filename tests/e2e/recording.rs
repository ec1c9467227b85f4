//! Recordings of scenarios, for the tests of the tracker: what the kernel reported while a scenario was played.
//!
//! Only on request: `LOGIN_TRACER_RECORD=DIR` writes `DIR/GROUP-NAME.jsonl` for each scenario. The tracer records every
//! door on this kernel; of servers, only trees of processes that served one of the sandbox's addresses are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::Context as _;
use login_tracer::event::{Event, Fact};

use crate::sandbox::{self, ROOM};

/// Names the folder that recordings are written to. It must lie outside of what the sandbox hides.
const FOLDER: &str = "LOGIN_TRACER_RECORD";

/// The recordings of one run.
pub struct Recordings {
    folder: File,
    /// How much of the tracer's recording belongs to earlier scenarios, in bytes.
    done: Mutex<u64>,
}

impl Recordings {
    /// If they were asked for. Must be called before the sandbox hides the folder.
    pub fn wanted() -> anyhow::Result<Option<Self>> {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
            return Ok(None);
        };
        let opened = File::open(&folder).with_context(|| format!("cannot open {}", folder.display()))?;
        Ok(Some(Self { folder: opened, done: Mutex::new(0) }))
    }

    /// Where the tracer writes its recording.
    pub fn source() -> String {
        format!("{ROOM}/recording.jsonl")
    }

    /// Writes what came since the last call under the name of a scenario.
    pub fn save(&self, scenario: &str) -> anyhow::Result<()> {
        use std::os::fd::AsRawFd as _;
        let mut done = self.done.lock().expect("nobody fails with the lock");
        let mut source = File::open(Self::source()).context("cannot open the tracer's recording")?;
        source.seek(SeekFrom::Start(*done)).context("cannot skip earlier scenarios")?;
        let mut text = String::new();
        *done += source.read_to_string(&mut text).context("cannot read the tracer's recording")? as u64;
        let path = format!("/proc/self/fd/{}/{}.jsonl", self.folder.as_raw_fd(), scenario.replace("::", "-"));
        fs::write(path, ours(&text)?).context("cannot write a recording")
    }
}

/// The lines about trees of processes that served one of the sandbox's addresses.
fn ours(text: &str) -> anyhow::Result<String> {
    let lines: Vec<&str> = text.lines().collect();
    let events: Vec<Event> = lines
        .iter()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not an event: {line}")))
        .collect::<anyhow::Result<_>>()?;
    let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
    for event in &events {
        parents.entry(event.process.pid).or_insert(event.parent_pid);
        if let Fact::Fork { child } = &event.fact {
            parents.insert(child.pid, event.process.pid);
        }
        if let Fact::Escalated(escalated) = &event.fact
            && escalated.root.pid != event.process.pid
        {
            parents.insert(event.process.pid, escalated.root.pid);
        }
    }
    let root = |mut pid: u32| {
        // Bounded: a process id that is used twice could make a circle.
        for _ in 0..32 {
            match parents.get(&pid) {
                Some(parent) if parents.contains_key(parent) => pid = *parent,
                _ => break,
            }
        }
        pid
    };
    let is_ours = |fact: &Fact| match fact {
        Fact::Socket { local, .. } => {
            local.ip() == sandbox::address()
                || (local.ip().is_loopback() && sandbox::server_ports().contains(&local.port()))
        }
        // Nobody else on this machine is let in by su or sudo where the tracer watches them.
        Fact::Enter { .. } => true,
        Fact::Exec(_)
        | Fact::Leave { .. }
        | Fact::Fork { .. }
        | Fact::Exit(_)
        | Fact::TimerDisarmed { .. }
        | Fact::Credentials { .. }
        | Fact::Escalated(_)
        | Fact::ForeignExec(_)
        | Fact::LogLine { .. } => false,
    };
    let trees: BTreeSet<u32> =
        events.iter().filter(|event| is_ours(&event.fact)).map(|event| root(event.process.pid)).collect();
    let kept = lines.iter().zip(&events).filter(|(_, event)| trees.contains(&root(event.process.pid)));
    Ok(kept.map(|(line, _)| format!("{line}\n")).collect())
}
