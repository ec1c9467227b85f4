//! Delivery against services that behave like the real ones, and worse.
//!
//! The notify role runs as a process of its own (this test binary, started again), reads a `sessions.db` that is written
//! here through the store, and talks to doubles of Slack and Threat Jammer on loopback. Nothing leaves the machine.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod backlog;
mod catch_up;
mod console;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../risk/databases.rs"]
mod databases;
mod disk;
mod groups;
mod holds;
#[path = "../doubles/http.rs"]
mod http;
mod kills;
mod ledger;
mod limits;
mod look_ups;
mod outages;
mod positions;
mod queue;
mod reassessment;
#[path = "../doubles/receiver.rs"]
mod receiver;
mod renewals;
#[path = "../root.rs"]
mod root;
mod routes;
#[path = "../doubles/slack.rs"]
mod slack;
mod summaries;
mod tellings;
mod thousands;
#[path = "../doubles/threat_jammer.rs"]
mod threat_jammer;
mod world;
