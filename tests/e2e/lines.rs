//! Text that grows while the suite watches: output of programs, and what arrives at the log socket.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How long anything that is expected may take. Far above what it takes, also on an emulated
/// machine, so that only a defect reaches it.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A line and when it was seen.
#[derive(Debug, Clone)]
pub struct Line {
    pub at: Timestamp,
    pub text: String,
}

/// All lines seen so far; a thread of its own appends to them.
#[derive(Default)]
pub struct Lines {
    seen: Mutex<Vec<Line>>,
    grew: Condvar,
}

impl Lines {
    /// What `source` writes, until it ends.
    pub fn of(source: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let writer = lines.clone();
        std::thread::spawn(move || {
            // The client writes carriage returns before its newlines, and prompts may hold any byte.
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                writer.push(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
            }
        });
        lines
    }

    /// Of nobody.
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// The datagrams that arrive at `socket`, one line each.
    pub fn of_datagrams(socket: UnixDatagram) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let writer = lines.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length) = socket.recv(&mut buffer) {
                writer.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        });
        lines
    }

    fn push(&self, text: String) {
        self.lock().push(Line { at: Timestamp::now(), text });
        self.grew.notify_all();
    }

    /// The first line that `pick` accepts, waiting for it up to `limit`.
    pub fn wait_for<T>(&self, limit: Duration, pick: impl Fn(&Line) -> Option<T>) -> Option<T> {
        let started = Instant::now();
        let mut seen = self.lock();
        let mut checked = 0;
        loop {
            if let Some(found) = seen[checked..].iter().find_map(&pick) {
                return Some(found);
            }
            checked = seen.len();
            let left = limit.checked_sub(started.elapsed()).filter(|left| !left.is_zero())?;
            seen = self.grew.wait_timeout(seen, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// How many lines so far hold `text`.
    pub fn count(&self, text: &str) -> usize {
        self.lock().iter().filter(|line| line.text.contains(text)).count()
    }

    /// The lines seen since `start`, indented for a failure message.
    pub fn since(&self, start: Timestamp) -> String {
        self.lock()
            .iter()
            .filter(|line| line.at >= start)
            .map(|l| format!("  {} {}\n", l.at, l.text))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        // A poisoned lock means that a scenario failed while it looked; the lines are still whole.
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
