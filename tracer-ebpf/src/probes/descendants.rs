//! Descendants of sessions: followed from the moment a process of sshd becomes a user or leaves sshd's image, through
//! forks, until they end, and without an event each. Only a gain of a user id is reported ([`tracer_ebpf::descendant`]
//! says what that is).
//!
//! It is looked for wherever a program runs anyway (exec, fork, exit) and where user ids change. A process that got
//! another one with no system call for it is found at its next exec, fork or end at the latest.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{fexit, kretprobe, map, tracepoint};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::{FExitContext, RetProbeContext, TracePointContext};
use tracer_ebpf::descendant::{Descendant, Escalated, Gain, MAX_DESCENDANTS, UserIds};
use tracer_ebpf::{Kind, Loss, NAME_LEN};

use crate::emit;
use crate::error::{Error, report};
use crate::maps::NO_PREALLOC;
use crate::task::{Exe, Pointer, Task};

/// By process id.
#[map]
static DESCENDANTS: HashMap<u32, Descendant> = HashMap::with_max_entries(MAX_DESCENDANTS, NO_PREALLOC);

/// The kernel's one function for new credentials. What it is called for by an exec is left to the exec hook.
#[fexit]
fn fexit_commit_creds(ctx: FExitContext) -> u32 {
    report(&ctx, after_commit(ctx.tgid()))
}

/// The same, where the kernel cannot do the above.
#[kretprobe]
fn kretprobe_commit_creds(ctx: RetProbeContext) -> u32 {
    report(&ctx, after_commit(ctx.tgid()))
}

/// Where there is neither: the system calls that change user ids, beside `setresuid`, which has a hook already.
#[tracepoint]
fn exit_setuid(ctx: TracePointContext) -> u32 {
    report(&ctx, after_call(ctx.tgid()))
}

/// A system call that has a hook of its own only because [`exit_setuid`] is not for it.
#[fexit]
fn fexit_setreuid(ctx: FExitContext) -> u32 {
    report(&ctx, after_call(ctx.tgid()))
}

/// See [`fexit_setreuid`].
#[kretprobe]
fn kretprobe_setreuid(ctx: RetProbeContext) -> u32 {
    report(&ctx, after_call(ctx.tgid()))
}

/// See [`fexit_setreuid`].
#[tracepoint]
fn exit_setreuid(ctx: TracePointContext) -> u32 {
    report(&ctx, after_call(ctx.tgid()))
}

#[inline(always)]
fn after_commit(tgid: u32) -> Result<(), Error> {
    let Some(process) = find(tgid) else {
        return Ok(());
    };
    let task = Task::current();
    let mut name = [0; NAME_LEN];
    task.exe()?.copy_name(&mut name)?;
    if name != process.name {
        return Ok(()); // in the middle of an exec
    }
    look(task, process)
}

/// After a system call that may have changed user ids of the current process.
#[inline(always)]
pub(crate) fn after_call(tgid: u32) -> Result<(), Error> {
    match find(tgid) {
        Some(process) => look(Task::current(), process),
        None => Ok(()),
    }
}

/// A process of a server set its user ids: one that became a user for good is the root of its descendants.
#[inline(always)]
pub(crate) fn after_call_of_sshd(task: Task, tgid: u32, ids: UserIds) -> Result<(), Error> {
    if let Some(process) = find(tgid) {
        return look(task, process);
    }
    if ids == UserIds::all(0) || ids != UserIds::all(ids.ruid) {
        return Ok(());
    }
    let mut name = [0; NAME_LEN];
    task.exe()?.copy_name(&mut name)?;
    insert(tgid, &Descendant::root(tgid, task.start_boot_ns()?, ids.ruid, name))
}

/// A process left the image of a door. Where no root was seen before it, it is one.
#[inline(always)]
pub(crate) fn leave(
    task: Task,
    tgid: u32,
    exe: Exe,
    name: &[u8; NAME_LEN],
    path: Pointer,
) -> Result<(), Error> {
    if !is_descendant(tgid) {
        let [uid, _, _] = task.user_ids()?;
        insert(tgid, &Descendant::root(tgid, task.start_boot_ns()?, uid, *name))?;
    }
    after_exec(task, tgid, exe, name, path)
}

/// A process began to execute a program that is no door.
#[inline(always)]
pub(crate) fn after_exec(
    task: Task,
    tgid: u32,
    exe: Exe,
    name: &[u8; NAME_LEN],
    path: Pointer,
) -> Result<(), Error> {
    let Some(process) = find(tgid) else {
        return Ok(());
    };
    let ids = user_ids(task)?;
    let (owner, mode) = exe.inode()?;
    let gained = process.executes(ids, owner, u32::from(mode));
    let result = match gained {
        Some((gain, true)) => tell(task, process, gain, name, Some(path)),
        Some((gain, false)) => tell(task, process, gain, &process.name, None),
        None => Ok(()),
    };
    process.name = *name;
    result
}

/// A process forked another one.
#[inline(always)]
pub(crate) fn after_fork(tgid: u32, parent: Task, child_tgid: u32) -> Result<(), Error> {
    let Some(process) = find(tgid) else {
        return Ok(());
    };
    look(parent, process)?;
    insert(child_tgid, process)
}

/// A thread ended; with the last one, the process did.
#[inline(always)]
pub(crate) fn at_exit(tgid: u32, task: Task) -> Result<(), Error> {
    let Some(process) = find(tgid) else {
        return Ok(());
    };
    let result = look(task, process);
    if task.is_last_thread()? {
        forget(tgid);
    }
    result
}

/// A process is no descendant any more.
#[inline(always)]
pub(crate) fn forget(tgid: u32) {
    // It fails only where the process was none.
    DESCENDANTS.remove(tgid).ok();
}

#[inline(always)]
pub(crate) fn is_descendant(tgid: u32) -> bool {
    DESCENDANTS.get_ptr(tgid).is_some()
}

#[inline(always)]
fn look(task: Task, process: &mut Descendant) -> Result<(), Error> {
    match process.has_now(user_ids(task)?) {
        Some(gain) => tell(task, process, gain, &process.name, None),
        None => Ok(()),
    }
}

#[inline(always)]
fn tell(
    task: Task,
    process: &Descendant,
    gain: Gain,
    name: &[u8; NAME_LEN],
    path: Option<Pointer>,
) -> Result<(), Error> {
    let header = task.header(Kind::Escalated)?;
    emit::record(|record: &mut Escalated| {
        record.header = header;
        record.root_start_boot_ns = process.root_start_boot_ns;
        record.root_tgid = process.root_tgid;
        record.from_uid = gain.from;
        record.to_uid = gain.to;
        record.is_granted = u32::from(gain.is_granted);
        record.name = *name;
        if let Some(path) = path {
            path.copy_text(&mut record.path);
        }
    })
}

#[inline(always)]
fn user_ids(task: Task) -> Result<UserIds, Error> {
    let [ruid, euid, suid] = task.user_ids()?;
    Ok(UserIds { ruid, euid, suid })
}

#[inline(always)]
fn find(tgid: u32) -> Option<&'static mut Descendant> {
    let process = DESCENDANTS.get_ptr_mut(tgid)?;
    // SAFETY: the entry is valid while the program runs. Threads of the process that change it at the same time can at
    // worst cause a gain to be told twice.
    Some(unsafe { &mut *process })
}

#[inline(always)]
fn insert(tgid: u32, process: &Descendant) -> Result<(), Error> {
    DESCENDANTS.insert(tgid, process, 0).map_err(|_| Error::Lost(Loss::ProcessTableFull))
}
