//! A program of one's own: facts in the environment, the [`Record`] as JSON on standard input, no shell.
//!
//! Nothing that strangers chose is an argument. The words in the environment are harmless on a terminal and hold no line
//! break; JSON has them complete. The exit status says what follows, by the rules of `sysexits(3)`: 0 is success, 75
//! (`EX_TEMPFAIL`) asks for another try as long as it takes, 64 to 68, 77 and 78 mean that it will never work, and
//! anything else is tried a few times.

use std::os::unix::process::ExitStatusExt as _;

use super::process::{Ended, Job, run};
use super::{Exchange, Report, Sending, Sink};
use crate::config;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::Outcome;
use crate::notify::record::Record;
use crate::sanitize;

/// Longest text in the environment, in characters.
const MAX_TEXT: usize = 1000;
/// Longest reason that is kept, in characters.
const REASON_CHARS: usize = 200;

/// One program.
pub struct Command {
    config: config::Command,
}

impl Command {
    pub fn new(config: &config::Command) -> Self {
        Self { config: config.clone() }
    }
}

impl Sink for Command {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async {
            let record = Record::new(delivery);
            let (input, environment) = (format!("{}\n", record.json()), record.variables(MAX_TEXT));
            let argv: Vec<_> = self.config.argv.iter().map(Into::into).collect();
            let mut sent = format!("{:?}\n", self.config.argv);
            for (name, value) in &environment {
                sent.push_str(&format!("{name}={value}\n"));
            }
            sent.push_str(&format!("\n{input}"));
            let timeout = self.config.timeout;
            let ended = run(Job { argv, environment, input: input.as_bytes(), timeout }).await;
            let (outcome, received) = match ended {
                Ok(ended) => (outcome(&ended, timeout), shown(&ended)),
                Err(error) => {
                    let why = format!("cannot start the program: {error}");
                    (Outcome::Retry { after: None, why: why.clone() }, why)
                }
            };
            Report::of(outcome).with_exchange(Exchange { sent, received })
        })
    }
}

/// What follows from the end of a program.
fn outcome(ended: &Ended, timeout: std::time::Duration) -> Outcome {
    let said = ended.said.trim();
    let why = |what: String| {
        let why = if said.is_empty() { what } else { format!("{what}: {said}") };
        sanitize::text(&why, REASON_CHARS)
    };
    let Some(status) = ended.status else {
        return Outcome::Retry { after: None, why: why(format!("it did not end within {timeout:?}")) };
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => Outcome::Delivered,
        (Some(75), _) => Outcome::Retry { after: None, why: why("exit status 75".to_owned()) },
        (Some(code @ (64..=68 | 77 | 78)), _) => Outcome::Park { why: why(format!("exit status {code}")) },
        (Some(code), _) => Outcome::Doubtful { why: why(format!("exit status {code}")) },
        (None, signal) => {
            Outcome::Doubtful { why: why(format!("killed by signal {}", signal.unwrap_or_default())) }
        }
    }
}

fn shown(ended: &Ended) -> String {
    let status =
        ended.status.map_or_else(|| "killed: its time was up".to_owned(), |status| status.to_string());
    format!("{status}\n{}", ended.said)
}
