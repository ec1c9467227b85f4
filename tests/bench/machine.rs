//! What everything else on the machine pays: system calls, processes and the building of a small program, without
//! anything and with the tracer on each tier of hooks that this kernel offers. Beside it an agent as others are built,
//! which hooks every read, write and open, and the least that a tracepoint on any system call costs all of them.
//!
//! The system calls of one process cost what they cost whether or not somebody logs in; the hooks of fork, exec and
//! exit look up every process of the machine once.
//!
//! Where the clock counts instructions, it is the same in instructions: the same each time, so few turns do.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::thread::sched_setaffinity;

use crate::Bench;
use crate::comparison::{self, Agent, Programs};
use crate::hooks::{self, NO_CALLS};
use crate::loops::{self, Costs, LOOPS};
use crate::measurement::{Clock, Target};
use crate::project::Project;
use crate::report::{self, Row};
use crate::tiers::Tier;
use crate::tracer::{Setup, Tracer};

/// Turns hardly differ where the clock counts instructions.
const ROUNDS_BY_INSTRUCTIONS: usize = 2;
/// How long the machine may take to calm down after the tracer's start or end.
const CALM: Duration = Duration::from_millis(200);

const TARGET: Target = Target::AtMost(1.01);
/// With a tracepoint on any system call, the kernel takes the slow path of every system call of every process.
const TARGET_WITH_TRACEPOINT: Target = Target::AtMost(1.10);

/// Something that the machine is measured with.
struct Contender {
    name: String,
    /// In the figure.
    with: &'static str,
    way: Way,
    /// Whether every system call of every process takes the slow path; known once it was there.
    slows_all_calls: bool,
    /// Without and with it, round by round.
    rounds: Vec<[Costs; 2]>,
}

enum Way {
    Tracer(&'static Tier),
    Agent(Vec<u8>, Programs),
}

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let mut contenders = contenders(bench)?;
    let rounds = match bench.clock {
        Clock::Time => bench.rounds(3, 20),
        Clock::Instructions => ROUNDS_BY_INSTRUCTIONS,
    };
    let place = Place {
        clock: bench.clock,
        project: Project::write(Path::new("/tmp/project"))?,
        builds: bench.rounds(1, 2),
    };
    if place.project.is_none() {
        report::skipped(&format!("machine, {}", Project::NAME), "there is no C compiler")?;
    }
    place.turn()?;
    for round in 0..rounds {
        // All in turns, and each first as often as the others: a machine that slowly changes its mind favours none.
        let all = contenders.len() + 1;
        let mut without = Costs::new();
        let mut with = vec![Costs::new(); contenders.len()];
        for turn in (0..all).map(|turn| (turn + round) % all) {
            match turn.checked_sub(1) {
                None => {
                    std::thread::sleep(CALM);
                    without = place.turn()?;
                }
                Some(at) => with[at] = contenders[at].turn(bench, &place)?,
            }
        }
        for (contender, with) in contenders.iter_mut().zip(with) {
            contender.rounds.push([without.clone(), with]);
        }
        if bench.clock == Clock::Instructions {
            eprintln!("machine: round {} of {rounds}", round + 1);
        }
    }
    contenders.into_iter().try_for_each(|contender| contender.report(row, bench.clock))
}

fn contenders(bench: &Bench) -> anyhow::Result<Vec<Contender>> {
    let mut tiers = Vec::new();
    for (tier, obstacle) in hooks::tried(bench) {
        match obstacle {
            None => tiers.push(tier),
            Some(why) => {
                let elsewhere = match bench.clock {
                    Clock::Time => {
                        "; `cargo xtask bench --kernel 6.1` counts its instructions on a stock kernel"
                    }
                    Clock::Instructions => "",
                };
                report::skipped(&format!("machine, tier {}", tier.name), &(why + elsewhere))?;
            }
        }
    }
    if !tiers.iter().any(|tier| ["fentry", "kprobe"].contains(&tier.name)) {
        tiers.push(&NO_CALLS);
    }
    let contender =
        |name, with, way| Contender { name, with, way, slows_all_calls: false, rounds: Vec::new() };
    let mut contenders: Vec<Contender> = tiers
        .into_iter()
        .map(|tier| contender(format!("tier {}", tier.name), "with", Way::Tracer(tier)))
        .collect();
    match &bench.agent {
        Some(object) => {
            for (name, programs) in [
                ("others: agent on reads, writes, opens", comparison::ALL),
                ("the kernel's part: nothing on the exit of one call", comparison::NOTHING),
            ] {
                contenders.push(contender(name.to_owned(), "with it", Way::Agent(object.clone(), programs)));
            }
        }
        None => report::skipped("machine, comparison agent", "`cargo xtask bench` alone builds it")?,
    }
    Ok(contenders)
}

impl Contender {
    /// What everything costs with it.
    fn turn(&mut self, bench: &Bench, place: &Place) -> anyhow::Result<Costs> {
        match &self.way {
            Way::Tracer(tier) => {
                let state_dir = bench.disk.join("machine");
                let tracer = Tracer::start(bench, &Setup { trace: tier.keys, ..Setup::plain(&state_dir) })?;
                self.slows_all_calls = tracer.hooks()?.slows_all_calls();
                std::thread::sleep(CALM);
                place.turn()
            }
            Way::Agent(object, programs) => {
                let _agent = Agent::start(object, programs)?;
                std::thread::sleep(CALM);
                place.turn()
            }
        }
    }

    fn report(self, row: &Row, clock: Clock) -> anyhow::Result<()> {
        let Self { name, with, way, slows_all_calls, rounds } = self;
        let names = ["without", with];
        let [ones, thousands, millions] = match clock {
            Clock::Time => ["ns", "us", "ms"],
            Clock::Instructions => ["instr", "k instr", "M instr"],
        };
        let things = rounds.first().map_or(0, |[without, _]| without.len());
        for at in 0..things {
            let (what, (unit, divisor), is_call) = match LOOPS.get(at) {
                Some(one) if one.is_call => (one.name, (ones, 1.0), true),
                Some(one) => (one.name, (thousands, 1e3), false),
                None => (Project::NAME, (millions, 1e6), false),
            };
            let rounds =
                rounds.iter().map(|round| round.each_ref().map(|costs| costs[at] / divisor)).collect();
            let target = match (&way, is_call && slows_all_calls) {
                (Way::Tracer(_), true) => Some(TARGET_WITH_TRACEPOINT),
                (Way::Tracer(_), false) => Some(TARGET),
                (Way::Agent(..), _) => None,
            };
            row.paired(&format!("{name}: {what}"), unit, names, rounds, target)?;
        }
        Ok(())
    }
}

/// What is done again and again.
struct Place {
    clock: Clock,
    project: Option<Project>,
    /// How often the project is built in a turn; the quickest time counts.
    builds: usize,
}

impl Place {
    /// Nanoseconds of each thing, or instructions.
    fn turn(&self) -> anyhow::Result<Costs> {
        let mut costs = loops::measure(self.clock)?;
        if let Some(project) = &self.project {
            let everywhere = loops::stay_on_one_cpu()?;
            let mut quickest = f64::INFINITY;
            for _ in 0..self.builds {
                quickest = quickest.min(project.build()?.as_nanos() as f64);
            }
            costs.push(quickest);
            sched_setaffinity(None, &everywhere).context("cannot go everywhere again")?;
        }
        Ok(costs)
    }
}
