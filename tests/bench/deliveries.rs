//! Messages to a sink: how many a second the notify role sends of a long queue to a receiver of webhooks on loopback that
//! sets no pace, and whether its memory grows meanwhile.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use login_tracer::notify::intake::delivery_id;
use login_tracer::notify::message::{self, Message};
use login_tracer::notify::outbox::{self, Finished, NewAnnouncement, NewDelivery, Outbox, TakenIn};
use login_tracer::notify::route::{Verdict, Why};
use login_tracer::session::{ChangeKind, SessionKey};
use rustix::process::Signal;
use uuid::Uuid;

use crate::Bench;
use crate::measurement::Target;
use crate::processes::{self, command};
use crate::receiver::Receiver;
use crate::report::Row;
use crate::tracer::{Usage, resident};

/// Where messages go.
const SINK: &str = "receiver";
/// Longest that all deliveries may take.
const LIMIT: Duration = Duration::from_secs(300);
const MIB: f64 = (1 << 20) as f64;
/// What is flat: the first tenth has filled the caches, the other nine add nothing that matters.
const FLAT: Target = Target::AtMost(1.10);

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let count: u32 = if bench.quick { 10_000 } else { 100_000 };
    let directory = bench.disk.join("deliveries");
    fs::create_dir_all(directory.join(outbox::DIRECTORY)).context("cannot create a folder")?;
    fill(&directory, count)?;
    let receiver = Receiver::start();
    let mut role = Role::start(bench, &directory, &receiver.url())?;
    let usage = Usage::of(role.0.id())?;
    let mut at = |percent: u32| {
        let begun = Instant::now();
        let enough = (count / 100 * percent) as usize;
        while receiver.count() < enough {
            ensure!(role.0.try_wait()?.is_none(), "the notify role ended");
            ensure!(begun.elapsed() < LIMIT, "{} of {enough} deliveries arrived", receiver.count());
            thread::sleep(Duration::from_millis(2));
        }
        Ok((Instant::now(), resident(role.0.id())? as f64 / MIB, usage.since()?.cpu_s))
    };
    // The first ones find cold caches and a connection that is not there yet.
    let (begun, early, cpu_before) = at(10)?;
    let (ended, late, cpu_after) = at(100)?;
    let sent = f64::from(count) * 0.9;
    let repeats = receiver.with(|received| received.ids.values().filter(|(times, _)| *times > 1).count());
    ensure!(repeats == 0, "{repeats} messages came more than once");
    let rate = sent / (ended - begun).as_secs_f64();
    let of = if bench.quick { "10,000" } else { "100,000" };
    row.repeated(&format!("{of} deliveries, no pace"), "/s", vec![rate], Some(Target::AtLeast(1_000.0)))?;
    let each = (cpu_after - cpu_before) * 1e6 / sent;
    row.repeated("CPU of the notify role", "us a delivery", vec![each], None)?;
    row.paired("its memory", "MiB", ["after 10 %", "after all"], vec![[early, late]], Some(FLAT))
}

/// The notify role alone; ended when dropped.
struct Role(Child);

impl Role {
    fn start(bench: &Bench, state_dir: &Path, url: &str) -> anyhow::Result<Self> {
        const URL: &str = "BENCH_URL";
        let config = state_dir.with_extension("toml");
        let text = format!("[sinks.{SINK}]\ntype = \"webhook\"\npace = \"none\"\nurl_env = \"{URL}\"\n");
        fs::write(&config, text).context("cannot write a configuration")?;
        let mut command = command(&bench.tracer);
        command.arg("--config").arg(&config).arg("--state-dir").arg(state_dir).arg("notify");
        command.env(URL, url).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("cannot start the notify role")?))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        processes::signal(self.0.id(), Signal::TERM);
        processes::wait_for_end(&mut self.0, "the notify role");
    }
}

fn fill(directory: &Path, count: u32) -> anyhow::Result<()> {
    let mut outbox = Outbox::open(directory)?;
    let now = Timestamp::now();
    let announcement = |number: u32| {
        let key = SessionKey::new("machine", "boot", number, u64::from(number));
        let subject = key.to_string();
        let id = delivery_id(&subject, ChangeKind::Opened, 1, SINK);
        let message = Message {
            summary: format!("login {number}"),
            level: None,
            lines: Vec::new(),
            is_reworded: false,
        };
        let verdict =
            Verdict { at: now, reason: Why::NoRoutes, allowed: None, routes: Vec::new(), sinks: Vec::new() };
        let deliveries = vec![NewDelivery { id, sink: SINK.to_owned(), held_until: None, message: None }];
        NewAnnouncement {
            session: Some(key),
            subject,
            kind: ChangeKind::Opened,
            seq: 1,
            event: message::Event::EventsLost { host: "bench".to_owned(), at: now, count: 1 },
            finished: Some(Finished { message, verdict, deliveries }),
        }
    };
    for first in (0..count).step_by(5_000) {
        let batch = TakenIn {
            store_id: Uuid::nil(),
            cursor: 0,
            ratings: Vec::new(),
            reassessed: Vec::new(),
            announcements: (first..count.min(first + 5_000)).map(announcement).collect(),
            better_known: Vec::new(),
            untold_after: None,
        };
        outbox.take_in(&batch, now)?;
    }
    Ok(())
}
