//! `login-tracer summary`: what happened lately, as the summaries tell it that go out by schedule.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use jiff::SignedDuration;
use serde::Serialize;

use super::{Exit, Usage};
use crate::cli::{Global, SummaryArgs};
use crate::config::{self, Secrets};
use crate::notify::message::{self, Event};
use crate::notify::summary::{Summary, collect, schedule};
use crate::output::{self, Style, View, json};
use crate::store::Reader;

/// Columns that the labels take.
const LABEL_WIDTH: usize = 12;

/// The summary, and its colour.
#[derive(Debug, Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    level: crate::assess::Level,
}

pub(super) fn run(args: &SummaryArgs, global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    let config = config::load(global.config.as_deref(), Secrets::Skip)?;
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, &config.host(), state_dir, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for. `host` is what this host is called.
pub fn write(
    args: &SummaryArgs,
    host: &str,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let since = args.since.resolve(view.now, &view.zone);
    let from = since.ok_or_else(|| Usage("--since is outside of the calendar".to_owned()))?;
    let longest = SignedDuration::from_hours(24 * i64::from(schedule::LONGEST) + 1);
    if view.now.duration_since(from) > longest {
        let most = format!("--since: a summary covers {} days at most", schedule::LONGEST);
        return Err(Usage(most).into());
    }
    // As with the lists: without any database, something is wrong, and not a quiet day.
    Reader::open(state_dir).context("cannot summarize")?;
    let summary =
        collect::collect(state_dir, host, from, view.now, &view.zone).context("cannot summarize")?;
    if args.json {
        let level = summary.level();
        return json::write_line(output, &Record { summary: &summary, level });
    }
    let event = Event::Summary { every: String::new(), summary: Box::new(summary) };
    let message = message::compose(&event, None, &view.zone);
    let style = message.level.map_or(Style::Bold, Style::from);
    writeln!(output, "{}", view.styled(style, &message.summary))?;
    for line in &message.lines {
        writeln!(output, "{:<LABEL_WIDTH$}{}", line.label.as_str(), line.text)?;
    }
    Ok(())
}
