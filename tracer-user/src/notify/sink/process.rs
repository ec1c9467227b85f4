//! Running a program for a message: no shell, an environment of its own, an end.
//!
//! The program leads a process group; when its time is up, or when nobody waits for it any more, the whole group is
//! killed. Its standard output is nobody's; the beginning of what it says on standard error is kept for the reason.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// How much of what it says is kept, in bytes.
const MAX_SAID: usize = 4096;
/// How long its last words are waited for when it has ended: others may hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// What it needs of our environment to find programs, files and words. Ours may hold secrets, so nothing else.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// What is run.
pub(super) struct Job<'a> {
    pub(super) argv: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) input: &'a [u8],
    pub(super) timeout: Duration,
}

/// How it ended.
pub(super) struct Ended {
    /// `None`: its time was up.
    pub(super) status: Option<ExitStatus>,
    /// What it said on standard error.
    pub(super) said: String,
}

/// Runs a program and waits for its end.
///
/// # Errors
/// It could not be started.
pub(super) async fn run(job: Job<'_>) -> io::Result<Ended> {
    let Some((program, arguments)) = job.argv.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let passed_on = PASSED_ON.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(passed_on)
        .envs(job.environment)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let said = RefCell::new(Vec::new());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program need not read what it is told.
            stdin.write_all(job.input).await.unwrap_or_default();
        }
    };
    let listen = async {
        let Some(mut stderr) = stderr else { return };
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
            let mut said = said.borrow_mut();
            let room = MAX_SAID.saturating_sub(said.len()).min(read);
            said.extend_from_slice(&buffer[..room]);
        }
    };
    let mut talk = Box::pin(async { tokio::join!(feed, listen) });
    let mut talking = true;
    let end = async {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                _ = &mut talk, if talking => talking = false,
            }
        }
    };
    let status = match tokio::time::timeout(job.timeout, end).await {
        Ok(status) => {
            let status = status?;
            // It has been reaped: its number may soon be somebody else's.
            group.0 = None;
            if talking {
                let heard = tokio::time::timeout(LAST_WORDS, &mut talk).await;
                if heard.is_err() {
                    tracing::debug!("a program has ended, and what it started still holds its output open");
                }
            }
            Some(status)
        }
        Err(_) => None,
    };
    drop(group);
    drop(talk);
    Ok(Ended { status, said: String::from_utf8_lossy(&said.into_inner()).into_owned() })
}

/// A process group that is killed when this is dropped, as long as its leader was not reaped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Gone already: that is what was wanted.
            kill_process_group(leader, Signal::KILL).unwrap_or_default();
        }
    }
}
