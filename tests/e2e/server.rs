//! Real sshds of the sandbox: each with a configuration of its own, on a port of its own.

use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::accounts::{Account, Key, write};
use crate::client::Login;
use crate::lines::{LIMIT, Lines};
use crate::processes::{self, command};
use crate::sandbox::{self, ROOM};

/// The sshd under watch, as the distribution installs it.
pub const SSHD: &str = "/usr/sbin/sshd";

/// A listening sshd; ended when dropped. Sessions that it let in may live on.
pub struct Server {
    port: u16,
    config: String,
    options: &'static [&'static str],
    writes_log: bool,
    /// How the process that was started is ended.
    end: Signal,
    listener: Mutex<Child>,
}

impl Server {
    /// Starts one and waits until it listens.
    ///
    /// `lines` of `sshd_config` win over those that all have in common; `Match` blocks come last.
    pub fn start(lines: &str) -> Self {
        Self::start_with(lines, &[])
    }

    /// The same with arguments on the command line.
    pub fn start_with(lines: &str, options: &'static [&'static str]) -> Self {
        let port = next_port();
        let config = write_config(port, &Key::Host.path(), lines);
        let listener = Mutex::new(listen(&config, options));
        let writes_log = !lines.contains("LogLevel QUIET") && !options.contains(&"-E");
        let server = Self { port, config, options, writes_log, end: Signal::TERM, listener };
        server.wait_until_listening();
        server
    }

    /// Starts one in a pid namespace of its own, as in a container.
    pub fn start_contained() -> Self {
        let port = next_port();
        let config = write_config(port, &Key::Host.path(), "UsePAM yes\n");
        // It shuts its ears to milder signals, and takes sshd with it.
        let mut command = command("unshare");
        command.args(["--pid", "--fork", "--kill-child", SSHD, "-D", "-f", &config]);
        let listener = Mutex::new(command.stderr(Stdio::null()).spawn().expect("unshare can be run"));
        let server = Self { port, config, options: &[], writes_log: true, end: Signal::KILL, listener };
        server.wait_until_listening();
        server
    }

    /// Starts `exe` as an ordinary user, who needs a host key of their own.
    pub fn start_as(account: &Account, exe: &str) -> Self {
        let port = next_port();
        let key = format!("{ROOM}/keys/host_of_{}_{port}", account.name);
        fs::copy(Key::Host.path(), &key).expect("the host key can be copied");
        std::os::unix::fs::chown(&key, Some(account.uid), Some(account.uid))
            .expect("root may give files away");
        let config = write_config(port, Path::new(&key), "UsePAM no\nStrictModes no\n");
        let mut command = command(exe);
        command.args(["-D", "-f", &config]).uid(account.uid).gid(account.uid);
        let listener = Mutex::new(command.stderr(Stdio::null()).spawn().expect("a user can run sshd"));
        let server = Self { port, config, options: &[], writes_log: true, end: Signal::TERM, listener };
        server.wait_until_listening();
        server
    }

    /// A login at this server over IPv4 with a key; the methods of [`Login`] change that.
    pub fn login(&self, account: Account) -> Login {
        Login::new(self.port, account).found_by(if self.writes_log { None } else { Some(self.pid()) })
    }

    /// The process id of the listener.
    pub fn pid(&self) -> u32 {
        self.listener().id()
    }

    /// Makes the listener run itself again, and waits until it has, by its words in `log`.
    pub fn reload(&self, log: &Lines) {
        let words = format!("Server listening on {} port {}", sandbox::address(), self.port);
        let before = log.count(&words);
        processes::signal(self.pid(), Signal::HUP);
        let started = Instant::now();
        while log.count(&words) == before || !is_listening(self.port) {
            assert!(started.elapsed() < LIMIT, "sshd did not restart itself on SIGHUP");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the listener and starts another one in its place.
    pub fn restart(&self) {
        let mut listener = self.listener();
        processes::signal(listener.id(), Signal::TERM);
        processes::wait_for_end(&mut listener, "the listening sshd");
        *listener = listen(&self.config, self.options);
        drop(listener);
        self.wait_until_listening();
    }

    fn listener(&self) -> MutexGuard<'_, Child> {
        self.listener.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait_until_listening(&self) {
        let started = Instant::now();
        while !is_listening(self.port) {
            let ended = self.listener().try_wait().expect("our own child can be waited for");
            assert!(ended.is_none(), "sshd ended instead of listening: {ended:?}, see {}", self.config);
            assert!(started.elapsed() < LIMIT, "sshd does not listen on port {}", self.port);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut listener = self.listener();
        processes::signal(listener.id(), self.end);
        listener.wait().ok();
    }
}

/// The `sftp-server` of the distribution.
pub fn external_sftp() -> &'static str {
    const PLACES: [&str; 4] = [
        "/usr/lib/openssh/sftp-server",
        "/usr/libexec/openssh/sftp-server",
        "/usr/lib/ssh/sftp-server",
        "/usr/libexec/sftp-server",
    ];
    PLACES.into_iter().find(|path| Path::new(path).exists()).expect("sshd comes with an sftp-server")
}

/// What starts `sshd -i` for every connection, as inetd and `ssh.socket` do. It listens on `[::]` alone, so that an IPv4
/// client arrives with an address mapped into IPv6; a listening sshd never lets that happen.
pub struct Inetd {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Inetd {
    pub fn start() -> Self {
        let port = next_port();
        let config = write_config(port, &Key::Host.path(), "UsePAM yes\n");
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to_stop = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut monitors = Vec::new();
            while !asked_to_stop.load(Ordering::Relaxed) {
                if let Ok((stream, _)) = listener.accept() {
                    let input = OwnedFd::from(stream);
                    let output = input.try_clone().expect("a descriptor can be copied");
                    let mut command = command(SSHD);
                    command.args(["-i", "-f", &config]).stdin(input).stdout(output).stderr(Stdio::null());
                    monitors.push(command.spawn().expect("sshd can be run"));
                }
                monitors.retain_mut(|monitor: &mut Child| !matches!(monitor.try_wait(), Ok(Some(_))));
                std::thread::sleep(Duration::from_millis(2));
            }
            monitors.iter_mut().for_each(processes::end);
        });
        Self { port, stop, thread: Some(thread) }
    }

    /// A login at it over IPv4 with a key.
    pub fn login(&self, account: Account) -> Login {
        Login::new(self.port, account)
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread that accepts does not panic");
        }
    }
}

pub(crate) fn next_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let port = sandbox::server_ports().nth(GIVEN.fetch_add(1, Ordering::Relaxed).into());
    port.expect("no run needs more servers than there are ports")
}

fn listen(config: &str, options: &[&str]) -> Child {
    let mut command = command(SSHD);
    command.args(["-D", "-f", config]).args(options).stderr(Stdio::null());
    command.spawn().expect("sshd can be run")
}

fn write_config(port: u16, host_key: &Path, lines: &str) -> String {
    let path = format!("{ROOM}/sshd_{port}.conf");
    // The first value of a setting counts, and a `Match` block reaches to the end.
    let (lines, blocks) = lines.split_at(lines.find("Match ").unwrap_or(lines.len()));
    let mut text = format!(
        "{lines}Port {port}\nListenAddress {}\nListenAddress ::1\nHostKey {}\nPidFile none\n\
         AuthorizedKeysFile {ROOM}/authorized_keys/%u\nUseDNS no\n",
        sandbox::address(),
        host_key.display()
    );
    // Of this one setting the last value counts, in OpenSSH 9.2 at least.
    if !lines.contains("MaxStartups") {
        text += "MaxStartups 100\n";
    }
    if punishes() {
        // Refusals are what half of the scenarios are about; none may be answered with silence for the next.
        text += "PerSourcePenalties no\n";
    }
    text += blocks;
    write(&path, &text, 0o644).expect("the room can be written to");
    path
}

/// Whether this sshd (9.8 and later) locks addresses out for a while after refusals.
fn punishes() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let key = Key::Host.path();
        let mut command = command(SSHD);
        command.args(["-t", "-f", "/dev/null", "-o", "PerSourcePenalties=no", "-h"]).arg(key);
        command.output().expect("sshd can be run").status.success()
    })
}

/// Whether somebody listens on `port` for IPv4, and for IPv6 where the kernel has it: sshd binds that second.
pub(crate) fn is_listening(port: u16) -> bool {
    let listens = |table: &str| table.lines().any(|line| listening_port(line) == Some(port));
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .all(|path| fs::read_to_string(path).map_or(true, |table| listens(&table)))
}

/// The local port of a line of `/proc/net/tcp` if its state is LISTEN (0A).
fn listening_port(line: &str) -> Option<u16> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let port = local.rsplit_once(':')?.1;
    (state == "0A").then(|| u16::from_str_radix(port, 16).ok()).flatten()
}
