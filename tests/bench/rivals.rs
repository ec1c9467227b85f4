//! What people use instead: a script that PAM runs at each login, and lines in a shell's start-up file, each of which
//! posts by curl. A login waits for what they wait for: here for a receiver that takes its time.
//!
//! Both are as they are found on the net, but that curl gives up after [`PATIENCE_S`] seconds: most have no limit at all,
//! and would wait for a receiver that never answers as long as the kernel does, which is minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::Bench;
use crate::accounts::{ALICE, write};
use crate::http::{Reply, Server as Receiver};
use crate::login::{self, CALM};
use crate::measurement::Target;
use crate::processes::command;
use crate::report::{self, Row};
use crate::sandbox::ROOM;
use crate::server::Server;
use crate::tracer::{Setup, Tracer};
use crate::visitor;

/// A receiver by the time that it takes.
struct Receives {
    answers: &'static str,
    after: Duration,
}

const RECEIVERS: [Receives; 4] = [
    Receives { answers: "at once", after: Duration::ZERO },
    Receives { answers: "after 100 ms", after: Duration::from_millis(100) },
    Receives { answers: "after 1 s", after: Duration::from_secs(1) },
    // Later than anybody asks.
    Receives { answers: "never", after: Duration::from_secs(600) },
];
const PATIENCE_S: u32 = 3;
/// Where a login waits this long, one in each turn tells enough.
const LONG: Duration = Duration::from_millis(500);
/// The median of three or five logins is not always within a hundredth of another one.
const TARGET: Target = Target::AtMost(1.05);

/// A way of being told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Tracer,
    PamExec,
    Bashrc,
}

const WAYS: [(Way, &str); 3] =
    [(Way::Tracer, "the tracer"), (Way::PamExec, "pam_exec and curl"), (Way::Bashrc, ".bashrc and curl")];

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let server = Server::start("UsePAM yes\n");
    visitor::visit(visitor::port(&server), visitor::address(0))?;
    let mut ways = Vec::new();
    for (way, name) in WAYS {
        match obstacle(bench, &server, way)? {
            Some(why) => report::skipped(&format!("rivals, {name}"), why)?,
            None => ways.push((way, name)),
        }
    }
    RECEIVERS.iter().try_for_each(|receives| beside(bench, row, &server, receives, &ways))
}

/// All ways in turns, with one receiver.
fn beside(
    bench: &Bench,
    row: &Row,
    server: &Server,
    receives: &Receives,
    ways: &[(Way, &str)],
) -> anyhow::Result<()> {
    let Receives { answers, after } = receives;
    let receiver = receiver(*after);
    let mut rounds = vec![Vec::new(); ways.len()];
    for round in 0..bench.rounds(2, 6) {
        let all = ways.len() + 1;
        let mut without = 0.0;
        let mut with = vec![0.0; ways.len()];
        for turn in (0..all).map(|turn| (turn + round) % all) {
            let way = turn.checked_sub(1).map(|at| (at, ways[at].0));
            let installed = way.map(|(_, way)| Installed::new(bench, way, &receiver.url())).transpose()?;
            let waits = *after > LONG && way.is_some_and(|(_, way)| way != Way::Tracer);
            std::thread::sleep(CALM);
            let milliseconds = login::median(server, if waits { 1 } else { bench.rounds(3, login::LOGINS) })?;
            drop(installed);
            match way {
                Some((at, _)) => with[at] = milliseconds,
                None => without = milliseconds,
            }
        }
        for (rounds, with) in rounds.iter_mut().zip(with) {
            rounds.push([without, with]);
        }
    }
    for ((way, name), rounds) in ways.iter().zip(rounds) {
        let target = (*way == Way::Tracer).then_some(TARGET);
        let gives_up = *way != Way::Tracer && after.as_secs() > PATIENCE_S.into();
        let patience =
            if gives_up { format!(" (curl gives up after {PATIENCE_S} s)") } else { String::new() };
        let what = format!("{name}, receiver answers {answers}{patience}");
        row.paired(&what, "ms", ["without", "with"], rounds, target)?;
    }
    Ok(())
}

fn receiver(after: Duration) -> Receiver {
    Receiver::start(move |_| Reply::Slow(after, Box::new(Reply::new(200, "ok"))))
}

/// Why a way cannot be measured here, found out by trying: whoever tells nobody makes no login wait.
fn obstacle(bench: &Bench, server: &Server, way: Way) -> anyhow::Result<Option<&'static str>> {
    if way == Way::Tracer {
        return Ok(None);
    }
    if command("curl").arg("--version").output().is_err() {
        return Ok(Some("there is no curl"));
    }
    let receiver = receiver(Duration::ZERO);
    let installed = Installed::new(bench, way, &receiver.url())?;
    visitor::visit(visitor::port(server), visitor::address(0))?;
    drop(installed);
    let told = receiver.requests();
    ensure!(
        told.iter().all(|request| request.body.contains(ALICE.name)),
        "the script does not say who came: {told:?}"
    );
    Ok(match (told.len(), way) {
        (0, Way::PamExec) => Some("this sshd's PAM runs no script (there is no pam_exec)"),
        (0, _) => Some("this bash reads no .bashrc for `ssh host command`"),
        (_, _) => None,
    })
}

/// A way of being told that is in use; when dropped, everything is as before.
struct Installed {
    changed: Option<(PathBuf, Option<Vec<u8>>)>,
    _tracer: Option<Tracer>,
}

impl Installed {
    fn new(bench: &Bench, way: Way, url: &str) -> anyhow::Result<Self> {
        let post = format!(
            "curl --silent --output /dev/null --max-time {PATIENCE_S} --header 'Content-Type: application/json' \
             --data \"{{\\\"text\\\":\\\"login of ${{PAM_USER:-$USER}}\\\"}}\" {url}"
        );
        let changed = match way {
            Way::Tracer => {
                let state_dir = bench.disk.join("rivals");
                let setup = Setup { webhook: Some(url), ..Setup::plain(&state_dir) };
                return Ok(Self { changed: None, _tracer: Some(Tracer::start(bench, &setup)?) });
            }
            Way::PamExec => {
                let script = format!("{ROOM}/told");
                write(
                    &script,
                    &format!("#!/bin/sh\n[ \"$PAM_TYPE\" = open_session ] || exit 0\n{post}\n"),
                    0o755,
                )?;
                change("/etc/pam.d/sshd".as_ref(), |before| {
                    format!("{before}session optional pam_exec.so {script}\n")
                })?
            }
            Way::Bashrc => {
                let file = Path::new(ALICE.home).join(".bashrc");
                change(&file, |before| format!("[ -z \"$SSH_CONNECTION\" ] || {post}\n{before}"))?
            }
        };
        Ok(Self { changed: Some(changed), _tracer: None })
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let Some((path, before)) = &self.changed else { return };
        let undone = match before {
            Some(before) => fs::write(path, before),
            None => fs::remove_file(path),
        };
        undone.expect("what could be changed can be changed back");
    }
}

/// Changes a file, and tells what it held.
fn change(path: &Path, to: impl FnOnce(&str) -> String) -> anyhow::Result<(PathBuf, Option<Vec<u8>>)> {
    let before = fs::read(path).ok();
    let text = String::from_utf8_lossy(before.as_deref().unwrap_or_default()).into_owned();
    fs::write(path, to(&text)).with_context(|| format!("cannot change {}", path.display()))?;
    Ok((path.to_owned(), before))
}
