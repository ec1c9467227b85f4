//! The console: one coloured line a message, on standard output.
//!
//! Writing may block for as long as nobody reads (a stopped terminal, a full pipe), so it happens in a thread of its
//! own and holds up nothing but this sink's queue. A reader that went away is a failure that may pass.

mod line;

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

pub use self::line::line;
use super::{Report, Sending, Sink};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::Outcome;

/// How long a full output in non-blocking mode is left alone. Somebody else set that mode on a terminal or pipe that we
/// share; it is rare, and this thread does nothing else.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Lines on one output.
pub struct Console {
    colour: bool,
    lines: mpsc::Sender<Job>,
}

/// A line to be written, and where to say what came of it.
type Job = (String, oneshot::Sender<io::Result<()>>);

impl Console {
    /// Standard output, in colour if it is a terminal and `NO_COLOR` (no-color.org) is not set.
    ///
    /// # Errors
    /// There is no standard output, or no thread could be started.
    pub fn stdout() -> io::Result<Self> {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = io::stdout().is_terminal() && !no_colour;
        // Without the buffer of `Stdout`, which would keep a line that failed and write it once more.
        Self::new(File::from(io::stdout().as_fd().try_clone_to_owned()?), colour)
    }

    /// Any output.
    pub fn new(mut output: impl Write + Send + 'static, colour: bool) -> io::Result<Self> {
        let (lines, jobs) = mpsc::channel::<Job>();
        thread::Builder::new().name("console".to_owned()).spawn(move || {
            for (line, done) in jobs {
                // Nobody waits any more when the role is being ended: the delivery is repeated at the next start.
                if done.send(write(&mut output, &line)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { colour, lines })
    }
}

impl Sink for Console {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async {
            let (done, written) = oneshot::channel();
            let job = (line(&delivery.message, self.colour), done);
            if self.lines.send(job).is_err() {
                return Report::no_answer("the writing thread is gone".to_owned());
            }
            match written.await {
                Ok(Ok(())) => Report::of(Outcome::Delivered),
                Ok(Err(error)) => Report::no_answer(format!("cannot write: {error}")),
                Err(_) => Report::no_answer("the writing thread is gone".to_owned()),
            }
        })
    }
}

/// Writes a whole line; an output in non-blocking mode that is full is waited for.
fn write(output: &mut impl Write, line: &str) -> io::Result<()> {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            Err(error) => return Err(error),
        }
    }
    flush(output)
}

fn flush(output: &mut impl Write) -> io::Result<()> {
    loop {
        match output.flush() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            other => return other,
        }
    }
}
