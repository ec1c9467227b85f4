//! The notify role: changes of sessions -> assessed, told, each to every sink.

pub mod outbox; // delivery.db
