//! `login-tracer attempts`: connections that led to no session, by address, the newest first.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;

use super::{Exit, Usage};
use crate::cli::AttemptsArgs;
use crate::output::attempts::{self, SourceRecord, Sources};
use crate::output::{self, View, json};
use crate::store::{AttemptFilter, Reader};

pub(super) fn run(args: &AttemptsArgs, state_dir: &Path) -> anyhow::Result<Exit> {
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, state_dir, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(
    args: &AttemptsArgs,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let reader = Reader::open(state_dir).context("cannot list attempts")?;
    let since = match &args.since {
        Some(since) => {
            let at = since.resolve(view.now, &view.zone);
            Some(at.ok_or_else(|| Usage("--since is outside of the calendar".to_owned()))?)
        }
        None => None,
    };
    let mut sources = Sources::default();
    let filter = AttemptFilter { network: args.address, since, ..AttemptFilter::default() };
    reader.for_each_attempt(&filter, |attempt| sources.add(attempt)).context("cannot list attempts")?;
    let sources = sources.newest_first();
    let limit = if args.limit == 0 { usize::MAX } else { usize::try_from(args.limit).unwrap_or(usize::MAX) };
    let shown = &sources[..sources.len().min(limit)];
    if args.json {
        return shown
            .iter()
            .try_for_each(|source| json::write_line(output, &SourceRecord::new(source, args.show_names)));
    }
    if shown.is_empty() {
        return Ok(writeln!(output, "No attempt found.")?);
    }
    let rows: Vec<_> = shown.iter().map(|source| attempts::row(view, source, args.show_names)).collect();
    attempts::table().write(output, view, &rows)?;
    if shown.len() < sources.len() {
        let more = sources.len() - shown.len();
        writeln!(output, "There are {more} more addresses; --limit 0 lists all.")?;
    }
    Ok(())
}
