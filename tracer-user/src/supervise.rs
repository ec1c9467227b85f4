//! The only wiring: roles, signals, readiness, shutdown.

mod journal;
pub mod trace;
