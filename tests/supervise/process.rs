//! What this test program does when it is started as a process of a test: the last argument says what, and where to
//! leave a trace of it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::{Duration, Instant};

use login_tracer::supervise::privileges::{self, Account};
use login_tracer::supervise::tie_to_supervisor;

use crate::roles;

/// Longer than any test; ends what a failed test left behind.
const LIFETIME: Duration = Duration::from_secs(60);

/// Arguments that make this program behave in that way, writing to that file.
pub(crate) fn arguments(behaviour: &str, trace: &Path) -> Vec<String> {
    let behaviour = format!("behave={behaviour}:{}", trace.display());
    ["--exact", "process::behave", "--nocapture", &behaviour].map(str::to_owned).to_vec()
}

/// The test harness takes the last argument for one more filter, which matches nothing. Without one that is meant for
/// this, only the way there and back is tested.
#[test]
fn behave() {
    let argument = std::env::args().next_back().unwrap();
    let Some((behaviour, trace)) = parse(&argument) else {
        let arguments = arguments("good", Path::new("/tmp/a:b"));
        assert_eq!(parse(arguments.last().unwrap()), Some(("good", "/tmp/a:b")));
        return;
    };
    let trace = PathBuf::from(trace);
    match behaviour {
        // A role as it should be.
        "good" => {
            say_ready();
            note(&trace, "started");
            sleep();
        }
        "die" => {
            note(&trace, "started");
            exit(1);
        }
        "ready-then-die" => {
            say_ready();
            note(&trace, "started");
            exit(1);
        }
        "give-up" => {
            note(&trace, "started");
            exit(78);
        }
        "ready-then-give-up" => {
            say_ready();
            note(&trace, "started");
            exit(78);
        }
        "stubborn" => {
            // SAFETY: SIG_IGN is no handler: nothing runs.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            say_ready();
            note(&trace, "started");
            sleep();
        }
        "tied" => {
            tie_to_supervisor().unwrap();
            say_ready();
            note(&trace, &std::process::id().to_string());
            sleep();
        }
        "supervise" => roles::supervise_until_killed(&trace),
        "drop" => {
            let account = Account { name: "x".into(), uid: 54_321, gid: 54_322, is_fallback: false };
            privileges::become_account(&account).unwrap();
            // Of this thread: the harness runs tests in one of their own, and some of it belongs to threads.
            print!("{}", std::fs::read_to_string("/proc/thread-self/status").unwrap());
            // SAFETY: takes a number alone.
            assert_ne!(unsafe { libc::setuid(0) }, 0);
            // SAFETY: takes a number alone.
            println!("Dumpable:\t{}", unsafe { libc::prctl(libc::PR_GET_DUMPABLE) });
        }
        other => panic!("no behaviour {other}"),
    }
}

fn parse(argument: &str) -> Option<(&str, &str)> {
    argument.strip_prefix("behave=")?.split_once(':')
}

fn say_ready() {
    sd_notify::notify(&[sd_notify::NotifyState::Status("nearly"), sd_notify::NotifyState::Ready]).unwrap();
}

fn note(trace: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(trace).unwrap();
    file.write_all(format!("{text}\n").as_bytes()).unwrap();
}

fn sleep() {
    let started = Instant::now();
    while started.elapsed() < LIFETIME {
        std::thread::sleep(Duration::from_secs(1));
    }
}
