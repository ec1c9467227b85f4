//! What people use instead: a script that PAM runs at each login, and lines in a shell's start-up file, each of which posts by
//! curl. A login waits for what they wait for; here for a receiver that takes its time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::Bench;
use crate::accounts::{ALICE, write};
use crate::http::{Reply, Server as Receiver};
use crate::measurement::Target;
use crate::report::Row;
use crate::sandbox::ROOM;
use crate::server::Server;
use crate::tracer::{Setup, Tracer};
use crate::visitor;

/// How long the receiver takes, in words and in fact. What never answers is given up by curl after [`PATIENCE_S`].
const RECEIVERS: [(&str, Duration); 4] = [
    ("at once", Duration::ZERO),
    ("after 100 ms", Duration::from_millis(100)),
    ("after 1 s", Duration::from_secs(1)),
    ("never", Duration::from_secs(60)),
];

/// Scripts as they are found on the net have no limit at all; theirs is the sshd's patience.
const PATIENCE_S: u32 = 3;

/// A way of being told.
#[derive(Clone, Copy)]
enum Way {
    Tracer,
    PamExec,
    Bashrc,
}

const WAYS: [(Way, &str); 3] =
    [(Way::Tracer, "with the tracer"), (Way::PamExec, "with pam_exec"), (Way::Bashrc, "with .bashrc")];

pub fn run(bench: &Bench, row: &Row, server: &Server) -> anyhow::Result<()> {
    for (speed, wait) in RECEIVERS {
        let receiver = Receiver::start(move |_| Reply::Slow(wait, Box::new(Reply::new(200, "ok"))));
        for (way, name) in WAYS {
            let mut rounds = Vec::new();
            for _ in 0..bench.rounds(3, 9) {
                let without = login(server)?;
                let told = receiver.requests().len();
                let installed = Installed::new(bench, way, &receiver.url())?;
                let with = login(server)?;
                drop(installed);
                // The tracer tells afterwards, perhaps later than it is looked at here; who waits has told already.
                ensure!(
                    matches!(way, Way::Tracer) || receiver.requests().len() > told,
                    "{name} told nobody of a login"
                );
                rounds.push([without, with]);
            }
            let target = matches!(way, Way::Tracer).then_some(Target::AtMost(1.05));
            let what = format!("ssh host true, receiver answers {speed}");
            row.paired(&what, "ms", ["without", name], rounds, target)?;
        }
    }
    Ok(())
}

/// Milliseconds of a login.
fn login(server: &Server) -> anyhow::Result<f64> {
    Ok(visitor::visit(visitor::port(server), visitor::address(0))?.as_secs_f64() * 1e3)
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
             --data \"{{\\\"text\\\":\\\"login of $USER\\\"}}\" {url}"
        );
        let changed = match way {
            Way::Tracer => {
                let setup = Setup { state_dir: &bench.disk.join("rivals"), webhook: Some(url) };
                let tracer = Tracer::start(bench, &setup)?;
                return Ok(Self { changed: None, _tracer: Some(tracer) });
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
