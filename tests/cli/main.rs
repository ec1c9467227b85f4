//! The command line as people and programs meet it: the real binary against a prepared state directory, and whole
//! pages compared with golden files.
//!
//! `UPDATE_EXPECT=1 cargo test --test cli` writes the golden files anew; it only makes a change deliberate.

#![expect(clippy::unwrap_used, reason = "what a test relies on may panic, with its place")]

mod attempts;
mod check;
mod errors;
mod findings;
mod fixture;
mod help;
mod json;
mod notify_test;
mod queue;
mod readers;
mod replay;
mod risk;
#[path = "../root.rs"]
mod root;
mod route;
mod sessions;
mod show;
mod summary;
mod terminal;
