//! `login-tracer queue drain`: waits until nothing waits.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::cli::QueueDrainArgs;
use crate::commands::Exit;
use crate::notify::outbox::{QueueRow, Reader};
use crate::output;
use crate::sanitize;
use crate::supervise::Role;
use crate::supervise::lock::{self, Holder};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest name that is repeated, in characters.
const NAME_CHARS: usize = 40;

pub(in crate::commands) fn run(args: &QueueDrainArgs, state_dir: &Path) -> anyhow::Result<Exit> {
    let reader = Reader::open(state_dir).context("cannot look into the queue")?;
    let deadline = Instant::now() + Duration::try_from(args.timeout).unwrap_or(Duration::ZERO);
    loop {
        let mut queues = reader.queues().context("cannot look into the queue")?;
        if let Some(sink) = &args.sink {
            queues.retain(|row| row.sink == *sink);
            if queues.is_empty() {
                let sink = sanitize::text(sink, NAME_CHARS);
                bail!("there is no sink {sink}; `login-tracer queue list` shows those there are");
            }
        }
        queues.retain(|row| row.waiting + row.sending > 0);
        if queues.is_empty() {
            output::to_stdout(|stdout| Ok(writeln!(stdout, "nothing waits")?))?;
            return Ok(Exit::Success);
        }
        // What cannot become empty is not waited for.
        let left = shown(&queues);
        if queues.iter().all(|row| row.held.is_some() || !row.is_configured) {
            bail!("the rest waits for sinks that are held or not configured: {left}");
        }
        let runs = lock::is_held(Holder::Role(Role::Notify), state_dir);
        if !runs.context("cannot tell whether the notify role runs")? {
            bail!("the notify role does not run, and this waits for it: {left}");
        }
        if Instant::now() >= deadline {
            bail!("not empty in time: {left}");
        }
        std::thread::sleep(PAUSE);
    }
}

/// `ops 12, team 3`
fn shown(queues: &[QueueRow]) -> String {
    let words =
        |row: &QueueRow| format!("{} {}", sanitize::text(&row.sink, NAME_CHARS), row.waiting + row.sending);
    queues.iter().map(words).collect::<Vec<_>>().join(", ")
}
