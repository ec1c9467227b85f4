//! Each sink against a double of its service: what it sends, what it makes of every answer, and that no name a stranger
//! chose breaks, forges, mentions or links anything there.
//!
//! The doubles in `doubles/` judge each request by the rules of the service's documentation. `UPDATE_EXPECT=1 cargo test
//! --test sinks` writes the goldens in `goldens/sinks/` anew; that only makes a change of the output deliberate.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../doubles/http.rs"]
mod http;
#[path = "../doubles/service.rs"]
mod service;

mod certificates;
mod over_http;
mod plain;
mod scene;

mod command;
mod discord;
mod email;
mod file;
mod gotify;
mod journald;
mod matrix;
mod mattermost;
mod ntfy;
mod pagerduty;
mod pushover;
mod rsyslog;
mod slack;
mod slack_bot;
mod synapse;
mod syslog;
mod teams;
mod telegram;
mod tls;
mod webhook;
