//! A burst: a thousand connections to a real sshd as quickly as it takes them, some of them logins, and all of the others
//! held open until the last one is there. None may be missing afterwards, and none may be there twice.
//!
//! The truth are the addresses and ports that the clients had. A connection that shows no proof is one attempt, a login
//! is one session.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use login_tracer::store::{AttemptFilter, Filter, Reader};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Bench;
use crate::lines::LIMIT;
use crate::measurement::Target;
use crate::programs::connect_from;
use crate::report::Row;
use crate::sandbox;
use crate::server::Server;
use crate::tracer::Tracer;
use crate::{processes, visitor};

/// As many as the table says.
const CONNECTIONS: usize = 1_000;
/// Those of them that are logins with a key.
const LOGINS: usize = 50;
/// Threads that open the others.
const STRANGERS: usize = 50;
/// How long nothing may have changed in the database before what is missing is taken for lost.
const PATIENCE: Duration = Duration::from_secs(10);
const NONE: Target = Target::AtMost(0.0);

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    // One descriptor for each connection, here and in sshd.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("cannot open more files")?;
    let server = Server::start("UsePAM yes\nMaxStartups 2000\n");
    let port = visitor::port(&server);
    visitor::visit(port, visitor::address(CONNECTIONS))?;
    let mut results = Vec::new();
    for round in 0..bench.rounds(1, 5) {
        let state = format!("storm-{round}");
        let tracer = Tracer::start_in(bench, &state)?;
        results.push(burst(port, &bench.disk.join(state))?);
        drop(tracer);
    }
    let each = |pick: fn(&Burst) -> f64| results.iter().map(pick).collect::<Vec<_>>();
    let how = format!("1,000 connections at once, {LOGINS} of them logins");
    row.repeated(&format!("{how}: lost"), "connections", each(|burst| burst.lost), Some(NONE))?;
    row.repeated(&format!("{how}: told twice"), "connections", each(|burst| burst.twice), Some(NONE))?;
    row.repeated("kernel events lost", "events", each(|burst| burst.events_lost), Some(NONE))?;
    row.repeated("taken and ended by sshd", "connections/s", each(|burst| burst.rate), None)?;
    row.repeated("last end to last durable row", "ms", each(|burst| burst.behind_ms), None)
}

/// What came of one.
struct Burst {
    lost: f64,
    twice: f64,
    events_lost: f64,
    /// Connections a second, from the first one's begin to the last one's end.
    rate: f64,
    behind_ms: f64,
}

fn burst(port: u16, state_dir: &Path) -> anyhow::Result<Burst> {
    let (begun, begun_at) = (Instant::now(), Timestamp::now());
    let guests: Vec<Ipv4Addr> = (0..LOGINS).map(visitor::address).collect();
    let mut logins =
        guests.iter().map(|from| visitor::start(port, *from)).collect::<anyhow::Result<Vec<Child>>>()?;
    let strangers = knock(port)?;
    for login in &mut logins {
        let status = processes::wait_for_end(login, "ssh");
        ensure!(status.success(), "ssh was not let in: {status}");
    }
    let ended = Instant::now();

    let reader = Reader::open(state_dir)?;
    let (mut seen, mut changed) = (0, Instant::now());
    let found = loop {
        let found = found(&reader, &guests, &strangers)?;
        let now: u32 = found.iter().sum();
        if now != seen {
            (seen, changed) = (now, Instant::now());
        }
        if found.iter().all(|times| *times > 0) || changed.elapsed() > PATIENCE {
            break found;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    // What comes too often comes late.
    std::thread::sleep(Duration::from_millis(500));
    let found_later = self::found(&reader, &guests, &strangers)?;
    let events_lost = reader.losses_since(begun_at)?.map_or(0, |(count, _)| count);
    Ok(Burst {
        lost: found.iter().filter(|times| **times == 0).count() as f64,
        twice: found_later.iter().filter(|times| **times > 1).count() as f64,
        events_lost: events_lost as f64,
        rate: CONNECTIONS as f64 / (ended - begun).as_secs_f64(),
        behind_ms: changed.saturating_duration_since(ended).as_secs_f64() * 1e3,
    })
}

/// Opens all connections that are no logins, waits until sshd has greeted each, and leaves. Returns where they came from.
fn knock(port: u16) -> anyhow::Result<Vec<SocketAddr>> {
    let each = (CONNECTIONS - LOGINS) / STRANGERS;
    let all_there = Barrier::new(STRANGERS);
    let stranger = |number: usize| -> anyhow::Result<Vec<SocketAddr>> {
        let from = visitor::address(LOGINS + number);
        let opened: anyhow::Result<Vec<TcpStream>> = (0..each).map(|_| greeted(from, port)).collect();
        // Also who failed must be waited for.
        all_there.wait();
        let mut peers = Vec::new();
        for mut stream in opened? {
            peers.push(stream.local_addr()?);
            stream.write_all(b"SSH-2.0-storm\r\n")?;
        }
        Ok(peers)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..STRANGERS).map(|number| scope.spawn(move || stranger(number))).collect();
        let mut peers = Vec::new();
        for thread in threads {
            peers.extend(thread.join().map_err(|_| anyhow::anyhow!("a stranger broke off"))??);
        }
        Ok(peers)
    })
}

/// A connection that sshd has greeted.
fn greeted(from: Ipv4Addr, port: u16) -> anyhow::Result<TcpStream> {
    let to = SocketAddr::from((sandbox::address(), port));
    let mut stream = connect_from((from, 0).into(), to).context("cannot connect")?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).context("sshd does not greet")?;
    ensure!(&greeting == b"SSH-", "sshd says {greeting:?}");
    Ok(stream)
}

/// How often each is in the database: logins among the sessions by their address, which no other one has, the others
/// among the attempts.
fn found(reader: &Reader, guests: &[Ipv4Addr], strangers: &[SocketAddr]) -> anyhow::Result<Vec<u32>> {
    let (mut sessions, mut attempts) = (HashMap::new(), HashMap::new());
    for session in reader.sessions(&Filter::default())? {
        if let Some(peer) = session.peer {
            *sessions.entry(peer.ip()).or_insert(0) += 1;
        }
    }
    reader.for_each_attempt(&AttemptFilter::default(), |attempt| {
        *attempts.entry(attempt.peer).or_insert(0) += 1;
    })?;
    let guests = guests.iter().map(|from| sessions.get(&(*from).into()).copied().unwrap_or(0));
    let strangers = strangers.iter().map(|peer| attempts.get(peer).copied().unwrap_or(0));
    Ok(guests.chain(strangers).collect())
}
