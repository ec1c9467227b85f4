//! What a login pays: `ssh host true` by key, with the tracer and without it.

use std::time::Duration;

use crate::Bench;
use crate::measurement::Target;
use crate::report::Row;
use crate::server::Server;
use crate::tracer::Tracer;
use crate::visitor;

/// Logins of each turn; the median of them counts.
pub const LOGINS: usize = 5;
/// How long the machine may take to calm down after the tracer's start or end.
pub const CALM: Duration = Duration::from_millis(200);
/// "A login is never delayed": 1.00, with what a few rounds cannot tell apart.
const TARGET: Target = Target::AtMost(1.01);

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let server = Server::start("UsePAM yes\n");
    median(&server, LOGINS)?;
    let mut rounds = Vec::new();
    for round in 0..bench.rounds(5, 25) {
        let without = || {
            std::thread::sleep(CALM);
            median(&server, LOGINS)
        };
        let with = || {
            let tracer = Tracer::start_in(bench, "login")?;
            std::thread::sleep(CALM);
            let milliseconds = median(&server, LOGINS)?;
            drop(tracer);
            anyhow::Ok(milliseconds)
        };
        rounds.push(if round % 2 == 0 {
            let a = without()?;
            [a, with()?]
        } else {
            let b = with()?;
            [without()?, b]
        });
    }
    row.paired("ssh host true", "ms", ["without", "with"], rounds, Some(TARGET))
}

/// Milliseconds of a login: the median of so many.
pub fn median(server: &Server, logins: usize) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for login in 0..logins {
        times.push(visitor::visit(visitor::port(server), visitor::address(login))?);
    }
    times.sort_unstable();
    Ok(times[logins / 2].as_secs_f64() * 1e3)
}
