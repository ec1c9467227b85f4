//! The notify role: changes of sessions -> assessed, told, each to every sink.
//!
//! Three kinds of tasks in one thread, joined by the outbox (`delivery.db`): [`intake`] takes changes in and rates what
//! needs nobody's answer, `rating` asks about the rest, one `worker` for each sink delivers. Every step is written down
//! before the next one begins, so the role can die between any two; [`Step`] names them.
//!
//! The role reads `sessions.db` and writes nothing but its own folder.

pub mod message; // what is told
pub mod outbox; // delivery.db
pub mod record; // the same for programs

mod announce; // finishes announcements: words, verdict, deliveries
pub mod assessor; // a session, and everything about it -> its rating
pub mod control; // changes by hand
pub mod groups; // who is in which group of this host
pub mod intake; // sessions.db -> outbox
mod news; // what the role tells about itself
mod rating; // look-ups -> assessments and messages
mod reassessment; // what becomes known later -> assessments and messages
mod release; // the end of quiet hours
pub mod route; // where a change goes; pure
pub mod storm; // many attempts as one thing; pure
pub mod summary; // what happened in a day or a week
pub mod template; // words of one's own
mod trouble; // what this host itself fails at, for a while
mod upkeep; // limits and clearing up
mod watch; // wakes the intake
mod worker; // outbox -> one sink

pub mod backoff; // how long to wait after a failure; pure
mod mark; // recognises a configuration
pub mod outcome; // what an answer means; pure
pub mod pace; // how fast a sink may be sent to; pure
pub mod sink; // one file for each service

pub mod rehearsal; // an example through every sink

use std::cell::RefCell;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use std::{fs, io};

use anyhow::Context as _;
use jiff::Timestamp;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch as channel};
use tokio::task::{JoinSet, LocalSet};

use self::announce::Announcer;
use self::assessor::Assessor;
use self::control::Control;
use self::groups::Directory;
use self::intake::Intake;
use self::news::Herald;
use self::outbox::{Grouping, Limits, Outbox};
use self::pace::Pace;
use self::rating::Rating;
use self::reassessment::{Fresh, Reassessment};
use self::release::Release;
use self::sink::http::Clients;
use self::summary::Summaries;
use self::upkeep::Upkeep;
use self::watch::Watch;
use self::worker::{Bells, Worker};
use crate::config::{Config, Sink};
use crate::enrich::abuseipdb::AbuseIpdb;
use crate::enrich::crowdsec::CrowdSec;
use crate::enrich::greynoise::GreyNoise;
use crate::enrich::local::Local;
use crate::enrich::reverse_dns::ReverseDns;
use crate::enrich::threat_jammer::ThreatJammer;
use crate::enrich::{Enricher, Ledger, Source};
use crate::store::{self, StoreError};

/// How long what is being sent may take when the role is told to end; it is sent again after the next start otherwise.
const GRACE: Duration = Duration::from_secs(3);

/// A step of the way that has just been finished, and written down where it leaves something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Changes, deliveries and the cursor were written.
    Intake,
    /// Facts were found.
    Enrich,
    /// The rating and the messages were written.
    Assess,
    /// Ratings that take the place of others were written, with the messages about them.
    Reassess,
    /// A delivery was claimed.
    Claim,
    /// A sink said what came of an attempt.
    Send,
    /// The result was written.
    Record,
}

/// Is told of every step; the tests end the process in there.
pub type OnStep = Rc<dyn Fn(Step)>;

type SharedOutbox = Rc<RefCell<Outbox>>;

/// Runs the role until SIGTERM or SIGINT. The caller sees to it that no other process runs it with this directory, and
/// has given up what the role does not need.
///
/// # Errors
/// What no waiting mends: no access to the state directory, a database of a newer version.
pub fn run(config: &Config, state_dir: &Path) -> anyhow::Result<()> {
    run_observed(config, state_dir, Rc::new(|_| {}))
}

/// [`run`], telling of every step.
pub fn run_observed(config: &Config, state_dir: &Path, on_step: OnStep) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the notify role's runtime")?;
    let ended = LocalSet::new().block_on(&runtime, role(config, state_dir, on_step));
    // A name that is being resolved cannot be interrupted; the end of the role does not wait for it.
    runtime.shutdown_background();
    ended
}

async fn role(config: &Config, state_dir: &Path, on_step: OnStep) -> anyhow::Result<()> {
    create_folder(state_dir)?;
    // First of all: no change between here and the first look goes unnoticed.
    let watch = Watch::new(state_dir).with_context(|| format!("cannot watch {}", state_dir.display()))?;
    let mut outbox = open_outbox(state_dir)?;
    let interrupted = outbox.release_claims()?;
    if interrupted > 0 {
        tracing::info!(
            interrupted,
            "deliveries were being sent when the last run ended; they are sent again"
        );
    }
    if let Err(error) = outbox.forget_expired(Timestamp::now()) {
        tracing::warn!(%error, "expired look-ups cannot be forgotten yet");
    }
    let names: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
    let sinks: Vec<_> = config.sinks.iter().map(|sink| (sink.name.as_str(), sink.kind.as_str())).collect();
    outbox.register_sinks(&sinks)?;
    let marks = marks(config, state_dir);
    resume_corrected(&mut outbox, config, &marks)?;
    for (sink, waiting) in outbox.orphaned(&names)? {
        tracing::warn!(%sink, waiting, "deliveries wait for a sink that is not configured");
    }
    let outbox = Rc::new(RefCell::new(outbox));
    let clients = Clients::new();
    let enricher = Rc::new(enricher(config, &clients, Rc::new(Rc::clone(&outbox)))?);
    let assessor = Rc::new(Assessor::new(state_dir.to_owned(), enricher, config.risk.clone()));
    let (stop, stopped) = channel::channel(false);
    let mut workers = JoinSet::new();
    let bells: Vec<_> = config.sinks.iter().map(|_| Bells::default()).collect();
    let worker_bells: Vec<_> = bells.iter().map(|bells| Rc::clone(&bells.work)).collect();
    let host = config.host();
    let release_bell = Rc::new(Notify::new());
    let announcer = Rc::new(Announcer {
        rules: config.rules.clone(),
        templates: config.templates.clone(),
        sinks: config.sinks.iter().map(|sink| sink.name.clone()).collect(),
        directory: Directory::new(&config.rules),
    });
    let herald = Rc::new(Herald {
        host: host.clone(),
        announcer: Rc::clone(&announcer),
        wake: worker_bells.iter().chain([&release_bell]).cloned().collect(),
    });
    for ((configured, bells), mark) in config.sinks.iter().zip(&bells).zip(marks) {
        let worker = Worker {
            name: configured.name.clone(),
            sink: sink::open(&configured.kind, &clients)
                .with_context(|| format!("cannot open the sink {}", configured.name))?,
            outbox: Rc::clone(&outbox),
            pace: Pace::new(&sink::pace(&configured.kind, configured.queue.pace)),
            grouping: configured
                .queue
                .group
                .map(|window| Grouping { window, red_waits: configured.queue.group_red }),
            at_once: sink::at_once(&configured.kind),
            mark,
            herald: Rc::clone(&herald),
            bells: bells.clone(),
            stop: stopped.clone(),
            on_step: Rc::clone(&on_step),
        };
        workers.spawn_local(worker.run());
    }
    warn_of_missing_groups(config);
    let release = Release {
        outbox: Rc::clone(&outbox),
        wake: Rc::clone(&release_bell),
        wake_workers: worker_bells.clone(),
    };
    // Those who have something to do when deliveries were made.
    let wake: Vec<_> = worker_bells.into_iter().chain([release_bell]).collect();
    let rating_bell = Rc::new(Notify::new());
    let fresh = Rc::new(Fresh::default());
    let late = Rc::clone(&fresh);
    assessor.enricher().tell_late(Rc::new(move |address, facts| late.tell(address, facts)));
    let rating = Rating {
        outbox: Rc::clone(&outbox),
        assessor: Rc::clone(&assessor),
        announcer: Rc::clone(&announcer),
        wake: Rc::clone(&rating_bell),
        wake_workers: wake.clone(),
        fresh: Rc::clone(&fresh),
        on_step: Rc::clone(&on_step),
    };
    let upkeep = Upkeep {
        outbox: Rc::clone(&outbox),
        sinks: config.sinks.iter().map(|sink| (sink.name.clone(), limits(sink))).collect(),
        keep: config.notify.keep_delivered,
        herald: Rc::clone(&herald),
    };
    let summaries = Summaries {
        schedules: config.summaries.clone(),
        state_dir: state_dir.to_owned(),
        outbox: Rc::clone(&outbox),
        herald,
    };
    let control = Control {
        outbox: Rc::clone(&outbox),
        bells,
        listener: Control::listen(state_dir).context("cannot listen at the queue's socket")?,
    };
    let reassessment = Rc::new(Reassessment {
        outbox: Rc::clone(&outbox),
        assessor: Rc::clone(&assessor),
        announcer: Rc::clone(&announcer),
        fresh,
        wake_workers: wake.clone(),
        turn: tokio::sync::Mutex::default(),
        day: reassessment::DAY,
        on_step: Rc::clone(&on_step),
    });
    let intake = Intake {
        reassessment: Rc::clone(&reassessment),
        state_dir: state_dir.to_owned(),
        outbox,
        assessor,
        host,
        announcer,
        pace: RefCell::new(intake::Pace::new(Timestamp::now(), config.notify.gather_attempts)),
        wake: wake.into_iter().chain([rating_bell]).collect(),
        on_step,
    };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tell_systemd(NotifyState::Ready);
    tracing::info!(state_dir = %state_dir.display(), sinks = ?names, "the notify role is working");
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = intake.run(watch) => ended,
        ended = rating.run() => ended,
        ended = release.run() => ended,
        ended = upkeep.run() => ended,
        ended = summaries.run() => ended,
        ended = control.run() => ended,
        () = reassessment.run() => Ok(()),
        Some(ended) = workers.join_next() => ended.context("a sink's worker broke off")?,
    };
    tell_systemd(NotifyState::Stopping);
    // Workers that are gone already have nobody to tell.
    stop.send_replace(true);
    let finish = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        tracing::info!("a sink has not answered yet; what it was sent is sent again after the next start");
    }
    ended
}

/// The marks of the sinks' configurations, in their order. Without a key there are none, and a suspended sink is tried
/// again at the next start.
fn marks(config: &Config, state_dir: &Path) -> Vec<Vec<u8>> {
    match mark::key(state_dir) {
        Ok(key) => config.sinks.iter().map(|sink| mark::mark(&key, &sink.kind)).collect(),
        Err(error) => {
            tracing::warn!(%error, "changes of a suspended sink's configuration cannot be recognised");
            vec![Vec::new(); config.sinks.len()]
        }
    }
}

/// Resumes sinks that were suspended with another configuration than they have now.
fn resume_corrected(outbox: &mut Outbox, config: &Config, marks: &[Vec<u8>]) -> Result<(), StoreError> {
    for (name, then) in outbox.suspended()? {
        let now = config.sinks.iter().zip(marks).find(|(sink, _)| sink.name == name).map(|(_, mark)| mark);
        match now {
            Some(now) if *now == then && !now.is_empty() => {
                tracing::warn!(sink = %name, "is suspended still: its configuration is the one that was refused");
            }
            Some(_) => {
                outbox.resume(&name, Timestamp::now())?;
                tracing::info!(sink = %name, "its configuration has changed: it is tried again");
            }
            None => {}
        }
    }
    Ok(())
}

fn limits(sink: &Sink) -> Limits {
    Limits { max_age: sink.queue.max_age, max_queued: sink.queue.max_queued }
}

/// Creates the role's folder where it is missing.
fn create_folder(state_dir: &Path) -> anyhow::Result<()> {
    let folder = state_dir.join(outbox::DIRECTORY);
    match fs::DirBuilder::new().mode(0o750).create(&folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.with_context(|| format!("cannot create {}", folder.display())),
    }
}

/// Opens the outbox; a damaged one is set aside and a new one takes its place.
fn open_outbox(state_dir: &Path) -> anyhow::Result<Outbox> {
    match Outbox::open(state_dir) {
        Err(error @ StoreError::Damaged { .. }) => {
            let kept = store::set_aside(&outbox::path(state_dir), Timestamp::now())?;
            tracing::error!(
                error = &error as &dyn std::error::Error,
                kept_as = %kept.display(),
                "delivery.db is damaged and was set aside: its assessments are lost, and so are deliveries that were \
                 not made yet, except for changes of the last ten minutes, which are told once more"
            );
            Ok(Outbox::open(state_dir)?)
        }
        opened => Ok(opened?),
    }
}

/// All sources that are configured.
pub fn enricher(config: &Config, clients: &Clients, ledger: Rc<dyn Ledger>) -> anyhow::Result<Enricher> {
    let enrich = &config.enrich;
    let mut sources: Vec<Rc<dyn Source>> = Vec::new();
    if let Some(service) = enrich.threat_jammer.clone() {
        sources.push(Rc::new(ThreatJammer::new(service, clients.shared()?, Rc::clone(&ledger))));
    }
    if let Some(service) = enrich.abuseipdb.clone() {
        sources.push(Rc::new(AbuseIpdb::new(service, clients.shared()?, Rc::clone(&ledger))));
    }
    if let Some(service) = enrich.crowdsec.clone() {
        sources.push(Rc::new(CrowdSec::new(service, clients.shared()?, Rc::clone(&ledger))));
    }
    if let Some(service) = enrich.greynoise.clone() {
        sources.push(Rc::new(GreyNoise::new(service, clients.shared()?, ledger)));
    }
    if enrich.reverse_dns {
        sources.push(Rc::new(ReverseDns::default()));
    }
    let local = Rc::new(Local::open(&enrich.databases, &enrich.lists));
    Ok(Enricher::new(enrich.deadline, local, sources))
}

/// In a thread of its own: the name service may be slow.
fn warn_of_missing_groups(config: &Config) {
    let rules = config.rules.clone();
    drop(tokio::task::spawn_blocking(move || {
        for group in groups::missing(&rules) {
            tracing::warn!(%group, "a route names a group that this host does not have");
        }
    }));
}

fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// A random number, uniform in 0 to 1, for jitter.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
        // Without chance there is no jitter; the wait is as long as it can be.
        Err(_) => 1.0,
    }
}
