//! `login-tracer queue show ID`: one delivery with its attempts.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cli::QueueShowArgs;
use crate::notify::outbox::Reader;
use crate::output::queue::{self, DetailRecord};
use crate::output::{View, json};

/// Writes what `args` ask for.
pub fn write(
    args: &QueueShowArgs,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let id = super::resolve(&args.delivery, state_dir)?;
    let reader = Reader::open(state_dir).context("cannot show the delivery")?;
    let Some(detail) = reader.delivery(id).context("cannot show the delivery")? else {
        bail!("there is no such delivery any more");
    };
    let covered = reader.covered_by(id).context("cannot show the delivery")?;
    if args.json {
        return json::write_line(output, &DetailRecord::new(&detail, &covered));
    }
    Ok(queue::write_delivery(&detail, &covered, view, output)?)
}
