//! The sandbox: namespaces in which the machine's users, keys, sshd, logs, terminals and network are out of reach.
//!
//! Own mounts hide `/etc` (a copy-on-write layer, so that the machine's PAM stack is the one under test), `/home`,
//! `/opt`, `/root`, `/run`, `/tmp`, `/var/log`, `/var/tmp`, `/dev` (with its own `/dev/log` and terminals) and the BPF file
//! system, so that pinned maps vanish too. The network has nothing but loopback. It all goes with the last process in it.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_move};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::{accounts, namespaces, programs};

/// The suite's own files, on the sandbox's `/run`.
pub const ROOM: &str = "/run/e2e";
/// The name of the machine inside.
pub const HOST: &str = "sandbox";
/// The binary under test, wherever it was built.
pub const TRACER: &str = "/run/e2e/bin/login-tracer";

/// The IPv4 address of everything inside. The tracer also sees what others do on this kernel, perhaps in another run of
/// this suite; that has another address.
pub fn address() -> Ipv4Addr {
    // Process ids have 22 bits.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + high, middle, low)
}

/// The ports of servers inside: others than those of another run, for where the address is the same, in IPv6.
pub fn server_ports() -> Range<u16> {
    const PORTS: u16 = 100;
    let first = 3000 + PORTS * (std::process::id() % 250) as u16;
    first..first + PORTS
}

/// Addresses that clients can come from beside [`address`]: public ones, so that their reputation is asked for. They are
/// on the sandbox's loopback alone. The double of the reputation service takes the last number as the score.
pub const VISITORS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(193, 146, 30, 12), Ipv4Addr::new(193, 146, 30, 50), Ipv4Addr::new(193, 146, 30, 90)];

/// Where a folder of the machine that is kept appears inside.
pub const KEPT: &str = "/run/e2e/kept";

/// Moves this process into a new sandbox. It must have a single thread. All its files are in memory, except for a folder
/// of the machine that is `kept`, for what has to be on a disk.
pub fn enter(kept: Option<&Path>) -> anyhow::Result<()> {
    // SAFETY: no other thread exists yet, and no file descriptor is unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWUTS) }
        .context("cannot make namespaces")?;
    namespaces::adopt_and_guard()?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot keep mounts to ourselves")?;
    std::env::set_current_dir("/").context("cannot leave the current folder")?;
    let own_exe = fs::read_link("/proc/self/exe").context("cannot find this program")?;

    // Keep hold of both programs first: they may lie in a folder that is about to be hidden.
    let tracer =
        fs::File::open(env!("CARGO_BIN_EXE_login-tracer")).context("cannot open the tracer's binary")?;
    let this = fs::File::open(&own_exe).context("cannot open this program")?;
    let kept = kept.map(fs::File::open).transpose().context("cannot open the folder that is kept")?;
    private_folder("/run", "mode=755")?;
    fs::create_dir_all(format!("{ROOM}/bin")).context("cannot create the suite's folder")?;
    bind_file(&descriptor_path(&tracer), TRACER)?;
    bind_file(&descriptor_path(&this), &format!("{ROOM}/bin/e2e"))?;
    if let Some(folder) = kept {
        fs::create_dir(KEPT).with_context(|| format!("cannot create {KEPT}"))?;
        mount_bind(descriptor_path(&folder), KEPT).context("cannot keep the folder")?;
    }
    programs::install()?;

    layer_over_etc()?;
    // Where a scenario may install programs.
    for folder in ["/home", "/opt", "/root", "/var/log"] {
        private_folder(folder, "mode=755")?;
    }
    for folder in ["/tmp", "/var/tmp"] {
        private_folder(folder, "mode=1777")?;
    }
    own_devices()?;
    kernel_file_systems()?;
    login_records()?;
    fs::create_dir_all("/run/sshd").context("cannot create sshd's empty folder")?;
    fs::write("/proc/sys/kernel/hostname", HOST).context("cannot name the sandbox")?;
    fs::write("/etc/hosts", format!("127.0.0.1 localhost {HOST}\n::1 localhost\n"))
        .context("cannot write /etc/hosts")?;
    loopback_up().context("cannot bring up loopback")?;
    for (number, visitor) in VISITORS.into_iter().enumerate() {
        loopback_has(number, visitor).with_context(|| format!("cannot have the address {visitor}"))?;
    }
    accounts::create()
}

/// An empty file system in memory over `folder`.
fn private_folder(folder: &str, options: &str) -> anyhow::Result<()> {
    mount_fs("tmpfs", folder, MountFlags::NOSUID | MountFlags::NODEV, options)
}

/// Mounts a file system without a device of its own.
pub fn mount_fs(kind: &str, target: &str, flags: MountFlags, options: &str) -> anyhow::Result<()> {
    let options = std::ffi::CString::new(options).context("mount options hold a NUL")?;
    mount(kind, target, kind, flags, options.as_c_str())
        .with_context(|| format!("cannot mount {kind} on {target}"))
}

/// The machine's `/etc` with our changes above it.
fn layer_over_etc() -> anyhow::Result<()> {
    let layer = format!("{ROOM}/etc");
    for part in ["upper", "work"] {
        fs::create_dir_all(format!("{layer}/{part}")).context("cannot create the layer of /etc")?;
    }
    mount_fs(
        "overlay",
        "/etc",
        MountFlags::empty(),
        &format!("lowerdir=/etc,upperdir={layer}/upper,workdir={layer}/work"),
    )
}

/// A small `/dev` with terminals of its own, numbered from 0, and no log socket yet.
fn own_devices() -> anyhow::Result<()> {
    let room = format!("{ROOM}/dev");
    fs::create_dir(&room).context("cannot create the folder of devices")?;
    mount_fs("tmpfs", &room, MountFlags::NOSUID, "mode=755")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        bind_file(&format!("/dev/{name}"), &format!("{room}/{name}"))?;
    }
    for (target, name) in [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ] {
        symlink(target, format!("{room}/{name}")).with_context(|| format!("cannot link /dev/{name}"))?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(format!("{room}/{name}")).with_context(|| format!("cannot create /dev/{name}"))?;
    }
    mount_fs(
        "devpts",
        &format!("{room}/pts"),
        MountFlags::NOSUID,
        "newinstance,ptmxmode=0666,mode=620,gid=5",
    )?;
    mount_fs("tmpfs", &format!("{room}/shm"), MountFlags::NOSUID | MountFlags::NODEV, "mode=1777")?;
    mount_move(&room, "/dev").context("cannot put the devices in place")
}

/// What the tracer needs of the kernel, where the machine has not mounted it, and a BPF file system for us alone.
fn kernel_file_systems() -> anyhow::Result<()> {
    if !Path::new("/sys/kernel/tracing/events").exists() {
        mount_fs("tracefs", "/sys/kernel/tracing", MountFlags::empty(), "")?;
    }
    mount_fs("bpf", "/sys/fs/bpf", MountFlags::empty(), "mode=700")
}

/// utmp and friends: with them sshd's PAM modules use the very timer that a login is recognised by.
fn login_records() -> anyhow::Result<()> {
    for file in ["/run/utmp", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog"] {
        accounts::write(file, "", 0o660)?;
    }
    Ok(())
}

fn bind_file(source: &str, target: &str) -> anyhow::Result<()> {
    fs::write(target, "").with_context(|| format!("cannot create {target}"))?;
    mount_bind(source, target).with_context(|| format!("cannot bind {source} to {target}"))
}

/// A path that leads to an open file, whatever hides its own.
fn descriptor_path(file: &fs::File) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn loopback_up() -> anyhow::Result<()> {
    interface("lo", libc::SIOCSIFFLAGS, |request| {
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    })
}

/// Gives loopback one more address, under the alias of this number.
fn loopback_has(number: usize, address: Ipv4Addr) -> anyhow::Result<()> {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    interface(&format!("lo:{number}"), libc::SIOCSIFADDR, |request| {
        // SAFETY: both are 16 bytes of plain data, and the kernel reads the address as what its family says.
        request.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
    })
}

/// Changes a network interface by a request as in `netdevice(7)`.
fn interface(name: &str, what: libc::Ioctl, fill: impl FnOnce(&mut libc::ifreq)) -> anyhow::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    fill(&mut request);
    // SAFETY: the requests that are used here read one ifreq, which lives through the call.
    let result = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), what, &request) };
    ensure!(result == 0, io::Error::last_os_error());
    Ok(())
}
