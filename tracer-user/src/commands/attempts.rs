//! `login-tracer attempts`: connections that led to no session, the newest first: by address, or each with those who told it.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};
use uuid::Uuid;

use super::{Exit, Usage, queue};
use crate::cli::AttemptsArgs;
use crate::notify::outbox::{self, Covered, Tellings};
use crate::output::attempts::{self, SourceRecord, Sources};
use crate::output::each_attempt::{self, EachRecord};
use crate::output::{self, View, json};
use crate::session::Attempt;
use crate::store::{AttemptFilter, Reader, StoreError};

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
    let search = Search::new(args, state_dir, view)?;
    let limit = if args.limit == 0 { usize::MAX } else { usize::try_from(args.limit).unwrap_or(usize::MAX) };
    let list = List { args, state_dir, view, search: &search, limit };
    if args.each { list.write_each(output) } else { list.write_by_address(output) }
}

/// What is listed, and how.
struct List<'a> {
    args: &'a AttemptsArgs,
    state_dir: &'a Path,
    view: &'a View,
    search: &'a Search,
    /// Most rows.
    limit: usize,
}

impl List<'_> {
    fn write_by_address(&self, output: &mut dyn Write) -> anyhow::Result<()> {
        let Self { args, view, search, limit, .. } = *self;
        let mut sources = Sources::default();
        let count = search.for_each(|_, attempt| sources.add(attempt))?;
        let sources = sources.newest_first();
        let shown = &sources[..sources.len().min(limit)];
        if args.json {
            return shown.iter().try_for_each(|source| {
                json::write_line(output, &SourceRecord::new(source, args.show_names))
            });
        }
        if shown.is_empty() {
            writeln!(output, "No attempt found.")?;
        } else {
            let rows: Vec<_> =
                shown.iter().map(|source| attempts::row(view, source, args.show_names)).collect();
            attempts::table().write(output, view, &rows)?;
        }
        if shown.len() < sources.len() {
            let more = sources.len() - shown.len();
            writeln!(output, "There are {more} more addresses; --limit 0 lists all.")?;
        }
        search.write_forgotten(count, output)
    }

    fn write_each(&self, output: &mut dyn Write) -> anyhow::Result<()> {
        let Self { args, state_dir, view, search, limit } = *self;
        let mut newest = VecDeque::new();
        let count = search.for_each(|change, attempt| {
            newest.push_front((change, attempt));
            newest.truncate(limit);
        })?;
        let tellings = match outbox::Reader::open(state_dir) {
            Ok(reader) => reader.tellings(search.store).context("cannot read what was told")?,
            Err(StoreError::Missing { .. }) => Tellings::default(),
            Err(error) => return Err(error).context("cannot read what was told"),
        };
        if args.json {
            return newest.iter().try_for_each(|(change, attempt)| {
                let record = EachRecord::new(attempt, &tellings.of(*change), args.show_names);
                json::write_line(output, &record)
            });
        }
        if newest.is_empty() {
            writeln!(output, "No attempt found.")?;
        } else {
            let row = |(change, attempt): &(i64, Attempt)| {
                each_attempt::row(view, attempt, &tellings.of(*change), args.show_names)
            };
            let rows: Vec<_> = newest.iter().map(row).collect();
            each_attempt::table().write(output, view, &rows)?;
        }
        if (newest.len() as u64) < count {
            let more = count - newest.len() as u64;
            writeln!(output, "There are {more} more attempts; --limit 0 lists all.")?;
        }
        search.write_forgotten(count, output)
    }
}

/// What is looked for, and where.
struct Search {
    reader: Reader,
    /// The identity of what `reader` reads.
    store: Uuid,
    filter: AttemptFilter,
    /// The attempts of a delivery, if only those are asked for.
    covered: Option<Covered>,
}

impl Search {
    fn new(args: &AttemptsArgs, state_dir: &Path, view: &View) -> anyhow::Result<Self> {
        let reader = Reader::open(state_dir).context("cannot list attempts")?;
        let since = match &args.since {
            Some(since) => {
                let at = since.resolve(view.now, &view.zone);
                Some(at.ok_or_else(|| Usage("--since is outside of the calendar".to_owned()))?)
            }
            None => None,
        };
        let mut filter = AttemptFilter { network: args.address, since, ..AttemptFilter::default() };
        let store = reader.store_id().context("cannot list attempts")?;
        let covered = match &args.told_by {
            None => None,
            Some(delivery) => {
                let id = queue::resolve(delivery, state_dir)?;
                let outbox = outbox::Reader::open(state_dir).context("cannot read what was told")?;
                let covered = outbox.covered_by(id).context("cannot read what was told")?;
                if covered.attempts == 0 {
                    bail!(
                        "delivery {id} tells no attempt; `login-tracer queue show {id}` says what it tells"
                    );
                }
                filter.changes = Some(covered.changes(store));
                Some(covered)
            }
        };
        Ok(Self { reader, store, filter, covered })
    }

    /// Hands what is found to `each`, oldest first, and says how much that was.
    fn for_each(&self, mut each: impl FnMut(i64, Attempt)) -> anyhow::Result<u64> {
        let mut count = 0;
        let is_wanted =
            |change| self.covered.as_ref().is_none_or(|covered| covered.contains(self.store, change));
        let found = self.reader.for_each_attempt_change(&self.filter, |change, attempt| {
            if is_wanted(change) {
                count += 1;
                each(change, attempt);
            }
        });
        found.context("cannot list attempts")?;
        Ok(count)
    }

    /// Says where a delivery told more than there still is.
    fn write_forgotten(&self, found: u64, output: &mut dyn Write) -> anyhow::Result<()> {
        let Some(covered) = &self.covered else { return Ok(()) };
        let is_whole = self.filter.network.is_none() && self.filter.since.is_none();
        if is_whole && found < covered.attempts {
            let gone = covered.attempts - found;
            writeln!(output, "It told {gone} more, which are forgotten (`keep_attempts`).")?;
        }
        Ok(())
    }
}
