//! `login-tracer queue`: what waits to be delivered, and what people do about it.
//!
//! Whoever may read the databases may look. Changes are the notify role's to make: it is asked, or, while it does not
//! run, its lock is taken and the change made in its place. Root becomes the account that the role's folder belongs to
//! before it touches anything in there, since that account could have put anything there.

pub mod drain;
pub mod list;
pub mod show;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::{Exit, Usage};
use crate::cli::{QueueCommand, QueueDropArgs, QueueRetryArgs};
use crate::notify::control::{self, Answer, Request};
use crate::notify::outbox::{self, DeliveryRef, Found, Reader, Selection};
use crate::output::{self, View};
use crate::sanitize;
use crate::supervise::lock::{self, Holder};
use crate::supervise::privileges::{self, Account};
use crate::supervise::{Permanent, Role};

/// How long a role may hold its lock without listening yet: it starts, or ends.
const STARTING: Duration = Duration::from_secs(10);
/// Longest reason that is kept, in characters.
const REASON_CHARS: usize = 200;

pub(super) fn run(command: &QueueCommand, state_dir: &Path) -> anyhow::Result<Exit> {
    let view = View::of_stdout();
    match command {
        QueueCommand::List(args) => output::to_stdout(|stdout| list::write(args, state_dir, &view, stdout))?,
        QueueCommand::Show(args) => output::to_stdout(|stdout| show::write(args, state_dir, &view, stdout))?,
        QueueCommand::Drain(args) => return drain::run(args, state_dir),
        QueueCommand::Retry(args) => change(state_dir, "to be sent now", || retry(args, state_dir))?,
        QueueCommand::Drop(args) => change(state_dir, "given up", || give_up(args, state_dir))?,
        QueueCommand::Pause(args) => {
            let why = reason(args.reason.as_deref());
            let request = Request::Pause { sink: args.sink.clone(), why };
            change(state_dir, "paused", || Ok(request))?;
        }
        QueueCommand::Resume(args) => {
            let request = Request::Resume { sink: args.sink.clone() };
            change(state_dir, "resumed", || Ok(request))?;
        }
    }
    Ok(Exit::Success)
}

fn retry(args: &QueueRetryArgs, state_dir: &Path) -> anyhow::Result<Request> {
    let what = match (&args.delivery, &args.sink) {
        (Some(delivery), _) => Selection::One(resolve(delivery, state_dir)?),
        (None, Some(sink)) => Selection::Sink(sink.clone()),
        (None, None) => Selection::AllParked,
    };
    Ok(Request::Retry { what })
}

fn give_up(args: &QueueDropArgs, state_dir: &Path) -> anyhow::Result<Request> {
    let what = match (&args.delivery, &args.sink) {
        (Some(delivery), _) => Selection::One(resolve(delivery, state_dir)?),
        (None, Some(sink)) => {
            let age = args.older_than.unwrap_or_default();
            let before = Timestamp::now()
                .checked_sub(age)
                .map_err(|_| Usage("--older-than is outside of the calendar".to_owned()))?;
            Selection::Older { sink: sink.clone(), before_us: before.as_microsecond() }
        }
        (None, None) => return Err(Usage("a delivery or --sink is needed".to_owned()).into()),
    };
    Ok(Request::Drop { what, why: reason(args.reason.as_deref()) })
}

/// What is kept as the reason of a change by hand.
fn reason(given: Option<&str>) -> String {
    match given.map(|text| sanitize::text(text, REASON_CHARS)).filter(|text| !text.trim().is_empty()) {
        Some(text) => format!("by hand: {text}"),
        None => "by hand".to_owned(),
    }
}

/// The delivery of an id that may be abbreviated.
pub(super) fn resolve(delivery: &DeliveryRef, state_dir: &Path) -> anyhow::Result<uuid::Uuid> {
    let reader = Reader::open(state_dir).context("cannot look into the queue")?;
    match reader.find(delivery).context("cannot look into the queue")? {
        Found::One(id) => Ok(id),
        Found::Nothing => {
            bail!("there is no such delivery; `login-tracer queue list SINK` shows those that wait")
        }
        Found::Several(ids) => {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            bail!("several deliveries begin like this: {} ...; give more digits", ids.join(", "))
        }
    }
}

/// Has a change made, as the account of the role, and says what came of it.
fn change(
    state_dir: &Path,
    done: &str,
    request: impl FnOnce() -> anyhow::Result<Request>,
) -> anyhow::Result<()> {
    become_owner(state_dir)?;
    let request = request()?;
    match ask(state_dir, &request)? {
        Answer::Done { count } => {
            let words = match &request {
                Request::Retry { .. } | Request::Drop { .. } => match count {
                    0 => "nothing to change".to_owned(),
                    1 => format!("1 delivery {done}"),
                    _ => format!("{count} deliveries {done}"),
                },
                Request::Pause { sink, .. } | Request::Resume { sink } => {
                    format!("{} is {done}", sanitize::text(sink, REASON_CHARS))
                }
            };
            output::to_stdout(|stdout| Ok(writeln!(stdout, "{words}")?))
        }
        Answer::Refused { why } => bail!("{}", sanitize::line(&why)),
        Answer::Failed { why } => bail!("the notify role could not do it: {}", sanitize::line(&why)),
    }
}

/// Root becomes the account that the role's folder belongs to; others stay who they are.
fn become_owner(state_dir: &Path) -> anyhow::Result<()> {
    let folder = state_dir.join(outbox::DIRECTORY);
    let metadata = match folder.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => bail!("{} is no directory", folder.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("there is no queue yet: it appears when the notify role has started")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", folder.display())),
    };
    if privileges::is_root() && metadata.uid() != 0 {
        let (uid, gid) = (metadata.uid(), metadata.gid());
        privileges::become_account(&Account {
            name: format!("user id {uid}"),
            uid,
            gid,
            is_fallback: false,
        })?;
    } else {
        privileges::seal()?;
    }
    privileges::shut_out_others();
    Ok(())
}

/// Asks the role, or takes its place while it does not run.
fn ask(state_dir: &Path, request: &Request) -> anyhow::Result<Answer> {
    let begun = Instant::now();
    loop {
        let error = match control::ask_role(state_dir, request) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Err(forbidden(state_dir));
        }
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            return Err(error).context("the notify role does not answer");
        }
        let holder = Holder::Role(Role::Notify);
        if !lock::is_held(holder, state_dir).context("cannot tell whether the notify role runs")? {
            let _lock = lock::acquire(holder, state_dir).map_err(|error| {
                let is_denied = error.chain().any(|cause| {
                    cause.downcast_ref::<io::Error>().map(io::Error::kind)
                        == Some(io::ErrorKind::PermissionDenied)
                });
                if is_denied { forbidden(state_dir) } else { error }
            })?;
            return control::change(state_dir, request);
        }
        if begun.elapsed() > STARTING {
            bail!("the notify role runs, but cannot be asked; if it is of an older version, restart it");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn forbidden(state_dir: &Path) -> anyhow::Error {
    let folder = state_dir.join(outbox::DIRECTORY);
    let text = "only root and the account of the notify role may change the queue; run this with sudo";
    anyhow::Error::from(Permanent(text.to_owned()))
        .context(format!("no permission to change {}", folder.display()))
}
