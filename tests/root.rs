//! For tests that become other accounts or mount something: they run as root, or say that they were skipped.

use std::fs::OpenOptions;
use std::io::{Write as _, stderr};

/// Set to `1` where nothing may be skipped.
const REQUIRE_ALL: &str = "LOGIN_TRACER_REQUIRE_ALL";
/// Names the file that collects what was skipped, one `name: reason` a line.
const SKIPPED: &str = "LOGIN_TRACER_SKIPPED";

/// Whether this process is root. If not, the test of that name is skipped, audibly; or fails where all is required.
pub(crate) fn is_root_or_skip(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os(REQUIRE_ALL).is_none_or(|value| value != "1"), "needs root");
    let line = format!("{test}: needs root\n");
    stderr().write_all(format!("skipped {line}").as_bytes()).expect("standard error");
    if let Some(list) = std::env::var_os(SKIPPED) {
        let mut list = OpenOptions::new().append(true).create(true).open(list).expect("the list");
        list.write_all(line.as_bytes()).expect("written");
    }
    false
}
