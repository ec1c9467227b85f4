//! The project's tasks, one file each. `cargo xtask help` lists them.
//!
//! Tasks talk on stderr in short lines; stdout belongs to the program that a task runs. A task that fails names the
//! command that failed and exits with 1.

#![expect(clippy::print_stderr, reason = "tasks talk to the person who started them")]

mod bench;
mod build;
mod command;
mod compiler;
mod ebpf;
mod environment;
mod fuzz;
mod linker;
mod lint;
mod packages;
mod run;
mod setup;
mod test;
mod tidy;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The tasks of login-tracer")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what building and testing need; does nothing when all is there
    Setup,
    /// Build the kernel programs into target/bpf
    BuildEbpf,
    /// Build the kernel programs and login-tracer
    Build {
        /// Build with optimizations
        #[arg(long)]
        release: bool,
    },
    /// Build everything and start `login-tracer run` (as root, by sudo where needed)
    Run {
        /// Arguments for `login-tracer run`, after `--`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build and run all tests; the end-to-end tests need root and say so when they are skipped
    Test {
        /// Run only tests whose name contains one of these
        filters: Vec<String>,
    },
    /// Measure what the tracer costs and how quick it is; most rows need root
    Bench {
        /// Fewer rounds: under five minutes
        #[arg(long)]
        quick: bool,
        /// Inside this stock kernel instead, emulated, in instructions; may be repeated
        #[arg(long, value_name = "NAME", conflicts_with = "quick")]
        kernel: Vec<String>,
        /// Only these rows
        #[arg(value_name = "ROW", value_parser = bench::ROWS)]
        rows: Vec<String>,
    },
    /// Throw damaged input at everything that reads from outside, built with optimizations
    Fuzz {
        /// How many inputs each property sees
        #[arg(default_value_t = 2_000_000)]
        inputs: u32,
    },
    /// Run the end-to-end tests inside stock distribution kernels, emulated, on each tier of hooks
    Vm {
        /// Only this kernel; may be repeated
        #[arg(long, value_name = "NAME")]
        kernel: Vec<String>,
        /// Only this tier of hooks; may be repeated
        #[arg(long)]
        tier: Vec<String>,
        /// All scenarios instead of a selection, and all kernels where none is named
        #[arg(long)]
        all: bool,
        /// How many machines are emulated at the same time [default: as many as there are processors]
        #[arg(long, value_name = "N")]
        at_once: Option<usize>,
        /// Only scenarios whose name contains one of these
        filters: Vec<String>,
    },
    /// Check formatting, clippy for host and kernel side, dependencies and the tree's own rules
    Lint,
    /// Install Debian packages without starting their services (used by `setup`, as root)
    #[command(hide = true)]
    InstallPackages {
        #[arg(required = true)]
        packages: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup => setup::task(),
        Task::BuildEbpf => ebpf::task(),
        Task::Build { release } => build::task(release),
        Task::Run { args } => run::task(&args),
        Task::Test { filters } => test::task(&filters),
        Task::Bench { quick, kernel, rows } if kernel.is_empty() => bench::task(quick, &rows),
        Task::Bench { kernel, rows, .. } => bench::in_kernels(&kernel, &rows),
        Task::Fuzz { inputs } => fuzz::task(inputs),
        Task::Vm { kernel, tier, all, at_once, filters } => {
            vm::task(&vm::Wish { kernels: kernel, tiers: tier, all, at_once, filters })
        }
        Task::Lint => lint::task(),
        Task::InstallPackages { packages } => packages::install(&packages),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            say(format!("error: {}", causes.join("\n  because: ")));
            ExitCode::FAILURE
        }
    }
}

/// Tells the person at the terminal what a task is doing.
fn say(line: impl std::fmt::Display) {
    eprintln!("xtask: {line}");
}
