//! `login-tracer replay`: what the tracker finds in a recording. A bug report is one file, and this shows what is in it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Exit;
use crate::cli::ReplayArgs;
use crate::event::{BootTime, Event};
use crate::output::{self, json};
use crate::sanitize;
use crate::tracker::{Finding, Tracker};

/// Longest line that is an event: a log line of 512 bytes, each of which JSON may write as six, and its frame.
const LINE_BYTES: u64 = 16 << 10;

pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    output::to_stdout(|stdout| write(args, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(args: &ReplayArgs, output: &mut dyn Write) -> anyhow::Result<()> {
    let shown = sanitize::line(&args.recording.to_string_lossy());
    let file = File::open(&args.recording).with_context(|| format!("cannot read the recording {shown}"))?;
    let mut lines = BufReader::new(file);
    let (mut tracker, mut first) = (Tracker::default(), None);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        lines
            .by_ref()
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read {shown}"))?;
        if line.is_empty() {
            break;
        }
        if line.len() as u64 == LINE_BYTES {
            bail!("{shown}:{number}: the line is too long for an event of `trace --record`");
        }
        let event: Event = serde_json::from_slice(&line)
            .with_context(|| format!("{shown}:{number}: no event of `trace --record` of this version"))?;
        let start = *first.get_or_insert(event.at);
        tracker.handle(&event);
        while let Some(finding) = tracker.next_finding() {
            if args.json {
                json::write_line(output, &finding)?;
            } else {
                writeln!(output, "{}", describe(&finding, start)?)?;
            }
        }
    }
    Ok(())
}

/// `   12.3 ms  opened  monitor 77  user "alice" ...`: time since the first event, what it is, and all that is known.
fn describe(finding: &Finding, start: BootTime) -> anyhow::Result<String> {
    let Value::Object(finding) = serde_json::to_value(finding)? else { bail!("a finding is an object") };
    let mut text = String::new();
    for (kind, details) in &finding {
        let at = ["at", "ended_at"].iter().find_map(|key| details[key].as_u64());
        let after_ms = at.unwrap_or(start.0).saturating_sub(start.0) as f64 / 1e6;
        text = format!("{after_ms:>10.1} ms  {kind}");
        for (name, value) in details.as_object().into_iter().flatten() {
            if !value.is_null() && !["at", "began_at", "ended_at"].contains(&name.as_str()) {
                // A process is known by its id; the start only tells it from others.
                let shown = value.get("pid").unwrap_or(value);
                text.push_str(&format!("  {name} {shown}"));
            }
        }
    }
    Ok(sanitize::line(&text))
}
