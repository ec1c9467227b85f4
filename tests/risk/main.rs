//! The risk of a login: rules at their boundaries, stories from real life, services and files that fail in every way.
//!
//! `UPDATE_EXPECT=1 cargo test --test risk` writes the golden of the stories anew.

#![expect(clippy::unwrap_used, reason = "what a test relies on may panic, with its place")]

#[path = "../doubles/http.rs"]
mod http;

#[path = "../doubles/abuseipdb.rs"]
mod abuseipdb;
#[path = "../doubles/crowdsec.rs"]
mod crowdsec;
#[path = "../doubles/greynoise.rs"]
mod greynoise;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../doubles/threat_jammer.rs"]
mod threat_jammer;

mod assessor; // what is put together
mod case; // a login and its facts, in few words
mod databases; // files in MaxMind's format, made here
mod files; // lists and databases that change and break
mod monotony; // what must hold of any login
mod past; // what the store says of earlier sessions
mod rules;
mod services; // remote sources in every mood
mod stories;
