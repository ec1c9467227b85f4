//! What the programs in the kernel cost, by the kernel's own statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};

use crate::Bench;
use crate::report::Row;
use crate::server::Server;
use crate::tracer::Tracer;
use crate::visitor;

/// What the kernel has counted for a program.
#[derive(Debug, Clone, Copy)]
struct Counted {
    runs: u64,
    time: Duration,
    verified: u32,
}

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let server = Server::start("UsePAM yes\n");
    let tracer = Tracer::start_in(bench, "bpf")?;
    let ids = tracer.program_ids()?;
    visitor::visit(visitor::port(&server), visitor::address(0))?;

    // The kernel counts as long as this is open.
    let statistics = enable_stats(Stats::RunTime).context("the kernel does not count")?;
    let before = counted(&ids)?;
    let logins = bench.rounds(20, 100);
    for login in 0..logins {
        visitor::visit(visitor::port(&server), visitor::address(login))?;
    }
    let after = counted(&ids)?;
    drop(statistics);

    let mut in_all = Duration::ZERO;
    for (name, now) in &after {
        let was = before.get(name).context("a program has appeared")?;
        let (runs, time) = (now.runs - was.runs, now.time - was.time);
        in_all += time;
        let (runs_each, run_ns) = (runs as f64 / logins as f64, time.as_nanos() as f64 / runs.max(1) as f64);
        row.several(
            name,
            &[
                (f64::from(now.verified), "instructions verified"),
                (runs_each, "runs a login"),
                (run_ns, "ns a run"),
            ],
        )?;
    }
    let each = in_all.as_secs_f64() * 1e6 / logins as f64;
    row.repeated("all programs", "us a login, with all that ran meanwhile", vec![each], None)
}

/// By the name of the program.
fn counted(ids: &[u64]) -> anyhow::Result<BTreeMap<String, Counted>> {
    let mut found = BTreeMap::new();
    for program in loaded_programs() {
        // A program of somebody else may end while it is looked at.
        let Ok(program) = program else { continue };
        if !ids.contains(&program.id().into()) {
            continue;
        }
        let name = program.name_as_str().context("a program has no name")?.to_owned();
        let verified = program.verified_instruction_count().unwrap_or(0);
        found.insert(name, Counted { runs: program.run_count(), time: program.run_time(), verified });
    }
    ensure!(found.len() == ids.len(), "{} programs found, not {}", found.len(), ids.len());
    Ok(found)
}
