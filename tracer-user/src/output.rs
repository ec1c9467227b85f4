//! Everything that is printed. A person reads tables in the host's time zone, a program reads JSON in UTC.
//!
//! Strangers' text reaches neither unchanged: tables replace what could move the cursor, JSON escapes it. A reader
//! who goes away (`login-tracer sessions | head`) is no error.

pub mod attempts;
pub mod calculation;
pub mod each_attempt;
pub mod findings;
pub mod json;
pub mod log;
pub mod queue;
pub mod session;
pub mod table;
pub mod verdict;

use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::assess::Level;
use crate::config::ConfigError;
use crate::config::file::Located;
use crate::sanitize;

/// For whom something is printed: when, where, on what.
#[derive(Debug, Clone)]
pub struct View {
    pub now: Timestamp,
    pub zone: TimeZone,
    pub has_colour: bool,
}

impl View {
    /// The person at this machine, reading standard output.
    pub fn of_stdout() -> Self {
        Self {
            now: Timestamp::now(),
            zone: TimeZone::system(),
            has_colour: io::stdout().is_terminal() && wants_colour(),
        }
    }

    /// A time as the person's clock shows it.
    pub fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    /// A text in a style, where styles can be shown.
    pub fn styled<T: fmt::Display>(&self, style: Style, text: T) -> Styled<T> {
        Styled { style: if self.has_colour { style } else { Style::Plain }, text }
    }
}

/// How a text is shown on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Grey,
    Green,
    Yellow,
    Red,
}

impl From<Level> for Style {
    fn from(level: Level) -> Self {
        match level {
            Level::Unknown => Self::Grey,
            Level::Low => Self::Green,
            Level::Medium => Self::Yellow,
            Level::High => Self::Red,
        }
    }
}

/// A text with its style; the sequences stand around it and have no width.
#[derive(Debug, Clone)]
pub struct Styled<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Select Graphic Rendition, ECMA-48 8.3.117; bright black is what terminals show as grey.
        let code = match self.style {
            Style::Plain => return self.text.fmt(f),
            Style::Bold => "1",
            Style::Grey => "90",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Red => "31",
        };
        write!(f, "\u{1b}[{code}m{}\u{1b}[0m", self.text)
    }
}

/// Hands standard output to `write`. A reader who has gone away ends the output, successfully.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut stdout = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let result = write(&mut stdout).and_then(|()| Ok(stdout.flush()?));
    match result {
        Err(error) if is_broken_pipe(&error) => {
            // What is left in the buffer has no reader; dropping it normally would try once more.
            drop(stdout.into_parts());
            Ok(())
        }
        other => other,
    }
}

/// Prints what ended the program, with everything that led to it, in harmless lines.
pub fn failure(error: &anyhow::Error) {
    if let Some(ConfigError::Invalid { path, problems }) =
        error.chain().find_map(|cause| cause.downcast_ref::<ConfigError>())
    {
        for problem in problems {
            to_stderr(&format!("error: {}", Located(path, problem)));
        }
    }
    to_stderr(&format!("login-tracer: {error:#}"));
}

/// One line for the person at the terminal.
pub fn to_stderr(line: &str) {
    // There is nobody left to tell when this fails.
    writeln!(io::stderr().lock(), "{}", sanitize::line(line)).unwrap_or_default();
}

/// <https://no-color.org>: set and not empty means no.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json_kind = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        kind.or(json_kind) == Some(io::ErrorKind::BrokenPipe)
    })
}
