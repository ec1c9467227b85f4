//! Damaged input for everything that reads from outside: no panic, no hang, no memory without bound.
//!
//! Each test takes real input and edits it. `cargo xtask fuzz` does so millions of times; in the ordinary run each
//! property sees a few hundred inputs.

#![expect(clippy::unwrap_used, reason = "what a test relies on may panic, with its place")]

mod edit;
mod files;
mod kernel;
mod log;

use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(path)
}

/// The lines of all recordings of real logins.
fn recorded_lines() -> Vec<String> {
    let entries = fs::read_dir(project("tests/tracker/traces")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    assert!(!paths.is_empty(), "there are recordings");
    let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
