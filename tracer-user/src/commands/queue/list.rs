//! `login-tracer queue list [SINK]`: every queue in a line, or the deliveries of one.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cli::QueueListArgs;
use crate::notify::outbox::Reader;
use crate::output::View;
use crate::output::json::{self, DeliveryRecord};
use crate::output::queue::{self, QueueRecord};
use crate::sanitize;

/// Most deliveries that are shown to people.
const SHOWN: u32 = 50;
/// Longest name that an error repeats, in characters.
const NAME_CHARS: usize = 40;

/// Writes what `args` ask for.
pub fn write(
    args: &QueueListArgs,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let reader = Reader::open(state_dir).context("cannot list the queue")?;
    let queues = reader.queues().context("cannot list the queue")?;
    let Some(sink) = &args.sink else {
        if args.json {
            return queues.iter().try_for_each(|row| json::write_line(output, &QueueRecord::from(row)));
        }
        if queues.is_empty() {
            writeln!(output, "There are no queues yet: they appear when the notify role has started.")?;
        } else {
            queue::write_queues(&queues, view, output)?;
        }
        return Ok(());
    };
    if !queues.iter().any(|row| row.sink == *sink) {
        bail!(
            "there is no sink {}; `login-tracer queue list` shows those there are",
            sanitize::text(sink, NAME_CHARS)
        );
    }
    let limit = if args.json { u32::MAX } else { SHOWN + 1 };
    let mut rows = reader.deliveries_at(sink, limit).context("cannot list the queue")?;
    if args.json {
        return rows.iter().try_for_each(|row| json::write_line(output, &DeliveryRecord::from(row)));
    }
    if rows.is_empty() {
        writeln!(output, "Nothing waits and nothing is parked.")?;
        return Ok(());
    }
    let has_more = rows.len() > SHOWN as usize;
    rows.truncate(SHOWN as usize);
    queue::write_deliveries(&rows, view, output)?;
    if has_more {
        writeln!(output, "There are more; --json lists all.")?;
    }
    Ok(())
}
