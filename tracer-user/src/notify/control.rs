//! What people change in the queue: `login-tracer queue` asks, the role does it.
//!
//! The role is the only writer of its database, so whoever wants something changed asks it, over a socket in the role's
//! folder that belongs to its account with mode 0600: the kernel lets root and that account connect, and nobody else.
//! The group of the account may read the queue, but not silence it. While the role does not run, whoever may
//! take its lock makes the change ([`change`]).
//!
//! One request and one answer for each connection, each a line of JSON of bounded length.

use std::error::Error;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::SharedOutbox;
use super::outbox::{self, DeliveryState, Outbox, Selection};
use super::worker::Bells;
use crate::sanitize;
use crate::store::StoreError;

/// Name of the socket within the role's folder.
const FILE_NAME: &str = "queue.sock";
/// Longest request or answer, in bytes.
const LONGEST: u64 = 16 << 10;
/// How long the role waits for a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer is waited for: a change of a hundred thousand deliveries takes seconds.
const LONG_PATIENCE: Duration = Duration::from_secs(120);
/// Longest name that an answer repeats, in characters.
const NAME_CHARS: usize = 40;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Send again, now.
    Retry { what: Selection },
    /// Give up.
    Drop { what: Selection, why: String },
    /// Hold back.
    Pause { sink: String, why: String },
    /// Hold back no longer.
    Resume { sink: String },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was done; so many deliveries changed.
    Done { count: u64 },
    /// It makes no sense, and why.
    Refused { why: String },
    /// It could not be done, perhaps only in part.
    Failed { why: String },
}

impl Request {
    /// Why it makes no sense; `None` if it does.
    fn refusal(&self, outbox: &Outbox) -> Result<Option<String>, StoreError> {
        Ok(match self {
            Self::Retry { what: Selection::One(id) } => match outbox.state(*id)? {
                None => Some(format!("there is no delivery {id}")),
                Some(DeliveryState::Delivered) => Some(format!("{id} was delivered already")),
                Some(DeliveryState::Claimed) => Some(format!("{id} is being sent right now")),
                Some(
                    DeliveryState::Held
                    | DeliveryState::Queued
                    | DeliveryState::Parked
                    | DeliveryState::Dropped
                    | DeliveryState::Expired,
                ) => None,
            },
            Self::Drop { what: Selection::One(id), .. } => match outbox.state(*id)? {
                None => Some(format!("there is no delivery {id}")),
                Some(DeliveryState::Delivered) => Some(format!("{id} was delivered already")),
                Some(DeliveryState::Claimed) => Some(format!("{id} is being sent right now; try again")),
                Some(DeliveryState::Dropped | DeliveryState::Expired) => {
                    Some(format!("{id} was given up already"))
                }
                Some(DeliveryState::Held | DeliveryState::Queued | DeliveryState::Parked) => None,
            },
            Self::Retry { what } | Self::Drop { what, .. } => match what {
                Selection::Sink(sink) | Selection::Older { sink, .. } => unknown(outbox, sink)?,
                Selection::One(_) | Selection::AllParked => None,
            },
            Self::Pause { sink, .. } => unknown(outbox, sink)?,
            Self::Resume { sink } => match outbox.sink(sink)? {
                Some(None) => Some(format!("{} is not held", shown(sink))),
                Some(Some(_)) => None,
                None => unknown(outbox, sink)?,
            },
        })
    }

    /// Does a step of it; says how many deliveries changed, and whether that was all.
    fn step(&self, outbox: &mut Outbox, now: Timestamp) -> Result<(usize, bool), StoreError> {
        Ok(match self {
            Self::Retry { what } => {
                let count = outbox.retry_step(what, now)?;
                (count, count == 0 || matches!(what, Selection::One(_)))
            }
            Self::Drop { what, why } => {
                let count = outbox.drop_step(what, why, now)?;
                (count, count == 0 || matches!(what, Selection::One(_)))
            }
            Self::Pause { sink, why } => {
                outbox.pause(sink, why, now)?;
                (0, true)
            }
            Self::Resume { sink } => {
                outbox.resume(sink, now)?;
                (0, true)
            }
        })
    }
}

fn unknown(outbox: &Outbox, sink: &str) -> Result<Option<String>, StoreError> {
    if outbox.sink(sink)?.is_some() || outbox.has_deliveries(sink)? {
        return Ok(None);
    }
    Ok(Some(format!("there is no sink {}; `login-tracer queue list` shows those there are", shown(sink))))
}

fn shown(name: &str) -> String {
    sanitize::text(name, NAME_CHARS)
}

/// The task that does what is asked.
pub(super) struct Control {
    pub(super) outbox: SharedOutbox,
    pub(super) bells: Vec<Bells>,
    pub(super) listener: UnixListener,
}

impl Control {
    /// Makes the socket; one of an earlier run gives way.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub(super) fn listen(state_dir: &Path) -> io::Result<UnixListener> {
        let (folder, path) = socket(state_dir)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        drop(folder);
        Ok(listener)
    }

    /// Runs until the role ends.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // One at a time: only root and this account can ask.
                    if let Err(error) = self.serve(stream).await {
                        tracing::debug!(
                            error = &error as &dyn Error,
                            "somebody asked something and went away"
                        );
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "nobody can be heard at the queue's socket");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }

    async fn serve(&self, stream: tokio::net::UnixStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut line = String::new();
        let mut reader = tokio::io::BufReader::new(reader.take(LONGEST));
        tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                let answer = self.answer(&request).await;
                tracing::info!(?request, ?answer, "the queue was changed by hand");
                answer
            }
            Err(_) => Answer::Refused { why: "the notify role does not know this request".to_owned() },
        };
        let mut line = serde_json::to_vec(&answer).map_err(io::Error::other)?;
        line.push(b'\n');
        tokio::time::timeout(PATIENCE, writer.write_all(&line)).await?
    }

    async fn answer(&self, request: &Request) -> Answer {
        let refused = request.refusal(&self.outbox.borrow());
        match refused {
            Ok(None) => {}
            Ok(Some(why)) => return Answer::Refused { why },
            Err(error) => return failed(error),
        }
        let now = Timestamp::now();
        let mut count = 0;
        loop {
            let step = request.step(&mut self.outbox.borrow_mut(), now);
            match step {
                Ok((changed, is_last)) => {
                    count += changed as u64;
                    if is_last {
                        break;
                    }
                }
                Err(error) => return failed(error),
            }
            // Those who send get their turn.
            tokio::task::yield_now().await;
        }
        for bells in &self.bells {
            bells.work.notify_one();
            if !matches!(request, Request::Drop { .. }) {
                bells.hurry.notify_one();
            }
        }
        Answer::Done { count }
    }
}

fn failed(error: StoreError) -> Answer {
    Answer::Failed { why: format!("{:#}", anyhow::Error::from(error)) }
}

/// The socket by a path that is short enough for any state directory, as long as the folder is held open.
fn socket(state_dir: &Path) -> io::Result<(File, PathBuf)> {
    let folder = state_dir.join(outbox::DIRECTORY);
    let folder = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_PATH).open(folder)?;
    let path = format!("/proc/self/fd/{}/{FILE_NAME}", folder.as_raw_fd());
    Ok((folder, path.into()))
}

/// Asks the role that runs with this directory.
///
/// # Errors
/// It does not run ([`io::ErrorKind::NotFound`], [`io::ErrorKind::ConnectionRefused`]), this account may not ask
/// ([`io::ErrorKind::PermissionDenied`]), or it does not answer.
pub fn ask_role(state_dir: &Path, request: &Request) -> io::Result<Answer> {
    let (_folder, path) = socket(state_dir)?;
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(LONG_PATIENCE))?;
    let mut line = serde_json::to_vec(request).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut answer)?;
    serde_json::from_str(&answer).map_err(io::Error::other)
}

/// Makes a change while no role runs; the caller holds the role's lock.
///
/// # Errors
/// The database cannot be used.
pub fn change(state_dir: &Path, request: &Request) -> anyhow::Result<Answer> {
    if !outbox::path(state_dir).try_exists().context("cannot look for the queue")? {
        bail!("there is no queue yet: it appears when the notify role has started");
    }
    let mut outbox = Outbox::open(state_dir).context("cannot change the queue")?;
    // What was being sent when the role ended waits, as it will after the next start.
    outbox.release_claims().context("cannot change the queue")?;
    if let Some(why) = request.refusal(&outbox).context("cannot change the queue")? {
        return Ok(Answer::Refused { why });
    }
    let (now, mut count) = (Timestamp::now(), 0);
    loop {
        let (changed, is_last) = request.step(&mut outbox, now).context("cannot change the queue")?;
        count += changed as u64;
        if is_last {
            return Ok(Answer::Done { count });
        }
    }
}
