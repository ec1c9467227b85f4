//! The console as people have it: a pipe, a reader that goes away, one that does not read.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _, pipe};
use std::time::Duration;

use jiff::Timestamp;
use login_tracer::config::{self, Secret};
use login_tracer::notify::message;
use login_tracer::notify::outbox::Delivery;
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::console::Console;
use login_tracer::notify::sink::http::{Clients, Http};
use login_tracer::notify::sink::slack::Slack;
use login_tracer::notify::sink::{Report, Sink as _};

use crate::world::{World, closed, eventually, key, opened};

#[test]
fn without_any_sink_configured_the_console_tells() {
    let mut world = World::new();
    let mut role = world.start();
    world.commit(&[opened(1, "alice", "10.0.0.1")]);
    let login = |log: &str| {
        log.lines().any(|line| line.contains("LOGIN   alice on web-1  from 10.0.0.1  risk 0 (LOW)"))
    };
    eventually("login", || login(&role.log()).then_some(()));
    // Not a terminal: no colours.
    assert!(!role.log().contains('\u{1b}'));
    role.kill();
    drop(role);
    world.commit(&[closed(1)]);
    let role = world.start();
    eventually("logout", || role.log().contains("LOGOUT  alice on web-1").then_some(()));
    eventually("rows", || (world.deliveries(key(1)).len() == 2).then_some(()));
}

#[test]
fn a_reader_that_went_away_is_a_failure_that_may_pass() {
    let (reader, writer) = pipe().unwrap();
    let console = Console::new(writer, false).unwrap();
    drop(reader);
    let report = send(&console);
    assert!(matches!(report.outcome, Outcome::Retry { .. }), "{report:?}");
}

#[test]
fn a_full_pipe_in_non_blocking_mode_is_waited_for() {
    let (reader, writer) = pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while filler.write(&[b'.'; 512]).is_ok() {}
    let console = Console::new(writer, false).unwrap();
    let reading = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        line
    });
    assert_eq!(send(&console).outcome, Outcome::Delivered);
    let line = reading.join().unwrap();
    assert!(line.contains("example on web-1") && line.ends_with('\n'), "{line}");
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody_else() {
    let (mut reader, writer) = pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while filler.write(&[b'.'; 512]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let console = Console::new(writer, false).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let delivery = delivery();
    runtime.block_on(async {
        let mut stuck = console.send(&delivery);
        // In the same thread, time goes on and another sink makes its attempt.
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut stuck).await.is_err());
        let webhook_url = Secret::new("http://127.0.0.1:1/".to_owned());
        let http = config::Http { timeout: Duration::from_secs(1), ca: None };
        let other =
            Http::new(Slack::new(&config::Slack { webhook_url, http: http.clone() }), &http, &Clients::new());
        let other = other.unwrap();
        assert!(matches!(other.send(&delivery).await.outcome, Outcome::Retry { .. }));
        let mut seen = vec![0; 1 << 20];
        assert!(reader.read(&mut seen).unwrap() > 0);
        assert_eq!(stuck.await.outcome, Outcome::Delivered);
    });
}

#[test]
fn a_full_disk_behind_the_output_is_a_failure_that_may_pass() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let report = send(&Console::new(full, false).unwrap());
    assert!(matches!(report.outcome, Outcome::Retry { .. }), "{report:?}");
}

fn send(console: &Console) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(console.send(&delivery()))
}

fn delivery() -> Delivery {
    message::example("web-1", Timestamp::UNIX_EPOCH)
}
