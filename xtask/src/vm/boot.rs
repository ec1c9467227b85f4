//! One boot: starts the emulator, passes on what the guest says, and ends the emulator when the guest is done or says
//! nothing for too long.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::directory;
use super::kernels::{Files, Kernel};
use super::report::{Report, Said};
use super::tiers::Tier;
use crate::say;

pub(super) const EMULATOR: &str = "qemu-system-x86_64";

/// How long the guest may be silent: booting and each scenario take far less.
const SILENCE: Duration = Duration::from_secs(240);

/// The guest's memory in MiB: the image, unpacked, and what runs in it.
const MEMORY: u32 = 1536;

/// Boots, and adds what came of each tier to the report.
///
/// # Errors
/// The emulator cannot be started, or the guest did not get to its end.
pub(super) fn run(
    kernel: &Kernel,
    tiers: &[&'static Tier],
    files: &Files,
    initramfs: &Path,
    report: &mut Report,
) -> Result<()> {
    let logs = directory().join("logs");
    fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let console = logs.join(format!("{}.console", kernel.name));
    let log = logs.join(format!("{}.log", kernel.name));
    let mut log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut guest = Guest(start(files, initramfs, &console)?);
    let stdout = guest.0.stdout.take().context("the emulator's output is not piped")?;
    let lines = lines(stdout);
    let started = Instant::now();
    report.begin(kernel.name, tiers);
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => {
                writeln!(log, "{:7.2}  {line}", started.elapsed().as_secs_f64())
                    .context("cannot write the log")?;
                match report.hear(&line) {
                    Some(Said::Done) => return Ok(()),
                    Some(Said::Progress(text)) => say(format!("{}: {text}", kernel.name)),
                    None => {}
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("it said nothing for {} s; its console:\n{}", SILENCE.as_secs(), end_of(&console))
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the emulator ended before the guest was done; its console:\n{}", end_of(&console))
            }
        }
    }
}

/// The kernel's messages go to the first serial port, the guest's words to the second, which is our pipe.
fn start(files: &Files, initramfs: &Path, console: &Path) -> Result<Child> {
    let mut emulator = Command::new(EMULATOR);
    emulator
        .args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-m",
            &MEMORY.to_string(),
            "-smp",
            &processors().to_string(),
        ])
        .args(["-nic", "none", "-display", "none", "-monitor", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(&files.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", "console=ttyS0 panic=-1 quiet loglevel=4"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .args(["-serial", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    emulator.spawn().with_context(|| format!("cannot start {EMULATOR}"))
}

/// As many as help: the suite does one thing at a time, and sshd, client and tracer share it.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

/// What the guest says, line by line, until the emulator closes its end.
fn lines(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    lines
}

fn end_of(console: &Path) -> String {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// The emulator, ended with us.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself, which is what we want.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
