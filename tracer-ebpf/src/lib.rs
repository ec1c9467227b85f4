//! The contract between the kernel programs and the loader: what a record in the ring buffer looks like, and what
//! the loader tells the programs before they start.
//!
//! The programs report facts about processes of the [doors](Door) through which users come in; they decide nothing. Every record begins with a
//! [`Header`] whose `kind` says which struct it is. All values are in the byte order of the machine, except ports and
//! addresses, which are as they stand in the kernel (network byte order). All structs are `repr(C)` with explicit
//! widths and no padding, so that every byte is defined; `tests` pin the layout.
//!
//! This crate knows nothing and builds everywhere: `no_std`, no dependencies.

#![no_std]

pub mod descendant;
mod door;

pub use door::Door;

/// Changes with every change of a layout or a meaning here. The loader refuses programs of another version.
pub const CONTRACT_VERSION: u32 = 4;

/// Longest executable name (the last component of the path) that is reported, in bytes.
pub const NAME_LEN: usize = 32;
/// Longest path that is reported, in bytes.
pub const PATH_LEN: usize = 256;
/// Longest process title that is reported, in bytes. sshd's title holds the user name.
pub const TITLE_LEN: usize = 256;
/// Longest terminal name that is reported, in bytes.
pub const TTY_LEN: usize = 32;
/// Longest log line that is reported, in bytes. sshd cuts its lines at 500 (`log.c`), to which syslog(3) adds priority,
/// time and name; what is longer still is cut.
pub const LOG_LEN: usize = 512;
/// How much is reported of the arguments of a program, in bytes.
pub const ARGUMENTS_LEN: usize = 256;

/// How many processes of doors can be followed at once: a burst of 1,000 connections needs 3,000.
pub const MAX_PROCESSES: u32 = 32_768;

/// What a record reports. The numbers are part of the contract and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// A process began to execute the image of a door: [`Exec`].
    Exec = 1,
    /// A process of the tree began to execute something else and is no longer followed: [`Leave`].
    Leave = 2,
    /// A process of the tree forked: [`Fork`].
    Fork = 3,
    /// A process of the tree ended: [`Exit`].
    Exit = 4,
    /// A process of the tree disarmed its real-time timer: [`TimerDisarmed`].
    TimerDisarmed = 5,
    /// A process of the tree set its user ids: [`Credentials`].
    Credentials = 6,
    /// The connection that a process of the tree holds: [`Socket`].
    Socket = 7,
    /// A process of the tree that runs as root sent a line to the system log: [`LogLine`].
    LogLine = 8,
    /// A descendant of a session gained a user id: [`descendant::Escalated`].
    Escalated = 16,
    /// A process that is not root began to execute the image of an ssh server: [`Exec`]. It is not followed.
    ForeignExec = 17,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Exec,
        Self::Leave,
        Self::Fork,
        Self::Exit,
        Self::TimerDisarmed,
        Self::Credentials,
        Self::Socket,
        Self::LogLine,
        Self::Escalated,
        Self::ForeignExec,
    ];

    /// `None` for a number that is not part of the contract.
    pub fn from_u32(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// What every record begins with: who and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// A [`Kind`].
    pub kind: u32,
    /// Process id (thread group) in the initial pid namespace.
    pub tgid: u32,
    /// Process id of the real parent in the initial pid namespace.
    pub parent_tgid: u32,
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// Time of the event in nanoseconds since boot, suspended time included.
    pub boot_ns: u64,
    /// Start of the process on the same clock: tells a process from a later one with the same id.
    pub start_boot_ns: u64,
}

/// See [`Kind::Exec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Exec {
    pub header: Header,
    /// Owner of the executable, as a user id in the initial user namespace.
    pub owner_uid: u32,
    /// Mode bits of the executable, file type included.
    pub mode: u32,
    /// Name of the executable as its directory knows it, NUL-terminated.
    pub name: [u8; NAME_LEN],
    /// As in [`Leave`].
    pub tty: [u8; TTY_LEN],
    /// The path that was given to `execve`, NUL-terminated.
    pub path: [u8; PATH_LEN],
}

/// See [`Kind::Leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Leave {
    pub header: Header,
    /// Effective user id in the initial user namespace.
    pub euid: u32,
    /// Saved user id.
    pub suid: u32,
    /// Name of the controlling terminal as the kernel knows it (`pts0`), NUL-terminated; empty without one.
    pub tty: [u8; TTY_LEN],
    /// The path that was given to `execve`, NUL-terminated.
    pub path: [u8; PATH_LEN],
    /// The arguments of the program, its own name first, each with its NUL; cut at the end of the field.
    pub arguments: [u8; ARGUMENTS_LEN],
}

/// See [`Kind::Fork`]; the header is the parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Fork {
    pub header: Header,
    pub child_tgid: u32,
    pub reserved: u32,
    pub child_start_boot_ns: u64,
}

/// See [`Kind::Exit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Exit {
    pub header: Header,
    /// As `wait(2)` gives it: status in bits 8 to 15, signal in bits 0 to 6.
    pub wait_status: u32,
    pub reserved: u32,
}

/// See [`Kind::TimerDisarmed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct TimerDisarmed {
    pub header: Header,
    /// Title of the process (its argument area), NUL-terminated; empty when it could not be read.
    pub title: [u8; TITLE_LEN],
}

/// See [`Kind::Credentials`]; the ids after the call, in the initial user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Credentials {
    pub header: Header,
    pub ruid: u32,
    pub euid: u32,
    pub suid: u32,
    pub reserved: u32,
}

/// See [`Kind::Socket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Socket {
    pub header: Header,
    /// `AF_INET` or `AF_INET6`. IPv4 addresses take the first four bytes.
    pub family: u16,
    /// Network byte order.
    pub peer_port: [u8; 2],
    /// Network byte order.
    pub local_port: [u8; 2],
    pub reserved: [u8; 2],
    pub peer: [u8; 16],
    pub local: [u8; 16],
}

/// See [`Kind::LogLine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct LogLine {
    pub header: Header,
    /// As syslog(3) sends it, `<PRI>` first, padded with NULs.
    pub text: [u8; LOG_LEN],
}

/// `AF_INET` of Linux.
pub const AF_INET: u16 = 2;
/// `AF_INET6` of Linux.
pub const AF_INET6: u16 = 10;

/// Where the fields of the running kernel's structures are, in bytes; resolved from its BTF.
///
/// `Default` (all zero) is what the object file holds: programs that start with it report nothing sensible, so the
/// loader always overrides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Offsets {
    pub task_pid: u32,
    pub task_tgid: u32,
    pub task_real_parent: u32,
    pub task_start_boottime: u32,
    pub task_exit_code: u32,
    pub task_cred: u32,
    pub task_mm: u32,
    pub task_files: u32,
    pub task_signal: u32,
    pub task_children: u32,
    pub task_sibling: u32,
    pub list_prev: u32,
    pub cred_uid: u32,
    pub cred_euid: u32,
    pub cred_suid: u32,
    pub mm_exe_file: u32,
    pub mm_arg_start: u32,
    pub mm_arg_end: u32,
    pub file_dentry: u32,
    pub file_inode: u32,
    pub file_private_data: u32,
    pub dentry_name: u32,
    pub inode_uid: u32,
    pub inode_mode: u32,
    pub files_fdt: u32,
    pub fdtable_fd: u32,
    pub fdtable_max_fds: u32,
    pub socket_sk: u32,
    pub sock_family: u32,
    pub sock_state: u32,
    pub sock_protocol: u32,
    pub sock_protocol_size: u32,
    pub sock_peer_port: u32,
    pub sock_local_port: u32,
    pub sock_peer_v4: u32,
    pub sock_local_v4: u32,
    pub sock_peer_v6: u32,
    pub sock_local_v6: u32,
    pub signal_tty: u32,
    pub signal_live: u32,
    pub tty_name: u32,
    pub binprm_filename: u32,
    pub itimerspec_value_sec: u32,
    pub itimerspec_value_nsec: u32,
    /// The registers that hold the second and the third argument of a system call, by the processor's convention.
    pub registers_argument_2: u32,
    pub registers_argument_3: u32,
    /// From here on: fields of tracepoints' records, from their `format` files; zero where there is none.
    pub exec_filename: u32,
    pub fork_child_pid: u32,
    pub itimer_which: u32,
    pub itimer_value_sec: u32,
    pub itimer_value_nsec: u32,
    pub exit_setresuid_ret: u32,
    pub enter_sendto_buff: u32,
    pub enter_sendto_len: u32,
}

/// Why a fact was lost, as an index into the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Loss {
    /// The ring buffer was full.
    RingBufferFull = 0,
    /// The table of followed processes was full.
    ProcessTableFull = 1,
}

/// Number of counters of lost facts.
pub const LOSS_COUNTERS: u32 = 2;

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    /// Every struct is as long as its fields together: no byte is padding, none is undefined.
    #[test]
    fn no_padding() {
        assert_eq!(size_of::<Header>(), 4 * 4 + 8 + 8);
        assert_eq!(size_of::<Exec>(), 32 + 4 + 4 + NAME_LEN + TTY_LEN + PATH_LEN);
        assert_eq!(size_of::<Leave>(), 32 + 4 + 4 + TTY_LEN + PATH_LEN + ARGUMENTS_LEN);
        assert_eq!(size_of::<Fork>(), 32 + 4 + 4 + 8);
        assert_eq!(size_of::<Exit>(), 32 + 4 + 4);
        assert_eq!(size_of::<TimerDisarmed>(), 32 + TITLE_LEN);
        assert_eq!(size_of::<Credentials>(), 32 + 4 * 4);
        assert_eq!(size_of::<Socket>(), 32 + 4 * 2 + 16 + 16);
        assert_eq!(size_of::<LogLine>(), 32 + LOG_LEN);
        assert_eq!(size_of::<Offsets>(), 54 * 4);
    }

    #[test]
    fn layout_is_pinned() {
        assert_eq!(offset_of!(Header, boot_ns), 16);
        assert_eq!(offset_of!(Header, start_boot_ns), 24);
        assert_eq!(offset_of!(Exec, name), 40);
        assert_eq!(offset_of!(Exec, path), 104);
        assert_eq!(offset_of!(Leave, path), 72);
        assert_eq!(offset_of!(Fork, child_start_boot_ns), 40);
        assert_eq!(offset_of!(Socket, peer), 40);
        assert_eq!(offset_of!(Socket, local), 56);
    }

    #[test]
    fn kinds_are_known_by_their_number_only() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_u32(kind as u32), Some(kind));
        }
        assert_eq!(Kind::from_u32(0), None);
        assert_eq!(Kind::from_u32(9), None);
    }
}
