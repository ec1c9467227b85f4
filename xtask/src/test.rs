//! `test`: all tests, after whatever they need is built.
//!
//! A test that cannot run here appends one line, `name: reason`, to the file that `LOGIN_TRACER_SKIPPED` names; the list
//! follows cargo's own output. With `CI=true` lints come first, and as root `LOGIN_TRACER_REQUIRE_ALL=1` tells the tests
//! to fail instead of skipping.

use std::fs;

use anyhow::{Context as _, Result};

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
    let skipped = workspace::root().join("target/skipped-tests");
    fs::write(&skipped, "").with_context(|| format!("cannot write {}", skipped.display()))?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace"]).env("LOGIN_TRACER_SKIPPED", &skipped);
    if !filters.is_empty() {
        cargo.arg("--").args(filters);
    }
    if require_all {
        cargo.env("LOGIN_TRACER_REQUIRE_ALL", "1");
    }
    let tested = command::run(&mut cargo);
    let list = fs::read_to_string(&skipped).with_context(|| format!("cannot read {}", skipped.display()))?;
    if let Some(summary) = summary(&list) {
        say(summary);
    }
    tested
}

/// None when nothing was skipped.
fn summary(list: &str) -> Option<String> {
    let mut lines: Vec<&str> = list.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.sort_unstable();
    let count = lines.len();
    (count > 0).then(|| format!("skipped {count}:\n  {}", lines.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn skipped_tests_are_counted_and_listed() {
        assert_eq!(
            summary("b: needs root\na: no sshd\n\n").unwrap(),
            "skipped 2:\n  a: no sshd\n  b: needs root"
        );
        assert_eq!(summary("\n"), None);
    }
}
