//! One boot: starts the emulator, passes on what the guest says, and ends the emulator when the guest is done or says
//! nothing for too long.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::directory;
use super::machine::Machine;
use crate::say;

/// How long the guest may be silent: booting and each scenario take far less.
const SILENCE: Duration = Duration::from_secs(240);

/// The guest's memory in MiB: the image, unpacked, and what runs in it.
const MEMORY: &str = "1536";

/// How time passes for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As it does for everybody.
    Time,
    /// One nanosecond with each instruction, and at once to the next event where the guest waits: the same every time,
    /// whatever else this machine does. Takes a single processor.
    Instructions,
}

/// What a line of the guest means for whoever waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Worth telling.
    Progress(String),
    /// Nothing more will come.
    Done,
}

/// A machine that is ready to be booted.
pub(super) struct Guest {
    /// What it is called in logs.
    pub(super) name: String,
    pub(super) machine: &'static Machine,
    pub(super) image: PathBuf,
    pub(super) initramfs: PathBuf,
    pub(super) processors: usize,
    pub(super) pace: Pace,
}

impl Guest {
    /// Boots, and passes on each line that the guest says.
    ///
    /// # Errors
    /// The emulator cannot be started, or the guest did not get to its end.
    pub(super) fn run(&self, mut hear: impl FnMut(&str) -> Option<Said>) -> Result<()> {
        let logs = directory().join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        let console = logs.join(format!("{}.console", self.name));
        let log = logs.join(format!("{}.log", self.name));
        let mut log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut emulator = Emulator(self.start(&console)?);
        let stdout = emulator.0.stdout.take().context("the emulator's output is not piped")?;
        let lines = lines(stdout);
        let started = Instant::now();
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(line) => {
                    writeln!(log, "{:7.2}  {line}", started.elapsed().as_secs_f64())
                        .context("cannot write the log")?;
                    match hear(&line) {
                        Some(Said::Done) => return Ok(()),
                        Some(Said::Progress(text)) => say(format!("{}: {text}", self.name)),
                        None => {}
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!(
                        "the guest said nothing for {} s; its console:\n{}",
                        SILENCE.as_secs(),
                        end_of(&console)
                    )
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the emulator ended before the guest was done; its console:\n{}", end_of(&console))
                }
            }
        }
    }

    /// The kernel's messages go to the first serial port, the guest's words to the second, which is our pipe.
    fn start(&self, console: &Path) -> Result<Child> {
        let Machine { emulator: program, arguments, console: port, voice, .. } = self.machine;
        let mut emulator = Command::new(program);
        emulator
            .args(*arguments)
            .args(self.pace.arguments())
            .args(["-m", MEMORY, "-smp", &self.processors.to_string()])
            .args(["-nic", "none", "-display", "none", "-monitor", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(&self.image)
            .arg("-initrd")
            .arg(&self.initramfs)
            .arg("-append")
            .arg(format!("console={port} panic=-1 quiet loglevel=4 voice={voice}"))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(self.machine.second_port)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        emulator.spawn().with_context(|| format!("cannot start {program}"))
    }
}

impl Pace {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Time => &["-accel", "tcg,thread=multi"],
            Self::Instructions => &["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"],
        }
    }
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
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself, which is what we want.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
