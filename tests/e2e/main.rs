//! End to end: real logins at a real sshd on this kernel, against what `login-tracer sessions` says about them.
//!
//! Promises: each scenario compares user, uid, addresses, ports, times and number of the listed sessions with what
//! really happened, and after each one a real login proves that nothing else was on its way. The suite runs in mount,
//! network and host name namespaces of its own, leaves nothing behind and ends every process that it started, also
//! when a scenario panics or when it is killed itself.
//!
//! It needs root. Without it every scenario is reported as ignored, or the suite fails if `LOGIN_TRACER_REQUIRE_ALL=1`.
//! `tests/README.md` tells how to run one scenario.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test program talks to its terminal")]
#![expect(clippy::unwrap_used, reason = "in the doubles of services a failed unwrap is a failed test")]
#![expect(unreachable_pub, reason = "a program exports nothing; `pub` says that other modules may call it")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use libtest_mimic::{Arguments, Trial};

mod accounts;
mod client;
mod dropbear;
#[expect(dead_code, reason = "the double can do more than is wanted here")]
#[path = "../doubles/http.rs"]
mod http;
mod lines;
mod local;
mod namespaces;
mod processes;
mod programs;
mod recording;
mod role;
mod sandbox;
mod scenarios;
mod scene;
mod server;
mod site;
#[expect(dead_code, reason = "the double can do more than is wanted here")]
#[path = "../doubles/slack.rs"]
mod slack;
#[expect(dead_code, reason = "the double can do more than is wanted here")]
#[path = "../doubles/threat_jammer.rs"]
mod threat_jammer;
mod tracer;
mod whole;

use scenarios::Scenario;
use site::Site;

/// Set to `1` where nothing may be skipped: on a continuous integration machine.
const REQUIRE_ALL: &str = "LOGIN_TRACER_REQUIRE_ALL";
/// Names the file that collects what was skipped, one `name: reason` a line.
const SKIPPED: &str = "LOGIN_TRACER_SKIPPED";

/// The command line of every test program, with any number of filters.
#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
    /// Further filters: one that matches is enough.
    further: Vec<String>,
}

fn main() -> ExitCode {
    if let Some(code) = programs::run_if_called().or_else(role::run_if_called) {
        return code;
    }
    let CommandLine { mut arguments, further } = CommandLine::parse();
    // One at a time: a scenario knows that every new session is its own, and times stay honest on a small machine.
    arguments.test_threads = Some(1);
    let mut scenarios = scenarios::all();
    if !further.is_empty() {
        let filters: Vec<_> = arguments.filter.take().into_iter().chain(further).collect();
        scenarios.retain(|scenario| filters.iter().any(|filter| scenario.name.contains(filter)));
    }
    let is_root = rustix::process::geteuid().is_root();
    let trials = |site| scenarios.iter().map(|scenario| trial(scenario, site)).collect::<Vec<_>>();
    let nothing_to_do = arguments.list || trials(None).iter().all(|trial| arguments.is_filtered_out(trial));
    if nothing_to_do || !is_root {
        let conclusion = libtest_mimic::run(&arguments, trials(None));
        return if nothing_to_do { conclusion.exit_code() } else { without_root() };
    }
    if !namespaces::inside() {
        scenarios.iter().filter_map(|scenario| Some((scenario.name, missing(scenario)?))).for_each(
            |(name, program)| {
                tell_skipped(name, &format!("needs {program}"));
            },
        );
        return namespaces::run_self_inside();
    }
    let enter = || {
        let recordings = recording::Recordings::wanted()?;
        sandbox::enter(None)?;
        Site::open(recordings)
    };
    let site = match enter() {
        Ok(site) => Arc::new(site),
        Err(error) => {
            eprintln!("the sandbox could not be set up: {error:#}");
            processes::end_all_descendants();
            return ExitCode::FAILURE;
        }
    };
    // Only the place: the message itself stands in the list of failures.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            eprintln!("failed at {place}");
        }
    }));
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&site)));
    processes::end_all_descendants();
    conclusion.exit_code()
}

/// Nothing could run: say so, and let it count as a failure where all is required.
fn without_root() -> ExitCode {
    if all_required() {
        eprintln!("e2e needs root, and {REQUIRE_ALL}=1 makes skipping a failure");
        return ExitCode::FAILURE;
    }
    tell_skipped("e2e", "needs root: it loads eBPF programs and runs sshd in namespaces of its own");
    ExitCode::SUCCESS
}

/// A scenario as a test; ignored without a site, and without a program that it needs.
fn trial(scenario: &Scenario, site: Option<&Arc<Site>>) -> Trial {
    let site = site.cloned();
    let is_ignored = site.is_none() || missing(scenario).is_some();
    let scenario = *scenario;
    let test = move || Ok(scenario.play(&site.expect("an ignored scenario is not played"))?);
    Trial::test(scenario.name, test).with_ignored_flag(is_ignored)
}

/// The first program that a scenario lacks, if it may be skipped for that.
fn missing(scenario: &Scenario) -> Option<&'static str> {
    scenario.needs.iter().copied().find(|program| !Path::new(program).exists() && !all_required())
}

/// Says on stderr what is skipped and why, and in the list that `cargo xtask test` shows at its end.
fn tell_skipped(what: &str, why: &str) {
    let line = format!("{what}: {why}\n");
    eprint!("skipped {line}");
    if let Some(list) = std::env::var_os(SKIPPED) {
        let written = File::options()
            .append(true)
            .create(true)
            .open(&list)
            .and_then(|mut list| list.write_all(line.as_bytes()));
        if let Err(error) = written {
            eprintln!("cannot write {}: {error}", list.display());
        }
    }
}

fn all_required() -> bool {
    std::env::var_os(REQUIRE_ALL).is_some_and(|value| value == "1")
}
