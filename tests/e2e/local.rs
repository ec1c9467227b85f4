//! People who come in on the host itself: by `login`, `su` and `sudo`, started by the suite, outside of any session.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::Signal;

use crate::accounts::Account;
use crate::lines::{LIMIT, Lines};
use crate::processes::{self, command};
use crate::sandbox::ROOM;

/// A program that lets people in, at work; ended when dropped.
pub struct Visit {
    pub service: &'static str,
    pub account: Account,
    pub by: Option<Account>,
    pub began: Timestamp,
    pub left: Timestamp,
    child: Child,
    input: Option<ChildStdin>,
    output: Arc<Lines>,
    /// What a terminal showed.
    typescript: Option<String>,
}

impl Visit {
    /// `by` starts a program with these arguments and no terminal, which lets them in as `account`.
    pub fn start(by: Account, account: Account, program: &[&str]) -> Self {
        let (name, arguments) = program.split_first().expect("a program");
        let mut command = command(name);
        command.args(arguments).uid(by.uid).gid(by.uid);
        let service = if name.ends_with("sudo") { "sudo" } else { "su" };
        Self::spawn(command, service, account, Some(by), None)
    }

    /// The same at a terminal, as root.
    pub fn start_at_terminal(service: &'static str, account: Account, line: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let typescript = format!("{ROOM}/typescript-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut command = command("script");
        command.args(["-q", "-f", "-e", "-c", &format!("exec {line}"), &typescript]);
        command.env("SHELL", "/bin/sh").env("TERM", "dumb");
        let by = (service != "login").then_some(crate::accounts::ROOT);
        Self::spawn(command, service, account, by, Some(typescript))
    }

    fn spawn(
        mut command: Command,
        service: &'static str,
        account: Account,
        by: Option<Account>,
        typescript: Option<String>,
    ) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Timestamp::now();
        let mut child = command.spawn().expect("it can be run");
        let output = Lines::of(child.stdout.take().expect("the output is piped"));
        let input = child.stdin.take();
        Self { service, account, by, began, left: began, child, input, output, typescript }
    }

    /// The process of login, su or sudo.
    pub fn monitor(&self) -> u32 {
        let started = Instant::now();
        loop {
            let mut pid = self.child.id();
            if self.typescript.is_some() {
                pid = processes::children(pid).first().copied().unwrap_or(0);
            }
            if processes::is_named(pid, self.service) {
                return pid;
            }
            assert!(started.elapsed() < LIMIT, "{} does not run", self.service);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the terminal shows this.
    pub fn expect_shown(&self, words: &str) {
        let path = self.typescript.as_ref().expect("it has a terminal");
        let started = Instant::now();
        loop {
            let shown = fs::read(path).unwrap_or_default();
            let shown = String::from_utf8_lossy(&shown);
            if shown.contains(words) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "{words:?} was not shown, but {shown}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a line of the output that starts with `words`, and gives what follows.
    pub fn expect_output(&self, words: &str) -> String {
        let found = self.output.wait_for(LIMIT, |line| Some(line.text.split_once(words)?.1.to_owned()));
        found.unwrap_or_else(|| panic!("it did not say {words:?}:\n{}", self.output.since(Timestamp::MIN)))
    }

    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it has an input");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("it reads");
    }

    /// There is nothing more to say.
    pub fn falls_silent(&mut self) {
        drop(self.input.take());
    }

    /// Says a last line, and waits until it is gone.
    pub fn leave(&mut self, line: &str) {
        self.left = Timestamp::now();
        self.say(line);
        self.falls_silent();
        self.wait();
    }

    /// Kills the process of login, su or sudo.
    pub fn kill_monitor(&mut self) {
        let monitor = self.monitor();
        self.left = Timestamp::now();
        processes::signal(monitor, Signal::KILL);
        self.falls_silent();
        self.wait();
    }

    pub fn wait(&mut self) -> ExitStatus {
        processes::wait_for_end(&mut self.child, self.service)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        processes::end(&mut self.child);
    }
}
