//! What the assessment of one login takes, with everything that needs nobody's answer: the past, the account, lists and
//! databases. And what the lists take in memory.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use login_tracer::config::{Databases, List, Risk};
use login_tracer::enrich::local::{Addresses, Local};
use login_tracer::enrich::{Enricher, Fact};
use login_tracer::notify::assessor::Assessor;
use login_tracer::session::Update;
use login_tracer::store::{Reader, Writer};

use crate::Bench;
use crate::databases::{asn, city, database};
use crate::history::whole_session;
use crate::measurement::Target;
use crate::report::Row;

/// Lines of a list; there are two of them.
const LINES: u32 = 50_000;
/// "look-up under 50 µs"
const LOOK_UP_TARGET_US: f64 = 50.0;
/// The message goes out within 50 ms; the assessment is a part of that.
const TARGET_MS: f64 = 10.0;

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let folder = bench.disk.join("risk");
    fs::create_dir(&folder).context("cannot create a folder")?;
    let lines = lines();
    let path = |name: &str| folder.join(name);
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    let places = database("City", now, &[("10.0.0.0/28", city("Madrid", "ES", 40.4, -3.7))]);
    fs::write(path("city.mmdb"), places)?;
    fs::write(path("asn.mmdb"), database("ASN", now, &[("10.0.0.0/8", asn(64_500, "EXAMPLE"))]))?;
    let lists = ["one", "two"].map(|name| List { name: name.to_owned(), path: path(name), points: None });
    for list in &lists {
        fs::write(&list.path, &lines)?;
    }
    let databases = Databases { city: Some(path("city.mmdb")), country: None, asn: Some(path("asn.mmdb")) };
    let before = allocated_bytes();
    let read: Vec<Addresses> =
        (0..10).map(|_| Addresses::read(&lines).map_err(anyhow::Error::msg)).collect::<Result<_, _>>()?;
    let each = allocated_bytes().saturating_sub(before) as f64 / 10.0 / (1 << 20) as f64;
    row.repeated("a list of 50,000 entries in memory", "MiB", vec![each], None)?;
    let times = (0..bench.rounds(20_000, 200_000)).map(|number| {
        let address = Ipv4Addr::from_bits((number as u32).wrapping_mul(2_654_435_761)).into();
        let begun = Instant::now();
        std::hint::black_box(read.first().and_then(|list| list.find(address)));
        begun.elapsed().as_secs_f64() * 1e6
    });
    let target = Some(Target::AtMost(LOOK_UP_TARGET_US));
    row.distribution("look-up in a list of 50,000 entries", "us", times.collect(), target)?;
    let local = Rc::new(Local::open(&databases, &lists));
    let count = if bench.quick { 100_000 } else { 1_000_000 };
    assess(bench, row, local, count)
}

/// Assesses the last logins of a long history.
fn assess(bench: &Bench, row: &Row, local: Rc<Local>, count: u32) -> anyhow::Result<()> {
    const BATCH: u32 = 10_000;
    let directory = bench.disk.join("risk");
    let mut writer = Writer::open(&directory, None)?;
    for first in (0..count).step_by(BATCH as usize) {
        let updates: Vec<Update> = (first..count.min(first + BATCH)).flat_map(whole_session).collect();
        writer.commit(&updates)?;
    }
    let enricher = Rc::new(Enricher::new(Duration::from_secs(3), local, Vec::new()));
    let assessor = Assessor::new(directory.clone(), enricher, Risk::default());
    let reader = Reader::open(&directory)?;
    let mut times = Vec::new();
    for number in 0..i64::try_from(bench.rounds(500, 2_000))? {
        let session = reader.session(i64::from(count) - number)?.context("a session is missing")?;
        let begun = Instant::now();
        let (_, facts) =
            assessor.at_hand(&reader, &session, session.opened_at).context("somebody must be asked")?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(matches!(facts.history, Fact::Known(_)), "the past is not known");
    }
    let what = format!("assessment of a login, all offline sources, {count} sessions before it");
    row.distribution(&what, "ms", times, Some(Target::AtMost(TARGET_MS)))
}

fn lines() -> String {
    let mut text = String::new();
    for number in 0..LINES {
        let prefix = 20 + number % 13;
        let address = Ipv4Addr::from_bits(0x0100_0000 + number * 83_467);
        // A text takes everything that is written to it.
        writeln!(text, "{address}/{prefix} ; entry {number}").unwrap_or_default();
    }
    text
}

/// What the allocator has given out. Unlike what is resident, it grows also where memory that was free is used again.
fn allocated_bytes() -> usize {
    // SAFETY: the function takes nothing and returns numbers.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
