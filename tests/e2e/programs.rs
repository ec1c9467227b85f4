//! The suite's own small programs. They are this binary under another name, so that nothing else need be installed.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, bind, connect, sendmsg,
    socket,
};

use crate::accounts;

/// Connects from an address to an address and hands the connection to ssh, which runs it as its `ProxyCommand`.
/// So the suite chooses the client's port instead of finding it out. A third argument says for how many
/// milliseconds the client is silent after the connection is there.
pub const CONNECT: &str = "/run/e2e/bin/connect";
/// Does everything that a login does to the kernel, without being one. See [`imitate`].
pub const IMITATE: &str = "/run/e2e/bin/imitate";
/// Gains what a session has not, see [`gain`]. Lies where programs may be privileged, once [`install_privileged`] was called.
pub const GAIN: &str = "/etc/e2e/gain";
/// The machine's `id`, set-uid bob.
pub const SET_UID: &str = "/etc/e2e/id_of_bob";
/// Answers every question of ssh with `$E2E_PASSWORD`.
pub const ASKPASS: &str = "/run/e2e/bin/askpass";

/// Runs one of the programs above if this process was started under its name.
pub fn run_if_called() -> Option<ExitCode> {
    let name = std::env::args_os().next()?;
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match Path::new(&name).file_name()?.as_bytes() {
        b"connect" => hand_over_connection(&arguments),
        // The copy that a user makes of it is called after what it imitates.
        b"imitate" | b"sshd" => imitate(&arguments),
        b"gain" => gain(&arguments),
        _ => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", name.display());
            ExitCode::FAILURE
        }
    })
}

/// Puts the programs in place.
pub fn install() -> anyhow::Result<()> {
    for path in [CONNECT, IMITATE] {
        symlink("e2e", path).with_context(|| format!("cannot create {path}"))?;
    }
    accounts::write(ASKPASS, "#!/bin/sh\nprintf '%s\\n' \"$E2E_PASSWORD\"\n", 0o755)?;
    Ok(())
}

/// Puts [`GAIN`] in place, which may change its user ids although it is not set-uid, and [`SET_UID`].
pub fn install_privileged() -> anyhow::Result<()> {
    if fs::exists(GAIN)? {
        return Ok(());
    }
    fs::create_dir_all("/etc/e2e")?;
    fs::copy("/proc/self/exe", GAIN).context("programs can be copied")?;
    fs::set_permissions(GAIN, fs::Permissions::from_mode(0o755))?;
    // `struct vfs_cap_data` of include/uapi/linux/capability.h: revision 2, effective; CAP_SETUID permitted.
    let [revision, permitted] = [0x0200_0001_u32, 1 << 7].map(u32::to_le_bytes);
    let capabilities = [revision, permitted, [0; 4], [0; 4], [0; 4]].concat();
    rustix::fs::setxattr(GAIN, "security.capability", &capabilities, rustix::fs::XattrFlags::empty())
        .context("cannot set capabilities")?;
    fs::copy("/usr/bin/id", SET_UID).context("programs can be copied")?;
    std::os::unix::fs::chown(SET_UID, Some(accounts::BOB.uid), Some(0))?;
    fs::set_permissions(SET_UID, fs::Permissions::from_mode(0o4755)).context("it is ours")
}

/// `gain CALL`: becomes root by a system call, without executing anything, says so, and waits for a line.
/// `gain behind PROGRAM...`: ends its first thread, and runs the program from another one.
fn gain(arguments: &[String]) -> anyhow::Result<()> {
    let (what, program) = arguments.split_first().context("usage: gain WHAT")?;
    let call = match what.as_str() {
        "setuid" => libc::SYS_setuid,
        "setreuid" => libc::SYS_setreuid,
        "setresuid" => libc::SYS_setresuid,
        _ => {
            let (path, arguments) = program.split_first().context("usage: gain behind PROGRAM...")?;
            let mut command = std::process::Command::new(path);
            command.args(arguments);
            std::thread::spawn(move || {
                // The first thread is gone by then.
                std::thread::sleep(Duration::from_millis(100));
                let ended = command.status().is_ok_and(|status| status.success());
                println!("ran {ended}");
                std::process::exit(0);
            });
            // SAFETY: it ends this thread alone; nothing that it owns is used by the other one.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
            anyhow::bail!("the thread did not end");
        }
    };
    // SAFETY: they take plain numbers. The one thread there is need not be told of it.
    let result = unsafe { libc::syscall(call, 0, 0, 0) };
    anyhow::ensure!(result == 0, "{what}: {}", io::Error::last_os_error());
    println!("became {}", rustix::process::geteuid().as_raw());
    // One byte and no more: what comes after the line is for others.
    rustix::io::read(io::stdin(), &mut [0; 1])?;
    Ok(())
}

/// Connects to `to` from exactly `from`.
pub fn connect_from(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &from)?;
    connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

fn hand_over_connection(arguments: &[String]) -> anyhow::Result<()> {
    let [from, to, silence] = arguments else { anyhow::bail!("usage: connect FROM TO SILENCE_MS") };
    let stream = connect_from(from.parse()?, to.parse()?).context("cannot connect")?;
    std::thread::sleep(Duration::from_millis(silence.parse()?));
    let descriptors = [stream.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    anyhow::ensure!(
        message.push(SendAncillaryMessage::ScmRights(&descriptors)),
        "no space for the descriptor"
    );
    sendmsg(io::stdout(), &[io::IoSlice::new(b"\0")], &mut message, SendFlags::empty())
        .context("cannot hand the connection over")?;
    Ok(())
}

/// The kernel's view of a login, played by a process that is no sshd: the name, the connection, the timer, a child that
/// ends well (as the user in the second argument, where it may), the disarmed timer, and a line in the log.
fn imitate(arguments: &[String]) -> anyhow::Result<()> {
    let [to, child_uid] = arguments else { anyhow::bail!("usage: imitate TO CHILD_UID") };
    let child_uid: u32 = child_uid.parse()?;
    rustix::thread::set_name(c"sshd").context("cannot take the name")?;
    let stream = TcpStream::connect(to).context("cannot connect")?;
    let peer = stream.peer_addr().context("no peer")?;
    set_timer(120)?;
    // SAFETY: this process has one thread; the child makes two system calls and ends without unwinding.
    let child = unsafe { libc::fork() };
    anyhow::ensure!(child >= 0, "cannot fork");
    if child == 0 {
        // SAFETY: both take plain numbers; an unprivileged user's call fails and leaves the id as it is.
        unsafe {
            libc::setresuid(child_uid, child_uid, child_uid);
            libc::_exit(0);
        }
    }
    let mut status = -1;
    // SAFETY: the status is ours and lives through the call.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    anyhow::ensure!(waited == child && status == 0, "the child did not end well");
    set_timer(0)?;
    let line = format!(
        "<38>Jan  1 00:00:00 sshd[{}]: Accepted password for root from 6.6.6.6 port 666 ssh2",
        std::process::id()
    );
    let log = UnixDatagram::unbound().context("no socket")?;
    log.send_to(line.as_bytes(), "/dev/log").context("cannot write to the log")?;
    // Live long enough to be looked at, as a session would.
    std::thread::sleep(Duration::from_millis(300));
    println!("played a login from {peer}");
    Ok(())
}

fn set_timer(seconds: i64) -> anyhow::Result<()> {
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let timer =
        libc::itimerval { it_interval: none, it_value: libc::timeval { tv_sec: seconds, tv_usec: 0 } };
    // SAFETY: the timer lives through the call; the old value is not asked for.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    anyhow::ensure!(result == 0, "cannot set the timer");
    Ok(())
}
