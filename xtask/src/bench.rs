//! `bench`: what the tracer costs and how quick it is, as one table on stdout and as `target/bench.json`.
//!
//! The measuring itself is done by the benchmark program of `tests/bench/`, built with optimizations, which writes raw
//! samples; here they are reduced, held against the project's targets and shown. Rows that need root are skipped
//! without it, and the table says so.
//!
//! With `--kernel` it is measured inside stock kernels that offer hooks which this machine's may not have, in instructions of
//! an emulated processor; each kernel has a table and a file of its own.

mod guest;
mod measurement;
mod statistics;
mod table;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use self::measurement::{AGENT_VARIABLE, Host, Line, Measurement, ROWS_IN_INSTRUCTIONS};
use self::statistics::Reduced;
use crate::{command, ebpf, say, setup, vm, workspace};

pub(crate) use self::measurement::ROWS;

/// `target/bench.json`, and `target/bench-KERNEL.json`.
#[derive(Serialize)]
struct Results<'a> {
    host: &'a Host,
    command: String,
    measured: Vec<Measured<'a>>,
    skipped: &'a [(String, String)],
}

#[derive(Serialize)]
struct Measured<'a> {
    #[serde(flatten)]
    measurement: &'a Measurement,
    reduced: Option<Reduced>,
}

/// Sets up, builds with optimizations, measures and shows.
///
/// # Errors
/// Something does not build, or a measurement failed. A missed target is a line in the table, no error.
pub(crate) fn task(quick: bool, rows: &[String]) -> Result<()> {
    let tools = setup::for_build()?;
    if workspace::is_root() {
        setup::for_tests()?;
    } else {
        say("not root: most rows will be skipped");
    }
    ebpf::build(&tools)?;
    let agent = ebpf::build_agent(&tools)?;
    let shown = measure(quick, rows, &agent).and_then(|output| show(&output, "bench.json"));
    workspace::return_to_owner()?;
    shown
}

/// As [`task`], inside stock kernels, by their names.
///
/// # Errors
/// As [`task`]; there is no such kernel, it cannot be had, or it does not get to the end; it is for another kind of processor;
/// or one of the rows means nothing there.
pub(crate) fn in_kernels(kernels: &[String], rows: &[String]) -> Result<()> {
    permit(kernels, rows)?;
    let tools = setup::for_build()?;
    setup::for_vm(false)?;
    let agent = ebpf::build_agent(&tools)?;
    let shown = kernels.iter().try_for_each(|kernel| {
        let output = guest::measure(kernel, &agent, &tools)
            .with_context(|| format!("nothing measured in {kernel}"))?;
        show(&output, &format!("bench-{kernel}.json"))
    });
    workspace::return_to_owner()?;
    shown
}

/// Refuses what cannot be measured inside of kernels, before anything is built.
fn permit(kernels: &[String], rows: &[String]) -> Result<()> {
    if let Some(row) = rows.iter().find(|row| !ROWS_IN_INSTRUCTIONS.contains(&row.as_str())) {
        bail!("{row} cannot be measured in instructions; {} can", ROWS_IN_INSTRUCTIONS.join(", "));
    }
    for kernel in kernels {
        if !vm::is_for_this_processor(kernel)? {
            bail!("{kernel} is for another kind of processor, where nobody has measured yet");
        }
    }
    Ok(())
}

/// On this machine: what the benchmark program writes.
fn measure(quick: bool, rows: &[String], agent: &Path) -> Result<String> {
    let mut cargo = workspace::cargo();
    cargo.args(["bench", "--package", "tracer-user", "--bench", "measure", "--"]);
    if quick {
        cargo.arg("--quick");
    }
    cargo.args(rows).env(AGENT_VARIABLE, agent);
    let mut output = Vec::new();
    command::tee(&mut cargo, &mut io::sink(), &mut output)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Shows what the benchmark program wrote, and keeps it in a file of this name.
fn show(output: &str, file: &str) -> Result<()> {
    let (host, measurements, skipped) = read(output)?;
    let rows: Vec<table::Row<'_>> =
        measurements.iter().map(|measured| (measured, statistics::reduce(&measured.figure))).collect();
    let shown = table::render(&host, &rows, &skipped);
    io::stdout().write_all(shown.as_bytes()).context("cannot show the table")?;

    let arguments: Vec<String> = env::args().skip(1).collect();
    let measured = rows.into_iter().map(|(measurement, reduced)| Measured { measurement, reduced }).collect();
    let results = Results {
        host: &host,
        command: format!("cargo xtask {}", arguments.join(" ")),
        measured,
        skipped: &skipped,
    };
    let path: PathBuf = [&workspace::root(), Path::new("target"), Path::new(file)].iter().collect();
    let json = serde_json::to_vec_pretty(&results).context("cannot write the results as JSON")?;
    fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))?;
    say(format!("raw samples in {}", path.display()));
    Ok(())
}

type Read = (Host, Vec<Measurement>, Vec<(String, String)>);

fn read(output: &str) -> Result<Read> {
    let (mut host, mut measurements, mut skipped) = (None, Vec::new(), Vec::new());
    for line in output.lines() {
        let parsed = serde_json::from_str(line)
            .with_context(|| format!("the benchmark program wrote something else: {line}"))?;
        match parsed {
            Line::Host(told) => host = Some(told),
            Line::Measured(measurement) => measurements.push(measurement),
            Line::Skipped { row, why } => skipped.push((row, why)),
        }
    }
    let Some(host) = host else { bail!("the benchmark program measured nothing") };
    Ok((host, measurements, skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_cannot_measure_is_refused() {
        let permit = |kernel: &str, row: &str| permit(&[kernel.to_owned()], &[row.to_owned()]);
        let refused = |kernel: &str, row: &str| permit(kernel, row).expect_err("a refusal").to_string();
        let (ours, other) =
            if cfg!(target_arch = "x86_64") { ("6.1", "6.1-arm64") } else { ("6.1-arm64", "6.1") };
        assert!(permit(ours, "machine").is_ok());
        assert_eq!(refused(ours, "login"), "login cannot be measured in instructions; machine can");
        assert!(refused(other, "machine").contains("is for another kind of processor"));
        assert!(refused("2.4", "machine").starts_with("there is no kernel 2.4; known are "));
    }

    #[test]
    fn what_the_program_writes_is_read_back() {
        let host = Host {
            date: "d".into(),
            kernel: "k".into(),
            arch: "x86_64".into(),
            cpus: 2,
            quick: false,
            clock: measurement::Clock::Time,
            hooks: Some("h".into()),
        };
        let measurement = Measurement {
            row: "machine".into(),
            what: "getppid".into(),
            unit: "ns".into(),
            figure: measurement::Figure::Paired { a: "a".into(), b: "b".into(), rounds: vec![[1.0, 2.0]] },
            target: Some(measurement::Target::AtMost(1.5)),
        };
        let lines = [
            Line::Host(host.clone()),
            Line::Measured(measurement.clone()),
            Line::Skipped { row: "bpf".into(), why: "w".into() },
        ];
        let text: String =
            lines.iter().map(|line| serde_json::to_string(line).expect("JSON") + "\n").collect();
        let (read_host, measured, skipped) = read(&text).expect("readable");
        assert_eq!((read_host, measured), (host, vec![measurement]));
        assert_eq!(skipped, [("bpf".to_owned(), "w".to_owned())]);
        assert!(read("").is_err());
        assert!(read("hello\n").is_err());
    }
}
