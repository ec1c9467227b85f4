//! Reading the kernel's structures, at the offsets that the loader resolved for the running kernel.
//!
//! Every read goes through `bpf_probe_read_kernel`, which fails instead of faulting: a wrong pointer gives an error.

use aya_ebpf::Global;
use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_ktime_get_boot_ns, bpf_probe_read_kernel_str, bpf_probe_read_user,
    bpf_probe_read_user_str, bpf_task_pt_regs,
};
use aya_ebpf::helpers::{bpf_get_current_task, bpf_probe_read_kernel};
use tracer_ebpf::{Header, Kind, Offsets};

use crate::error::{Error, Structure};

/// Set by the loader before the programs start.
#[unsafe(no_mangle)]
static OFFSETS: Global<Offsets> = Global::new(ZERO);

/// All zero; `Default` is not `const`.
const ZERO: Offsets = {
    // SAFETY: `Offsets` is made of `u32` only, for which zero bytes are valid.
    unsafe { core::mem::zeroed() }
};

/// One offset, loaded by itself: the verifier sees a constant.
macro_rules! offset {
    ($field:ident) => {{
        let offsets = $crate::task::offsets();
        // SAFETY: a field of a static that outlives the program; volatile, since the loader changes it.
        unsafe { core::ptr::addr_of!((*offsets).$field).read_volatile() as usize }
    }};
}
pub(crate) use offset;

pub(crate) fn offsets() -> *const Offsets {
    core::ptr::addr_of!(OFFSETS).cast()
}

/// A pointer to one of the kernel's structures, never dereferenced directly.
#[derive(Clone, Copy)]
pub(crate) struct Pointer(pub(crate) *const u8);

impl Pointer {
    /// Reads a value of plain data at `offset` behind the pointer.
    #[inline(always)]
    pub(crate) fn read<T>(self, offset: usize, what: Structure) -> Result<T, Error> {
        // SAFETY: the helper checks the address; `T` is an integer or a pointer in every call, valid for any bytes.
        unsafe { bpf_probe_read_kernel(self.0.wrapping_add(offset).cast()) }.map_err(|_| Error::Read(what))
    }

    /// Follows the pointer at `offset`; a null pointer is an error.
    #[inline(always)]
    pub(crate) fn follow(self, offset: usize, what: Structure) -> Result<Self, Error> {
        let pointer: *const u8 = self.read(offset, what)?;
        if pointer.is_null() { Err(Error::Read(what)) } else { Ok(Self(pointer)) }
    }

    /// Copies the NUL-terminated kernel text that the pointer points to; leaves `to` empty when it cannot be read.
    #[inline(always)]
    pub(crate) fn copy_text<const N: usize>(self, to: &mut [u8; N]) {
        // SAFETY: the helper writes at most `N` bytes into `to`, checks the source address, and terminates the text.
        unsafe { bpf_probe_read_kernel_str(to.as_mut_ptr().cast(), N as u32, self.0.cast()) };
    }

    /// As [`Pointer::copy_text`], for memory of the current process.
    #[inline(always)]
    pub(crate) fn copy_user_text<const N: usize>(self, to: &mut [u8; N]) {
        // SAFETY: as above; the helper reads the memory of the current process.
        unsafe { bpf_probe_read_user_str(to.as_mut_ptr().cast(), N as u32, self.0.cast()) };
    }
}

/// How many children are looked at from the end of the list: orphans that a process inherits are put there, too.
const NEWEST_CHILDREN: u32 = 8;

/// Copies `length` bytes of memory of the current process, or as many as `to` has room for.
#[inline(always)]
pub(crate) fn copy_user_bytes<const N: usize>(from: *const u8, length: usize, to: &mut [u8; N]) {
    const { assert!(N.is_power_of_two() && N <= 1 << 16) };
    let length = if length < N { length } else { N - 1 };
    // The verifier takes a mask for a bound, whatever register the comparison was made in.
    let length = core::hint::black_box(length as u32) & (N as u32 - 1);
    // SAFETY: the helper writes at most `length` bytes, fewer than `to` has, and checks the source address.
    unsafe { bpf_probe_read_user(to.as_mut_ptr().cast(), length, from.cast()) };
}

/// The second and the third argument of the system call that the current thread makes. They are there still when it returns:
/// only the first one may have made room for the result. Linux before 5.15 refuses a program that asks.
#[inline(always)]
pub(crate) fn call_arguments() -> Result<[usize; 2], Error> {
    // SAFETY: the helpers have no preconditions, and the task of the second one is that of the first.
    let registers = Pointer(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as *const u8);
    Ok([
        registers.read(offset!(registers_argument_2), Structure::Registers)?,
        registers.read(offset!(registers_argument_3), Structure::Registers)?,
    ])
}

/// A `task_struct`.
#[derive(Clone, Copy)]
pub(crate) struct Task(Pointer);

impl Task {
    pub(crate) fn new(pointer: *const u8) -> Self {
        Self(Pointer(pointer))
    }

    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(Pointer(unsafe { bpf_get_current_task() } as *const u8))
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> Result<u32, Error> {
        self.0.read(offset!(task_tgid), Structure::Task)
    }

    /// The child with this id, which is among the newest; an error for a thread, which is no child.
    ///
    /// For the parent itself, which alone adds to its list of children.
    #[inline(always)]
    pub(crate) fn newest_child(self, pid: u32) -> Result<Self, Error> {
        let children = Pointer(self.0.0.wrapping_add(offset!(task_children)));
        let mut entry = children;
        for _ in 0..NEWEST_CHILDREN {
            entry = entry.follow(offset!(list_prev), Structure::Task)?;
            let child = Self(Pointer(entry.0.wrapping_sub(offset!(task_sibling))));
            if entry.0 == children.0 {
                break;
            }
            if child.0.read::<u32>(offset!(task_pid), Structure::Task)? == pid {
                return Ok(child);
            }
        }
        Err(Error::Read(Structure::Task))
    }

    /// Whether this is the first thread of its process, which stands for the process.
    #[inline(always)]
    pub(crate) fn is_leader(self) -> Result<bool, Error> {
        Ok(self.0.read::<u32>(offset!(task_pid), Structure::Task)? == self.tgid()?)
    }

    /// Whether the process has no other thread left; for a thread that is ending.
    #[inline(always)]
    pub(crate) fn is_last_thread(self) -> Result<bool, Error> {
        let signal = self.0.follow(offset!(task_signal), Structure::Task)?;
        Ok(signal.read::<u32>(offset!(signal_live), Structure::Signal)? == 0)
    }

    #[inline(always)]
    pub(crate) fn start_boot_ns(self) -> Result<u64, Error> {
        self.0.read(offset!(task_start_boottime), Structure::Task)
    }

    #[inline(always)]
    pub(crate) fn wait_status(self) -> Result<u32, Error> {
        self.0.read(offset!(task_exit_code), Structure::Task)
    }

    /// Real, effective and saved user id, in the initial user namespace.
    #[inline(always)]
    pub(crate) fn user_ids(self) -> Result<[u32; 3], Error> {
        let cred = self.0.follow(offset!(task_cred), Structure::Task)?;
        Ok([
            cred.read(offset!(cred_uid), Structure::Credentials)?,
            cred.read(offset!(cred_euid), Structure::Credentials)?,
            cred.read(offset!(cred_suid), Structure::Credentials)?,
        ])
    }

    #[inline(always)]
    pub(crate) fn exe(self) -> Result<Exe, Error> {
        let mm = self.0.follow(offset!(task_mm), Structure::Task)?;
        Ok(Exe(mm.follow(offset!(mm_exe_file), Structure::Memory)?))
    }

    /// Copies the title: the first string of the argument area. Only for the current process.
    #[inline(always)]
    pub(crate) fn copy_title<const N: usize>(self, to: &mut [u8; N]) -> Result<(), Error> {
        let mm = self.0.follow(offset!(task_mm), Structure::Task)?;
        mm.follow(offset!(mm_arg_start), Structure::Memory)?.copy_user_text(to);
        Ok(())
    }

    /// Copies the arguments, each with its NUL. Only for the current process.
    #[inline(always)]
    pub(crate) fn copy_arguments<const N: usize>(self, to: &mut [u8; N]) -> Result<(), Error> {
        let mm = self.0.follow(offset!(task_mm), Structure::Task)?;
        let start: usize = mm.read(offset!(mm_arg_start), Structure::Memory)?;
        let end: usize = mm.read(offset!(mm_arg_end), Structure::Memory)?;
        copy_user_bytes(start as *const u8, end.wrapping_sub(start), to);
        Ok(())
    }

    /// Whether it has a controlling terminal.
    #[inline(always)]
    pub(crate) fn has_tty(self) -> bool {
        let signal = self.0.follow(offset!(task_signal), Structure::Task);
        signal.and_then(|signal| signal.follow(offset!(signal_tty), Structure::Signal)).is_ok()
    }

    /// Copies the name of the controlling terminal; leaves `to` empty where there is none.
    #[inline(always)]
    pub(crate) fn copy_tty<const N: usize>(self, to: &mut [u8; N]) -> Result<(), Error> {
        let signal = self.0.follow(offset!(task_signal), Structure::Task)?;
        let tty: *const u8 = signal.read(offset!(signal_tty), Structure::Signal)?;
        if !tty.is_null() {
            Pointer(tty.wrapping_add(offset!(tty_name))).copy_text(to);
        }
        Ok(())
    }

    /// The file at a descriptor number, or `None` where there is none.
    #[inline(always)]
    pub(crate) fn file(self, table: FileTable, number: u32) -> Option<Pointer> {
        let slot = Pointer(table.files.0.wrapping_add(number as usize * size_of::<*const u8>()));
        slot.follow(0, Structure::FileTable).ok()
    }

    #[inline(always)]
    pub(crate) fn file_table(self) -> Result<FileTable, Error> {
        let files = self.0.follow(offset!(task_files), Structure::Task)?;
        let table = files.follow(offset!(files_fdt), Structure::FileTable)?;
        Ok(FileTable {
            files: table.follow(offset!(fdtable_fd), Structure::FileTable)?,
            length: table.read(offset!(fdtable_max_fds), Structure::FileTable)?,
        })
    }

    /// The header of a record about this process, as of now.
    #[inline(always)]
    pub(crate) fn header(self, kind: Kind) -> Result<Header, Error> {
        let parent = Self(self.0.follow(offset!(task_real_parent), Structure::Task)?);
        let [uid, _, _] = self.user_ids()?;
        Ok(Header {
            kind: kind as u32,
            tgid: self.tgid()?,
            parent_tgid: parent.tgid()?,
            uid,
            // SAFETY: the helper has no preconditions.
            boot_ns: unsafe { bpf_ktime_get_boot_ns() },
            start_boot_ns: self.start_boot_ns()?,
        })
    }
}

/// The open files of a process.
#[derive(Clone, Copy)]
pub(crate) struct FileTable {
    files: Pointer,
    /// Descriptor numbers are below this.
    pub(crate) length: u32,
}

/// The executable of a process: a `struct file`.
#[derive(Clone, Copy)]
pub(crate) struct Exe(Pointer);

impl Exe {
    /// Copies the name by which its directory knows it.
    #[inline(always)]
    pub(crate) fn copy_name<const N: usize>(self, to: &mut [u8; N]) -> Result<(), Error> {
        let dentry = self.0.follow(offset!(file_dentry), Structure::File)?;
        dentry.follow(offset!(dentry_name), Structure::DirectoryEntry)?.copy_text(to);
        Ok(())
    }

    /// Owner in the initial user namespace, and mode.
    #[inline(always)]
    pub(crate) fn inode(self) -> Result<(u32, u16), Error> {
        let inode = self.0.follow(offset!(file_inode), Structure::File)?;
        Ok((
            inode.read(offset!(inode_uid), Structure::Inode)?,
            inode.read(offset!(inode_mode), Structure::Inode)?,
        ))
    }
}
