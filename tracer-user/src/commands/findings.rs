//! `login-tracer findings`: the sshds that were started and are not this host's.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::Exit;
use crate::cli::FindingsArgs;
use crate::output::json::{self, rfc3339};
use crate::output::session::{known, time};
use crate::output::table::{Cell, Table};
use crate::output::{self, Style, View};
use crate::session::{Change, ForeignSshd};
use crate::store::Reader;

/// Characters shown of an account name, and of a path.
const USER_CHARS: usize = 20;
const PATH_CHARS: usize = 60;

pub(super) fn run(args: &FindingsArgs, state_dir: &Path) -> anyhow::Result<Exit> {
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, state_dir, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(
    args: &FindingsArgs,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let reader = Reader::open(state_dir).context("cannot list findings")?;
    let limit = (args.limit > 0).then_some(args.limit);
    let changes = reader.foreign_sshds(limit).context("cannot list findings")?;
    let found = changes.iter().filter_map(|change| Some((change, change.foreign.as_ref()?)));
    if args.json {
        let mut found = found;
        return found.try_for_each(|(change, foreign)| json::write_line(output, &record(change, foreign)));
    }
    let rows: Vec<_> = found.map(|(change, foreign)| row(view, change, foreign)).collect();
    if rows.is_empty() {
        writeln!(output, "Nothing found.")?;
        return Ok(());
    }
    let mut table = Table::new(["WHEN", "USER", "UID", "PID", "PROGRAM", "WHY"]).right(&["UID", "PID"]);
    Ok(table.write(output, view, &rows)?)
}

fn row(view: &View, change: &Change, foreign: &ForeignSshd) -> [Cell; 6] {
    [
        Cell::new(time(view, change.at)),
        Cell::new(known(foreign.run_by.user.as_deref(), USER_CHARS)),
        Cell::new(foreign.run_by.uid.to_string()),
        Cell::new(foreign.pid.to_string()),
        Cell::new(known(Some(&foreign.exe), PATH_CHARS)),
        Cell::styled(foreign.doubt.as_str(), Style::Yellow),
    ]
}

/// A finding in the order of its fields.
#[derive(Debug, Serialize)]
struct Record<'a> {
    id: i64,
    kind: &'static str,
    at: String,
    #[serde(flatten)]
    foreign: &'a ForeignSshd,
}

fn record<'a>(change: &Change, foreign: &'a ForeignSshd) -> Record<'a> {
    Record { id: change.id, kind: change.kind.as_str(), at: rfc3339(change.at), foreign }
}
