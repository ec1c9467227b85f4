//! Programs of one's own.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use expect_test::expect_file;
use login_tracer::config;
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::Report;
use login_tracer::notify::sink::command::Command;
use proptest::prelude::*;
use serde_json::Value;

use crate::over_http::Then;
use crate::scene::{Strangers, host_of, hostile_message, messages, opened, send, user_of};

/// A shell is a program like any other; what it is told to do is in its arguments, the message is not.
fn shell(script: &str) -> Command {
    command(&["/bin/sh", "-c", script], Duration::from_secs(20))
}

fn command(argv: &[&str], timeout: Duration) -> Command {
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    Command::new(&config::Command { argv, timeout })
}

fn tell(command: &Command) -> Report {
    send(command, &opened(&Strangers::polite(), 12))
}

#[test]
fn messages_as_they_are_handed_over() {
    let mut golden = String::new();
    for (title, delivery) in messages() {
        let report = send(&shell("exit 0"), &delivery);
        golden.push_str(&format!("## {title}\n{}\n", report.exchange.unwrap().sent));
    }
    expect_file![format!("{}/../tests/goldens/sinks/command.txt", env!("CARGO_MANIFEST_DIR"))]
        .assert_eq(&golden);
}

#[test]
fn every_end_has_its_consequence() {
    for (script, expected) in [
        ("cat >/dev/null", Then::Done),
        // It need not read, nor be silent.
        ("exit 0", Then::Done),
        ("seq 100000; seq 100000 >&2", Then::Done),
        ("exit 75", Then::Again(None)),
        ("exit 65", Then::Never),
        ("exit 78", Then::Never),
        ("exit 1", Then::Doubt),
        ("exit 127", Then::Doubt),
        ("kill -9 $$", Then::Doubt),
    ] {
        let report = tell(&shell(script));
        assert_eq!(Then::from(&report.outcome), expected, "{script}: {report:?}");
    }
    for program in ["/no/such/program", "/etc/passwd", "/"] {
        let report = tell(&command(&[program], Duration::from_secs(5)));
        assert_eq!(Then::from(&report.outcome), Then::Again(None), "{program}: {report:?}");
    }
}

#[test]
fn what_it_says_is_the_reason_harmless_and_short() {
    let report = tell(&shell("printf 'no \\033[2J disk\\nfull' >&2; exit 75"));
    let Outcome::Retry { why, .. } = report.outcome else { panic!("{report:?}") };
    assert_eq!(why, "exit status 75: no \u{fffd}[2J disk\u{fffd}full");
    let report = tell(&shell("yes | head -c 1000000 >&2; exit 1"));
    let Outcome::Doubtful { why } = report.outcome else { panic!("{report:?}") };
    assert!(why.chars().count() <= 200);
}

#[test]
fn its_environment_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("environment");
    let report = tell(&shell(&format!("env >{}", file.display())));
    assert_eq!(report.outcome, Outcome::Delivered);
    let environment = fs::read_to_string(file).unwrap();
    assert!(environment.contains("LOGIN_TRACER_USER=alice\n"), "{environment}");
    assert!(environment.contains("LOGIN_TRACER_LEVEL=low\n"), "{environment}");
    // Ours holds secrets (webhook_url_env and the like).
    assert!(!environment.contains("CARGO_"), "{environment}");
}

#[test]
fn its_time_is_bounded_and_so_is_that_of_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $! >{}; sleep 1000", pids.display());
    let begun = Instant::now();
    let report = tell(&command(&["/bin/sh", "-c", &script], Duration::from_millis(500)));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(Then::from(&report.outcome), Then::Again(None), "{report:?}");
    gone(&pids);
}

#[test]
fn who_stops_waiting_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $! >{}; sleep 1000", pids.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use login_tracer::notify::sink::Sink as _;
        let (program, delivery) = (shell(&script), opened(&Strangers::polite(), 1));
        let wait = Duration::from_millis(500);
        assert!(tokio::time::timeout(wait, program.send(&delivery)).await.is_err());
    });
    gone(&pids);
}

/// Waits until the process whose number is in a file is gone, or nothing but a zombie.
fn gone(pids: &Path) {
    let pid = fs::read_to_string(pids).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    for _ in 0..500 {
        match fs::read_to_string(&stat) {
            Ok(stat) if !stat.contains(") Z ") => thread::sleep(Duration::from_millis(10)),
            Ok(_) | Err(_) => return,
        }
    }
    panic!("the child lives on");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// What reaches the program is what was sent: each name in its variable, in one line, and complete in the JSON.
    #[test]
    fn no_name_breaks_out(delivery in hostile_message()) {
        let folder = tempfile::tempdir().unwrap();
        let (environment, input) = (folder.path().join("environment"), folder.path().join("input"));
        let script = format!("env -0 >{}; cat >{}", environment.display(), input.display());
        prop_assert_eq!(send(&shell(&script), &delivery).outcome, Outcome::Delivered);
        let input = fs::read_to_string(input).unwrap();
        prop_assert_eq!(input.matches('\n').count(), 1);
        let record: Value = serde_json::from_str(&input)?;
        prop_assert_eq!(record["session"]["user"].as_str(), user_of(&delivery));
        let environment = fs::read_to_string(environment).unwrap();
        let ours: Vec<_> = environment.split('\0').filter(|entry| entry.starts_with("LOGIN_TRACER_")).collect();
        prop_assert!(ours.iter().all(|entry| !entry.contains('\n')));
        let text = |text| login_tracer::sanitize::text(text, 1000);
        let shown: Vec<_> = ours.iter().filter_map(|entry| entry.strip_prefix("LOGIN_TRACER_USER=")).collect();
        let expected: Vec<_> = user_of(&delivery).into_iter().map(text).collect();
        prop_assert_eq!(shown, expected);
        let host = format!("LOGIN_TRACER_HOST={}", text(host_of(&delivery.event)));
        prop_assert!(ours.contains(&host.as_str()), "{:?}", ours);
    }
}
