//! `kill -9` at random points, thousands of times: nothing is missing, and a message is repeated only as often as its
//! confirmation was lost, word for word.
//!
//! Starting a program takes longer than all of its work here. So a process is started once, and makes a copy of itself
//! (`fork`) for every run of the role, which is then killed: by itself after a random step, or from outside at a random
//! moment. `LOGIN_TRACER_KILLS` says how often; ten thousand take some minutes.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use login_tracer::notify::{self, outbox};
use login_tracer::supervise::Role;
use login_tracer::supervise::lock::{self, Holder};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use uuid::Uuid;

use crate::receiver::Receiver;
use crate::world::{PATIENCE, Setup, World, closed, eventually, opened};

/// How many kills one state directory sees. A new one now and then keeps the databases small.
const KILLS_OF_A_WORLD: u32 = 250;
/// A role that has nothing to do any more is killed after so long.
const IDLE: Duration = Duration::from_millis(150);

/// The process that makes copies of itself.
struct Zygote {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Zygote {
    fn start(state_dir: &Path, setup: &Setup, certificates: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "thousands::zygote", "--ignored", "--nocapture", "--test-threads=1"])
            .env("DELIVERY_TEST_STATE_DIR", state_dir)
            .env("DELIVERY_TEST_SETUP", serde_json::to_string(setup).unwrap())
            .env("NO_PROXY", "*")
            // Reading the certificates of the whole world would take most of the time.
            .env("SSL_CERT_FILE", certificates)
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, orders, answers }
    }

    /// Starts a copy that kills itself at this step.
    fn run(&mut self, kill_at: u32) -> Pid {
        writeln!(self.orders, "{kill_at}").unwrap();
        Pid::from_raw(self.answer("started").parse().unwrap()).unwrap()
    }

    /// Waits for the end of the copy.
    fn ended(&mut self) {
        let how = self.answer("ended");
        assert_eq!(how, "9", "the role ended by itself");
    }

    fn answer(&mut self, word: &str) -> String {
        loop {
            let line = self.answers.next().expect("the zygote lives").unwrap();
            // The test harness has something to say as well.
            if let Some((_, rest)) = line.split_once(&format!("zygote {word} ")) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What [`Zygote::start`] runs; not a test of its own.
#[test]
#[ignore = "started by another test"]
fn zygote() {
    let Some(state_dir) = env::var_os("DELIVERY_TEST_STATE_DIR") else { return };
    let setup: Setup = serde_json::from_str(&env::var("DELIVERY_TEST_SETUP").unwrap()).unwrap();
    for order in std::io::stdin().lines() {
        let kill_at: u32 = order.unwrap().parse().unwrap();
        // SAFETY: the only other thread is that of the test harness, which waits for this one and holds nothing; the
        // copy goes on with this one alone.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "no copy can be made");
        if pid == 0 {
            role(&setup, Path::new(&state_dir), kill_at);
        }
        println!("zygote started {pid}");
        let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty()).unwrap().unwrap();
        println!("zygote ended {}", status.terminating_signal().unwrap_or(0));
    }
}

fn role(setup: &Setup, state_dir: &Path, kill_at: u32) -> ! {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let steps = std::cell::Cell::new(0);
    let on_step = move |_| {
        steps.set(steps.get() + 1);
        if steps.get() == kill_at {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    };
    fs::create_dir_all(state_dir.join(outbox::DIRECTORY)).unwrap();
    let _lock = lock::acquire(Holder::Role(Role::Notify), state_dir).unwrap();
    let ended = notify::run_observed(&setup.config(), state_dir, Rc::new(on_step));
    eprintln!("the role ended: {ended:?}");
    std::process::abort();
}

/// Numbers that differ in every run of the test, and can be had again from the first one.
struct Chance(u64);

impl Chance {
    /// A number below `end` (xorshift64*).
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        u32::try_from(number % u64::from(end)).unwrap()
    }
}

#[test]
fn killed_thousands_of_times() {
    let kills: u32 = env::var("LOGIN_TRACER_KILLS").ok().map_or(40, |kills| kills.parse().unwrap());
    let seed = env::var("LOGIN_TRACER_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| {
        Uuid::new_v5(&Uuid::nil(), format!("{:?}", Instant::now()).as_bytes()).as_u64_pair().0 | 1
    });
    println!("LOGIN_TRACER_SEED={seed}");
    let (mut chance, mut done, mut total) = (Chance(seed), 0, Tally::default());
    let begun = Instant::now();
    while done < kills {
        let count = KILLS_OF_A_WORLD.min(kills - done);
        total.add(&world(count, &mut chance));
        done += count;
        println!("{done} kills in {:.0?}: {total:?}", begun.elapsed());
    }
    assert!(total.repeated <= total.unconfirmed, "{total:?}");
    // It is no proof if no confirmation was ever lost.
    assert!(kills < 40 || total.repeated > 0, "{total:?}");
}

/// What was seen.
#[derive(Debug, Default)]
struct Tally {
    messages: usize,
    /// Messages that were under way at a kill.
    unconfirmed: u32,
    repeated: u32,
    /// Kills at a step, and at a moment.
    at_steps: u32,
    at_moments: u32,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.unconfirmed += other.unconfirmed;
        self.repeated += other.repeated;
        self.at_steps += other.at_steps;
        self.at_moments += other.at_moments;
    }
}

/// Two sessions begin and end beside each other around every kill, and are told to two receivers.
fn world(kills: u32, chance: &mut Chance) -> Tally {
    let receivers = [Receiver::start(), Receiver::start()];
    let mut world = World::new();
    for (receiver, name) in receivers.iter().zip(["first", "second"]) {
        world.setup.webhooks.push((name.to_owned(), receiver.url()));
    }
    let certificates = world.path().join("no-certificates.pem");
    fs::write(&certificates, "").unwrap();
    let mut zygote = Zygote::start(world.path(), &world.setup, &certificates);
    let mut tally = Tally::default();
    // How often the confirmation of a message may have been lost.
    let mut lost: HashMap<String, u32> = HashMap::new();
    for round in 0..kills {
        world.commit(&[opened(round, "u", "10.0.0.1")]);
        let at_step = chance.below(2) == 0;
        let kill_at = if at_step { 1 + chance.below(16) } else { 0 };
        let pid = zygote.run(kill_at);
        if round > 0 {
            world.commit(&[closed(round - 1)]);
        }
        if at_step {
            tally.at_steps += 1;
            let begun = Instant::now();
            // It may have less to do than that.
            while is_alive(pid) && begun.elapsed() < IDLE {
                thread::sleep(Duration::from_millis(1));
            }
        } else {
            tally.at_moments += 1;
            thread::sleep(Duration::from_micros(u64::from(chance.below(60_000))));
        }
        // The zygote waits for it: the number is nobody else's as long as it has not said so.
        kill_process(pid, Signal::KILL).ok();
        zygote.ended();
        for id in claimed(world.path()) {
            tally.unconfirmed += 1;
            *lost.entry(id).or_default() += 1;
        }
    }
    world.commit(&[closed(kills - 1)]);
    let pid = zygote.run(0);
    let expected = 2 * kills as usize;
    eventually("all messages everywhere", || {
        let undelivered = count(world.path(), "state != 'delivered'");
        (undelivered == 0 && receivers.iter().all(|receiver| receiver.count() == expected)).then_some(())
    });
    kill_process(pid, Signal::KILL).unwrap();
    zygote.ended();
    for receiver in &receivers {
        receiver.with(|received| {
            assert!(received.changed.is_empty(), "a repetition says something else: {:?}", received.changed);
            tally.messages += received.ids.len();
            for (id, (count, _)) in &received.ids {
                let repeated = count - 1;
                tally.repeated += repeated;
                let may = lost.get(id).copied().unwrap_or(0);
                assert!(
                    repeated <= may,
                    "{id} was repeated {repeated} times, and its confirmation lost {may} times"
                );
            }
        });
    }
    assert_eq!(count(world.path(), "state = 'delivered'") as usize, 2 * expected);
    tally
}

/// Whether the process is there and not a zombie.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// What was being sent when the role was killed.
fn claimed(state_dir: &Path) -> Vec<String> {
    let path = outbox::path(state_dir);
    if !path.exists() {
        return Vec::new();
    }
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    // Killed before it made the tables.
    let Ok(mut statement) = connection.prepare("SELECT id FROM deliveries WHERE state = 'claimed'") else {
        return Vec::new();
    };
    let ids = statement.query_map([], |row| row.get::<_, Uuid>(0)).unwrap();
    ids.map(|id| id.unwrap().to_string()).collect()
}

fn count(state_dir: &Path, condition: &str) -> u32 {
    let connection = Connection::open(outbox::path(state_dir)).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    let query = format!("SELECT count(*) FROM deliveries WHERE {condition}");
    connection.query_row(&query, [], |row| row.get(0)).unwrap_or(u32::MAX)
}
