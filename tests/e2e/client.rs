//! Clients: the real `ssh` and `sftp`, from a port that the suite chose, and what they know about their login.

use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;

use crate::accounts::{Account, Key, PASSWORD};
use crate::lines::{LIMIT, Lines};
use crate::processes::{self, command};
use crate::programs::{ASKPASS, CONNECT};
use crate::sandbox::{self, HOST};

/// What proves who the client is.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    Key(Key),
    Password(&'static str),
    /// Questions and answers; sshd asks PAM.
    KeyboardInteractive(&'static str),
    /// A key, and then the password.
    Both(Key, &'static str),
    /// A key, then answers, then the password, until one of them is enough.
    Everything(Key, &'static str),
}

/// What the client does once it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// A command that tells what the session knows of itself, and waits.
    Tell,
    /// The same with a terminal.
    Terminal,
    /// No channel at all, as with `ssh -N`.
    Nothing,
    /// The `sftp` program.
    Sftp,
    /// A command that ends by itself.
    Run(String),
    /// A master connection (`ControlMaster`) at this socket, without a channel of its own.
    Master(String),
}

/// A login as it is about to be tried.
#[derive(Debug)]
pub struct Login {
    /// The door, as it is listed.
    pub service: &'static str,
    pub account: Account,
    /// The client's end and ours.
    pub peer: SocketAddr,
    pub local: SocketAddr,
    proof: Proof,
    tries: u32,
    purpose: Use,
    silence: Duration,
    /// A further option of `ssh_config`.
    option: Option<&'static str>,
    /// The listener whose only child is the monitor, where sshd does not log the monitor's pid.
    pub listener: Option<u32>,
}

/// What a session says about itself: uid, `SSH_CONNECTION` as peer and local address, terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub uid: u32,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub tty: Option<String>,
}

/// A client at work; killed when dropped.
pub struct Client {
    pub login: Login,
    /// Before this moment it had not sent a byte.
    pub began: Timestamp,
    /// Since when it may be leaving.
    pub left: Timestamp,
    child: Child,
    input: Option<ChildStdin>,
    output: Arc<Lines>,
    messages: Arc<Lines>,
}

impl Login {
    /// Over IPv4, with the key that is listed, telling about itself.
    pub fn new(port: u16, account: Account) -> Self {
        Self {
            service: "ssh",
            account,
            peer: SocketAddr::from((sandbox::address(), next_port())),
            local: SocketAddr::from((sandbox::address(), port)),
            proof: Proof::Key(Key::Listed),
            tries: 1,
            purpose: Use::Tell,
            silence: Duration::ZERO,
            option: None,
            listener: None,
        }
    }

    /// At a server of another kind than OpenSSH.
    pub fn through(self, service: &'static str) -> Self {
        Self { service, ..self }
    }

    pub fn by(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    pub fn to(self, purpose: Use) -> Self {
        Self { purpose, ..self }
    }

    pub fn over_ipv6(mut self) -> Self {
        self.peer.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST));
        self.local.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST));
        self
    }

    /// The client says its password so many times if it is not let in.
    pub fn trying(self, tries: u32) -> Self {
        Self { tries, ..self }
    }

    /// The client connects and then says nothing for a while.
    pub fn silent_for(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// The client has this option as well.
    pub fn with(self, option: &'static str) -> Self {
        Self { option: Some(option), ..self }
    }

    pub fn found_by(self, listener: Option<u32>) -> Self {
        Self { listener, ..self }
    }

    /// Whether this is what the client does once it is in.
    pub fn is_for(&self, purpose: &Use) -> bool {
        self.purpose == *purpose
    }

    /// Starts the client; it may or may not be let in.
    pub fn start(self) -> Client {
        let began = Timestamp::now();
        let mut child = self.command().spawn().expect("the OpenSSH client is installed");
        let output = Lines::of(child.stdout.take().expect("the output is piped"));
        let messages = Lines::of(child.stderr.take().expect("the messages are piped"));
        let input = child.stdin.take();
        let began = began + self.silence;
        Client { login: self, began, left: began, child, input, output, messages }
    }

    fn command(&self) -> Command {
        let mut command = command(if self.purpose == Use::Sftp { "sftp" } else { "ssh" });
        let (methods, key, password) = match self.proof {
            Proof::Key(key) => ("publickey", Some(key), None),
            Proof::Password(password) => ("password", None, Some(password)),
            Proof::KeyboardInteractive(password) => ("keyboard-interactive", None, Some(password)),
            Proof::Both(key, password) => ("publickey,password", Some(key), Some(password)),
            Proof::Everything(key, password) => {
                ("publickey,keyboard-interactive,password", Some(key), Some(password))
            }
        };
        let connect =
            format!("ProxyCommand={CONNECT} {} {} {}", self.peer, self.local, self.silence.as_millis());
        command.args(["-F", "none", "-o", &connect]);
        for option in [
            "ProxyUseFdpass=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            // It says when it was let in.
            "LogLevel=VERBOSE",
            "IdentitiesOnly=yes",
        ] {
            command.args(["-o", option]);
        }
        command.args(self.option.iter().flat_map(|option| ["-o", option]));
        command.arg("-o").arg(format!("NumberOfPasswordPrompts={}", self.tries));
        command.arg("-o").arg(format!("PreferredAuthentications={methods}"));
        command.arg("-o").arg(match key {
            Some(key) => format!("IdentityFile={}", key.path().display()),
            None => "PubkeyAuthentication=no".to_owned(),
        });
        if let Some(password) = password {
            command
                .env("SSH_ASKPASS", ASKPASS)
                .env("SSH_ASKPASS_REQUIRE", "force")
                .env("E2E_PASSWORD", password);
        } else {
            command.args(["-o", "BatchMode=yes"]);
        }
        match &self.purpose {
            Use::Nothing => command.arg("-N"),
            Use::Terminal => command.arg("-tt"),
            Use::Master(socket) => command.args(["-N", "-M", "-S", socket]),
            Use::Tell | Use::Sftp | Use::Run(_) => &mut command,
        };
        command.arg(format!("{}@{HOST}", self.account.name));
        match &self.purpose {
            Use::Tell | Use::Terminal => command.arg("id -u; echo $SSH_CONNECTION; tty; read _"),
            Use::Run(program) => command.arg(program),
            Use::Nothing | Use::Master(_) | Use::Sftp => &mut command,
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Client {
    /// When the client knew that it was let in; panics if that does not happen.
    pub fn wait_until_in(&self) -> Timestamp {
        self.let_in(LIMIT)
            .unwrap_or_else(|| panic!("the client was not let in:\n{}", self.messages.since(Timestamp::MIN)))
    }

    /// When the client was let in, as far as it knows.
    fn let_in(&self, limit: Duration) -> Option<Timestamp> {
        self.messages.wait_for(limit, |line| line.text.starts_with("Authenticated to ").then_some(line.at))
    }

    /// Waits until sshd has sent the client away.
    pub fn expect_refusal(&mut self) {
        let status = self.wait();
        let messages = self.messages.since(Timestamp::MIN);
        assert!(!status.success(), "the client ended well:\n{messages}");
        assert_eq!(self.let_in(Duration::ZERO), None, "the client was let in:\n{messages}");
    }

    /// What the session tells of itself, where its use makes it tell.
    pub fn told(&self) -> Option<Told> {
        match self.login.purpose {
            Use::Tell | Use::Terminal => {}
            Use::Sftp => {
                // With OpenSSH's own programs it is the error output that tells.
                expect_line(&self.messages, |text| text.starts_with("Connected to ").then_some(()));
                return None;
            }
            Use::Nothing | Use::Run(_) | Use::Master(_) => return None,
        }
        let fields = expect_line(&self.output, |text| {
            let fields: Vec<_> = text.split(' ').map(str::to_owned).collect();
            (fields.len() == 4 && fields[1].parse::<u16>().is_ok()).then_some(fields)
        });
        let address = |ip: &str, port: &str| {
            SocketAddr::new(ip.parse().expect("an address"), port.parse().expect("a port"))
        };
        Some(Told {
            uid: expect_line(&self.output, |text| text.parse().ok()),
            peer: address(&fields[0], &fields[1]),
            local: address(&fields[2], &fields[3]),
            tty: expect_line(&self.output, |text| match text.strip_prefix("/dev/") {
                Some(tty) => Some(Some(tty.to_owned())),
                None => (text == "not a tty").then_some(None),
            }),
        })
    }

    /// Sends a line to whatever runs in the session.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the client has an input");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the client reads");
    }

    /// Waits for a line of the session's output that starts with `words`, and gives what follows.
    pub fn expect_output(&self, words: &str) -> String {
        expect_line(&self.output, |text| text.strip_prefix(words).map(str::to_owned))
    }

    /// Ends the session the way its use ends, and waits until the client is gone.
    pub fn leave(&mut self) {
        self.left = Timestamp::now();
        match self.login.purpose {
            Use::Tell | Use::Terminal => self.say(""),
            Use::Sftp => self.say("bye"),
            Use::Nothing | Use::Master(_) => processes::signal(self.child.id(), Signal::TERM),
            Use::Run(_) => {}
        }
        self.wait();
    }

    /// From now on the session may end for another reason than the client.
    pub fn leaves_now(&mut self) {
        self.left = Timestamp::now();
    }

    /// Kills the client: no good-bye, the kernel closes its connection.
    pub fn kill(&mut self) {
        self.left = Timestamp::now();
        processes::end(&mut self.child);
    }

    /// Waits until the client ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        processes::wait_for_end(&mut self.child, "the client")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        processes::end(&mut self.child);
    }
}

/// A port for the client's end that nobody else in the sandbox has: above those of servers, below those that the
/// kernel chooses.
pub fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(28001);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn expect_line<T>(lines: &Lines, pick: impl Fn(&str) -> Option<T>) -> T {
    let found = lines.wait_for(LIMIT, |line| pick(&line.text));
    found
        .unwrap_or_else(|| panic!("the session did not say what it should:\n{}", lines.since(Timestamp::MIN)))
}

/// A good password and a bad one.
pub const GOOD: &str = PASSWORD;
pub const BAD: &str = "let mallory in";

/// Another channel over a master connection at `socket`, telling about itself as [`Use::Tell`].
pub fn over_master(socket: &str, program: &str) -> Child {
    let mut command = command("ssh");
    command.args(["-F", "none", "-S", socket, "-o", "ControlMaster=no", HOST, program]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("the OpenSSH client is installed")
}
