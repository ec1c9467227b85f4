//! The binaries that go into the guest: the tracer and the end-to-end suite, as `cargo test` builds them.
//!
//! The same profile as for the tests of this machine, so that nothing is built twice; what the emulator would be slow
//! with is optimized there, too.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{command, workspace};

/// Where they are on this machine. The suite finds the tracer by the path at which it was built.
pub(super) struct Binaries {
    pub(super) tracer: PathBuf,
    pub(super) suite: PathBuf,
}

/// What is needed of a line of cargo's JSON messages.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds both.
///
/// # Errors
/// Something does not compile.
pub(super) fn build() -> Result<Binaries> {
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--package", "tracer-user", "--test", "e2e", "--no-run"])
        .arg("--message-format=json-render-diagnostics");
    let told = command::capture(&mut cargo)?;
    let tracer = executable(&told, "bin", "login-tracer").context("cargo names no login-tracer")?;
    let suite = executable(&told, "test", "e2e").context("cargo names no end-to-end suite")?;
    Ok(Binaries { tracer, suite })
}

fn executable(told: &str, kind: &str, name: &str) -> Option<PathBuf> {
    told.lines().find_map(|line| {
        let message: Message = serde_json::from_str(line).ok()?;
        let target = message.target?;
        (target.name == name && target.kind.iter().any(|one| one == kind)).then_some(message.executable?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_messages() {
        let told = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"e2e","kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"e2e","kind":["test"]},"executable":"/t/deps/e2e-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n"
        );
        assert_eq!(executable(told, "test", "e2e"), Some(PathBuf::from("/t/deps/e2e-1")));
        assert_eq!(executable(told, "bin", "login-tracer"), None);
    }
}
