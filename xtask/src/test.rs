//! `test`: all tests, after whatever they need is built.
//!
//! cargo's own output passes unchanged, and tests that it reported as ignored are listed once more at the end. With
//! `CI=true` lints come first, and as root `LOGIN_TRACER_REQUIRE_ALL=1` tells the end-to-end tests to fail where they
//! would skip.

use std::io;

use anyhow::Result;

use crate::{command, ebpf, lint, say, setup, workspace};

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
    workspace::return_to_owner()?;
    tested
}

fn tests(filters: &[String], require_all: bool) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace"]);
    if !filters.is_empty() {
        cargo.arg("--").args(filters);
    }
    if require_all {
        cargo.env("LOGIN_TRACER_REQUIRE_ALL", "1");
    }
    let mut output = Vec::new();
    let tested = command::tee(&mut cargo, &mut io::stdout(), &mut output);
    if let Some(summary) = summary(&String::from_utf8_lossy(&output)) {
        say(summary);
    }
    tested
}

/// None when nothing was skipped.
fn summary(output: &str) -> Option<String> {
    let mut names: Vec<String> = output.lines().filter_map(ignored).collect();
    names.sort_unstable();
    let count = names.len();
    (count > 0).then(|| format!("{count} skipped:\n  {}", names.join("\n  ")))
}

/// Reads `test NAME ... ignored` and `test NAME ... ignored, REASON`.
fn ignored(line: &str) -> Option<String> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ignored")?;
    let reason = outcome.strip_prefix(", ").map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{}{reason}", name.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_tests_are_listed_with_their_reasons() {
        let output = "running 3 tests\ntest b   ... ignored\ntest a::x ... ignored, needs two cores\n\
            test c ... ok\ntest result: ok. 1 passed; 0 failed; 2 ignored; 0 measured\n";
        assert_eq!(summary(output).unwrap(), "2 skipped:\n  a::x: needs two cores\n  b");
        assert_eq!(summary("test c ... ok\n"), None);
    }
}
