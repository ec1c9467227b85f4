//! The console: one coloured line a message, on standard output.
//!
//! Writing may block for as long as nobody reads (a stopped terminal, a full pipe), so it happens in a thread of its
//! own and holds up nothing but this sink's queue. A reader that went away is a failure that may pass.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Report, Sending, Sink};
use crate::assess::Level;
use crate::notify::message::{Label, Message};
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

/// The line of a message, with its line feed.
pub fn line(message: &Message, colour: bool) -> String {
    let paint = |style: &str, text: &str| match colour {
        true => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    if message.is_reworded {
        let lines: Vec<_> = message
            .lines
            .iter()
            .map(|line| format!("  {} {}", paint("2", line.label.as_str()), line.text))
            .collect();
        return format!("{}{}\n", paint(style(message.level), &message.summary), lines.concat());
    }
    let mut parts = Vec::new();
    let get = |label| message.get(label);
    if let Some(time) = get(Label::Ended).or(get(Label::Time)).or(get(Label::Opened)) {
        parts.push(paint("2", time));
    }
    // What is not about one session says it all in its summary.
    let others = [
        (Label::Sink, "SINK"),
        (Label::Changes, "GROUP"),
        (Label::Logins, "SUMMARY"),
        (Label::Attempts, "STORM"),
    ];
    if let Some((_, what)) = others.into_iter().find(|(label, _)| get(*label).is_some()) {
        parts.push(paint(style(message.level), &format!("{what:<6}")));
        parts.push(message.summary.clone());
        parts.extend(
            [Label::Riskiest, Label::Doubt, Label::Lost, Label::Remedy, Label::Refused]
                .into_iter()
                .filter_map(get)
                .map(str::to_owned),
        );
        return parts.join("  ") + "\n";
    }
    // The first that is there. A session that was found open has no time of its own.
    let kinds = [
        (Label::Lost, "LOST"),
        (Label::Doubt, "SSHD?"),
        (Label::Refused, "TRIED"),
        (Label::Before, "RAISED"),
        (Label::Gained, "GAINED"),
        (Label::Ended, "LOGOUT"),
        (Label::Opened, "FOUND"),
    ];
    let what = kinds.into_iter().find(|(label, _)| get(*label).is_some()).map_or("LOGIN", |(_, word)| word);
    parts.push(paint(style(message.level), &format!("{what:<6}")));
    match (get(Label::User), get(Label::Host)) {
        (Some(user), Some(host)) => parts.push(format!("{} on {host}", paint("1", user))),
        (None, Some(host)) => parts.push(host.to_owned()),
        (_, None) => {}
    }
    if let Some(through) = get(Label::Through) {
        parts.push(format!("through {through}"));
    }
    if let Some(address) = get(Label::Address) {
        parts.push(format!("from {}", paint("1", address)));
    }
    if let (Some(gained), Some(program)) = (get(Label::Gained), get(Label::Program)) {
        parts.push(format!("{} by {program}", paint("1", gained)));
    }
    if let Some(method) = get(Label::Method) {
        parts.push(format!("by {method}"));
    }
    if let Some(duration) = get(Label::Duration) {
        parts.push(format!("after {duration}"));
    }
    if let (Some(doubt), Some(program)) = (get(Label::Doubt), get(Label::Program)) {
        parts.push(format!("runs {program}: {doubt}"));
    }
    if let Some(refused) = get(Label::Refused) {
        parts.push(refused.to_owned());
    }
    if let Some(lost) = get(Label::Lost) {
        parts.push(lost.to_owned());
    }
    let mut line = parts.join("  ");
    for (label, words) in [(Label::Network, "network"), (Label::Place, "place")] {
        // Why something is not known is said once, with the risk.
        if let Some(text) = message.known(label) {
            line.push_str(&format!("  {} {text}", paint("2", words)));
        }
    }
    if let Some(risk) = get(Label::Risk) {
        line.push_str(&format!("  {} {}", paint("2", "risk"), paint(style(message.level), risk)));
    }
    line.push('\n');
    line
}

/// The level's colour as SGR parameters.
fn style(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Low) => "1;32",
        Some(Level::Medium) | None => "1;33",
        Some(Level::High) => "1;31",
        Some(Level::Unknown) => "1;90",
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
