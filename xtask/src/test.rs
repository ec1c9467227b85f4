//! `test`: all tests, after whatever they need is built.
//!
//! cargo's own output passes unchanged. What was skipped is listed once more at the end: tests that are ignored for a
//! reason, and what test programs write to the file that `LOGIN_TRACER_SKIPPED` names. With `CI=true` lints come first, and
//! as root `LOGIN_TRACER_REQUIRE_ALL=1` tells the tests to fail where they would skip.

use std::{fs, io};

use anyhow::{Context as _, Result};

use crate::{command, ebpf, lint, say, setup, vm, workspace};

/// Sets up, builds and tests.
///
/// # Errors
/// Something is missing, does not compile, or a test fails.
pub(crate) fn task(filters: &[String]) -> Result<()> {
    let tools = setup::for_build()?;
    let root = workspace::is_root();
    if root {
        setup::for_tests()?;
    } else {
        say("not root: the end-to-end tests will be skipped");
    }
    ebpf::build(&tools)?;
    if workspace::in_ci() {
        lint::check(&tools)?;
    }
    let tested = tests(filters, root && workspace::in_ci());
    // Kernels are for whole runs, and for trees that hold on this kernel.
    let emulated = if filters.is_empty() && tested.is_ok() { vm::as_part_of_tests() } else { Ok(None) };
    workspace::return_to_owner()?;
    if let Some(reason) = emulated? {
        say(format!("SKIPPED: no stock kernel was tried: {reason}"));
    }
    tested
}

fn tests(filters: &[String], require_all: bool) -> Result<()> {
    let list = workspace::root().join("target/skipped-tests");
    fs::write(&list, "").with_context(|| format!("cannot write {}", list.display()))?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]).env("LOGIN_TRACER_SKIPPED", &list);
    if !filters.is_empty() {
        cargo.arg("--").args(filters);
    }
    if require_all {
        cargo.env("LOGIN_TRACER_REQUIRE_ALL", "1");
    }
    let mut output = Vec::new();
    let tested = command::tee(&mut cargo, &mut io::stdout(), &mut output);
    let told = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    if let Some(summary) = summary(&told, &String::from_utf8_lossy(&output)) {
        say(summary);
    }
    tested
}

/// None when nothing was skipped. `told` has one skipped test a line.
fn summary(told: &str, output: &str) -> Option<String> {
    let mut names: Vec<String> = told.lines().map(str::to_owned).collect();
    names.extend(output.lines().filter_map(ignored));
    names.sort_unstable();
    let count = names.len();
    (count > 0).then(|| format!("{count} skipped:\n  {}", names.join("\n  ")))
}

/// Reads `test NAME ... ignored, REASON`. Without a reason, the program has told it in a line of its own.
fn ignored(line: &str) -> Option<String> {
    let (name, reason) = line.strip_prefix("test ")?.rsplit_once(" ... ignored, ")?;
    Some(format!("{}: {reason}", name.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_are_listed_with_their_reasons() {
        let output = "running 3 tests\ntest b   ... ignored\ntest a::x ... ignored, needs two cores\n\
            test c ... ok\ntest result: ok. 1 passed; 0 failed; 2 ignored; 0 measured\n";
        let expected = "2 skipped:\n  a::x: needs two cores\n  e2e: needs root";
        assert_eq!(summary("e2e: needs root\n", output).unwrap(), expected);
        assert_eq!(summary("", "test c ... ok\n"), None);
    }
}
