//! The supervisor and the privileges, without a kernel to trace: the roles are processes of this test program.

#![expect(clippy::unwrap_used, reason = "what a test relies on may panic, with its place")]

mod privileges;
mod process;
mod roles;

/// Whether this process may become others; otherwise says that a test was skipped, or fails where none may be.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "needs root");
        eprintln!("skipped: needs root");
    }
    is_root
}
