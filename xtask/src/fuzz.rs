//! `fuzz`: damaged input for everything that reads from outside, many times, with optimizations.
//!
//! The properties are those of `tests/fuzz/`, which the ordinary tests try a few hundred times each.

use anyhow::Result;

use crate::{command, ebpf, setup, workspace};

/// Builds with optimizations and tries each property so many times.
///
/// # Errors
/// An input was found that a property does not hold for; it is printed in its smallest form.
pub(crate) fn task(inputs: u32) -> Result<()> {
    let tools = setup::for_build()?;
    ebpf::build(&tools)?;
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--release", "--package", "tracer-user", "--test", "fuzz"])
        .env("PROPTEST_CASES", inputs.to_string())
        // Inputs that nothing can be made of are part of the test.
        .env("PROPTEST_MAX_GLOBAL_REJECTS", inputs.to_string());
    let fuzzed = command::run(&mut cargo);
    workspace::return_to_owner()?;
    fuzzed
}
