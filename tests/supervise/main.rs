//! The supervisor and the privileges, without a kernel to trace: the roles are processes of this test program.

#![expect(clippy::unwrap_used, reason = "what a test relies on may panic, with its place")]

mod privileges;
mod process;
mod roles;
#[path = "../root.rs"]
mod root;
