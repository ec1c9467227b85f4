//! A file of JSON lines ([`Record`]), rotated by size.
//!
//! A line is on the disk before it counts as delivered. The file is opened anew for each line, so it may be moved away at
//! any time. A line that was cut by a crash or a full disk is ended before the next one: no two ever run together, and
//! the message of the cut one is written again. Links are not followed: somebody else's file is not written to.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Exchange, Report, Sending, Sink};
use crate::config;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::Outcome;
use crate::notify::record::Record;

/// One file and those that it was before.
pub struct File {
    config: config::File,
}

impl File {
    pub fn new(config: &config::File) -> Self {
        Self { config: config.clone() }
    }
}

impl Sink for File {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async {
            let line = format!("{}\n", Record::new(delivery).json());
            let exchange = Exchange { sent: line.clone(), received: String::new() };
            let config = self.config.clone();
            // A disk may take its time; nobody else waits for it.
            let written = tokio::task::spawn_blocking(move || write(&config, line.as_bytes())).await;
            let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
            let report = match written {
                Ok(()) => Report::of(Outcome::Delivered),
                Err(error) => {
                    Report::no_answer(format!("cannot write {}: {error}", self.config.path.display()))
                }
            };
            let received = match &report.outcome {
                Outcome::Delivered => format!("written to {}\n", self.config.path.display()),
                Outcome::Retry { why, .. }
                | Outcome::Doubtful { why }
                | Outcome::Park { why }
                | Outcome::Gone { why } => why.clone(),
            };
            report.with_exchange(Exchange { received, ..exchange })
        })
    }
}

/// Writes a line and makes it durable.
fn write(config: &config::File, line: &[u8]) -> io::Result<()> {
    let mut file = open(&config.path)?;
    let size = file.metadata()?.len();
    if size > 0 && size.saturating_add(line.len() as u64) > config.max_size {
        drop(file);
        rotate(config)?;
        file = open(&config.path)?;
    }
    let mut whole = Vec::with_capacity(line.len() + 1);
    if is_cut(&mut file)? {
        whole.push(b'\n');
    }
    whole.extend_from_slice(line);
    file.write_all(&whole)?;
    file.sync_data()
}

fn open(path: &Path) -> io::Result<fs::File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file =
        OpenOptions::new().read(true).append(true).create(true).mode(0o640).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// Whether the last line has no end.
fn is_cut(file: &mut fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Gives every full file the next number; the last one goes.
fn rotate(config: &config::File) -> io::Result<()> {
    let name = |number: u32| match number {
        0 => config.path.clone(),
        number => numbered(&config.path, number),
    };
    if config.keep == 0 {
        return fs::remove_file(&config.path);
    }
    for number in (0..config.keep).rev() {
        match fs::rename(name(number), name(number + 1)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
    }
    Ok(())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}
