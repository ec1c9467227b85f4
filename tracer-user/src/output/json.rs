//! Sessions as JSON, one object a line. The names and formats here are a promise to other people's programs.
//!
//! Texts are complete, as they were received, and still harmless on a terminal: characters that could change what
//! it shows are written as `\uXXXX`.

use std::io::Write;
use std::net::SocketAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::assess::Assessment;
use crate::notify::outbox::DeliveryRow;
use crate::notify::route::Allowed;
use crate::sanitize::HarmlessJson;
use crate::session::{AccountState, Auth, Change, Container, Escalation, FirstCommand, Identity, Session};

/// A session in the order of its fields.
#[derive(Debug, Serialize)]
pub struct SessionRecord<'a> {
    id: i64,
    session: String,
    host: &'a str,
    service: &'static str,
    user: Option<&'a str>,
    uid: Option<u32>,
    /// Who became the user, with su and sudo.
    by: Option<&'a Identity>,
    peer: Option<Endpoint>,
    local: Option<Endpoint>,
    auth: Option<&'a Auth>,
    sshd: Sshd<'a>,
    tty: Option<&'a str>,
    first_command: Option<&'a FirstCommand>,
    state: &'static str,
    opened_at: String,
    recovered: bool,
    closed_at: Option<String>,
    duration_s: Option<f64>,
    end: Option<&'static str>,
    /// The user id that was gained inside of the session last, root's over others.
    escalated_to: Option<u32>,
    /// Where sshd runs, if not among the host's own processes.
    container: Option<&'a Container>,
    /// How the account stood: "usable", "no password", "locked" or "expired".
    account: Option<&'static str>,
    assessment: Option<&'a Assessment>,
    /// The entry of the allowlist that keeps its beginning and end from being told.
    allowed: Option<&'a Allowed>,
}

impl<'a> SessionRecord<'a> {
    pub fn new(
        session: &'a Session,
        assessment: Option<&'a Assessment>,
        allowed: Option<&'a Allowed>,
    ) -> Self {
        Self {
            id: session.id,
            session: session.key.to_string(),
            host: &session.host,
            service: session.service.as_str(),
            user: session.user.as_deref(),
            uid: session.uid,
            by: session.by.as_ref(),
            peer: session.peer.map(Endpoint::from),
            local: session.local.map(Endpoint::from),
            auth: session.auth.as_ref(),
            sshd: Sshd { pid: session.sshd.pid, exe: session.sshd.exe.as_deref() },
            tty: session.tty.as_deref(),
            first_command: session.first_command.as_ref(),
            state: if session.closed.is_some() { "closed" } else { "open" },
            opened_at: rfc3339(session.opened_at),
            recovered: session.recovered,
            closed_at: session.closed.map(|closed| rfc3339(closed.at)),
            duration_s: session.duration_s(),
            end: session.closed.map(|closed| closed.end.as_str()),
            escalated_to: session.escalated_to,
            container: session.container.as_ref(),
            account: session.account.map(AccountState::as_str),
            assessment,
            allowed,
        }
    }
}

/// One change of a session.
#[derive(Debug, Serialize)]
pub struct ChangeRecord<'a> {
    seq: u32,
    kind: &'static str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// Only of changes of that kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    escalation: Option<&'a Escalation>,
}

impl<'a> From<&'a Change> for ChangeRecord<'a> {
    fn from(change: &'a Change) -> Self {
        Self {
            seq: change.seq,
            kind: change.kind.as_str(),
            at: rfc3339(change.at),
            count: change.count,
            escalation: change.escalation.as_ref(),
        }
    }
}

/// One change on its way to one sink.
#[derive(Debug, Serialize)]
pub struct DeliveryRecord<'a> {
    id: String,
    sink: &'a str,
    kind: &'static str,
    state: &'static str,
    attempts: u32,
    last_error: Option<&'a str>,
    next_at: Option<String>,
    finished_at: Option<String>,
}

impl<'a> From<&'a DeliveryRow> for DeliveryRecord<'a> {
    fn from(delivery: &'a DeliveryRow) -> Self {
        Self {
            id: delivery.id.to_string(),
            sink: &delivery.sink,
            kind: delivery.kind.as_str(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            last_error: delivery.last_error.as_deref(),
            next_at: delivery.next_at.map(rfc3339),
            finished_at: delivery.finished_at.map(rfc3339),
        }
    }
}

#[derive(Debug, Serialize)]
struct Endpoint {
    address: String,
    port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { address: address.ip().to_string(), port: address.port() }
    }
}

#[derive(Debug, Serialize)]
struct Sshd<'a> {
    pid: u32,
    exe: Option<&'a str>,
}

/// A time in UTC with exactly six decimals, so that texts sort as times do.
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Writes one value and the end of its line.
pub fn write_line<T: Serialize>(output: &mut dyn Write, value: &T) -> anyhow::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *output, HarmlessJson))?;
    Ok(output.write_all(b"\n")?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sanitize;

    #[test]
    fn times_have_six_decimals() {
        assert_eq!(rfc3339(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339("2026-11-21T09:00:00.12Z".parse().unwrap()), "2026-11-21T09:00:00.120000Z");
    }

    proptest! {
        #[test]
        fn texts_are_complete_and_harmless(text in any::<String>()) {
            let mut line = Vec::new();
            write_line(&mut line, &text).unwrap();
            let line = String::from_utf8(line).unwrap();
            prop_assert!(!line.trim_end_matches('\n').chars().any(sanitize::is_hostile));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
