//! The program's own log: one harmless line an event, on standard error.
//!
//! Under systemd the journal adds the time itself and reads the priority from a prefix (`sd-daemon(3)`); everywhere
//! else each line begins with the time in UTC. Lines of the kernel programs (aya-log) come through the `log` crate.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;

use anyhow::Context as _;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::sanitize;

/// Starts the log. Must be called once, before any thread exists.
///
/// # Errors
/// The filter makes no sense.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .with_context(|| format!("--log or LOGIN_TRACER_LOG: {filter:?} is no log filter"))?;
    let is_journal = is_journal();
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(Lines { is_journal }).with_ansi(false);
    let started =
        if is_journal { lines.without_time().with_level(false).try_init() } else { lines.try_init() };
    started.map_err(|error| anyhow::anyhow!(error).context("cannot start the log"))
}

/// Whether standard error goes straight into the journal: `systemd.exec(5)`, `$JOURNAL_STREAM`.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// Makes one writer for each event.
#[derive(Debug, Clone, Copy)]
struct Lines {
    is_journal: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { prefix: "" }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        Line { prefix: if self.is_journal { priority(*meta.level()) } else { "" } }
    }
}

/// Writes one event, which the formatter hands over in one piece.
#[derive(Debug)]
struct Line {
    prefix: &'static str,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // One write: lines of the two roles share the stream and must not mix.
        io::stderr().lock().write_all(harmless(self.prefix, bytes).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One event as one line, whatever strangers put into it.
fn harmless(prefix: &str, event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    format!("{prefix}{}\n", sanitize::line(text.strip_suffix('\n').unwrap_or(&text)))
}

/// The prefix for a syslog priority.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_one_line() {
        assert_eq!(harmless("<4>", b"a name=\"x\"\n"), "<4>a name=\"x\"\n");
        assert_eq!(harmless("", "a\n<0>forged\u{1b}[2J \u{202e}b\n".as_bytes()), "a�<0>forged�[2J �b\n");
        assert_eq!(harmless("", b"\xff\n\n"), "��\n");
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(priority), ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    }
}
