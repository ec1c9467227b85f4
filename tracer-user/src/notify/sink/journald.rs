//! The journal of this host, by its native protocol: one datagram of fields.
//!
//! Every value is written with its length before it, so that nothing in it begins another field. What was accepted by
//! the socket is the journal's: it confirms nothing more.
//!
//! Protocol: systemd.io/JOURNAL_NATIVE_PROTOCOL.

use std::io;

use tokio::net::UnixDatagram;

use super::{Exchange, Report, Sending, Sink};
use crate::assess::Level;
use crate::config;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::Outcome;
use crate::notify::record::Record;
use crate::sanitize;

/// Longest value in characters.
const MAX_VALUE: usize = 1000;

/// The journal.
pub struct Journald {
    config: config::Journald,
}

impl Journald {
    pub fn new(config: &config::Journald) -> Self {
        Self { config: config.clone() }
    }

    async fn write(&self, entry: &[u8]) -> io::Result<()> {
        let ours = UnixDatagram::unbound()?;
        ours.connect(&self.config.socket)?;
        ours.send(entry).await?;
        Ok(())
    }
}

/// How long the journal may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

impl Sink for Journald {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async {
            let fields = fields(delivery);
            let report = match tokio::time::timeout(TIMEOUT, self.write(&encoded(&fields))).await {
                Ok(Ok(())) => Report::of(Outcome::Delivered),
                Ok(Err(error)) => Report::no_answer(format!("cannot write to the journal: {error}")),
                Err(_) => Report::no_answer(format!("the journal took nothing within {TIMEOUT:?}")),
            };
            let received = match &report.outcome {
                Outcome::Delivered => "taken; the journal confirms no more\n".to_owned(),
                Outcome::Retry { why, .. }
                | Outcome::Doubtful { why }
                | Outcome::Park { why }
                | Outcome::Gone { why } => why.clone(),
            };
            let sent: String = fields.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            report.with_exchange(Exchange { sent, received })
        })
    }
}

/// The fields of an entry.
pub fn fields(delivery: &Delivery) -> Vec<(&'static str, String)> {
    let record = Record::new(delivery);
    // The levels of syslog(3).
    let priority = match delivery.message.level {
        Some(Level::High) => "2",
        Some(Level::Medium) | None => "4",
        Some(Level::Unknown) => "5",
        Some(Level::Low) => "6",
    };
    let mut fields = vec![
        ("MESSAGE", sanitize::text(record.summary, MAX_VALUE)),
        ("PRIORITY", priority.to_owned()),
        ("SYSLOG_IDENTIFIER", "login-tracer".to_owned()),
    ];
    fields.extend(record.variables(MAX_VALUE));
    fields
}

/// The form in which lengths stand before values: name, line feed, 64 bits in little endian, value, line feed.
pub fn encoded(fields: &[(&'static str, String)]) -> Vec<u8> {
    let mut entry = Vec::new();
    for (name, value) in fields {
        entry.extend_from_slice(name.as_bytes());
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
        entry.extend_from_slice(value.as_bytes());
        entry.push(b'\n');
    }
    entry
}
