//! Processes: fork, exec and exit.
//!
//! A process is followed from the exec of a server's image by real uid 0, of login, su or sudo by whom these let in
//! ([`Door::may_let_in`]), or from its birth by a followed process, until it executes something else or ends. What it becomes then is followed as a descendant of its session ([`descendants`]).
//! Everything else on the machine costs two look-ups here: it is neither.
//!
//! Each hook has two programs, of which the loader attaches one: on the tracepoint with typed arguments, or on the classic
//! one. What the record of the latter does not hold is read from the task.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{btf_tracepoint, tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, TracePointContext};
use tracer_ebpf::{Door, Exec, Exit, Fork, Kind, Leave, NAME_LEN};

use crate::error::{Error, Structure, report};
use crate::probes::{descendants, record, socket};
use crate::task::{Exe, Pointer, Task, offset};
use crate::{emit, maps};

/// The doors that are watched, as bits; set by the loader before the programs start.
#[unsafe(no_mangle)]
static DOORS: aya_ebpf::Global<u32> = aya_ebpf::Global::new(0);

/// Arguments: the task, its pid before the exec, the `linux_binprm`.
#[btf_tracepoint(function = "sched_process_exec")]
fn process_exec(ctx: BtfTracePointContext) -> u32 {
    let path = || Pointer(ctx.arg(2)).follow(offset!(binprm_filename), Structure::Program);
    report(&ctx, try_exec(ctx.tgid(), Task::new(ctx.arg(0)), path))
}

#[tracepoint]
fn classic_exec(ctx: TracePointContext) -> u32 {
    let path = || record::text(&ctx, offset!(exec_filename));
    report(&ctx, try_exec(ctx.tgid(), Task::current(), path))
}

#[inline(always)]
fn try_exec(tgid: u32, task: Task, path: impl Fn() -> Result<Pointer, Error>) -> Result<(), Error> {
    let exe = task.exe()?;
    let mut name = [0; NAME_LEN];
    exe.copy_name(&mut name)?;
    let is_followed = maps::is_followed(tgid);
    if let Some(door) = Door::of(&name).filter(|door| door.is_among(DOORS.load())) {
        let [ruid, euid, _] = task.user_ids()?;
        let may_let_in = door.may_let_in(ruid, euid, task.has_tty());
        if door.is_server() {
            if may_let_in {
                descendants::forget(tgid);
                maps::follow(tgid, door)?;
                exec_of_door(task, Kind::Exec, exe, &name, path()?)?;
                // What serves a connection has it from its beginning.
                return socket::report_once(task, tgid);
            }
            exec_of_door(task, Kind::ForeignExec, exe, &name, path()?)?;
        } else if may_let_in && !is_followed && !descendants::is_descendant(tgid) {
            // Started inside of a session it would be a part of that.
            maps::follow(tgid, door)?;
            return exec_of_door(task, Kind::Exec, exe, &name, path()?);
        }
    }
    if is_followed {
        maps::forget(tgid);
        leave(task, path()?)?;
        return descendants::leave(task, tgid, exe, &name, path()?);
    }
    if descendants::is_descendant(tgid) {
        return descendants::after_exec(task, tgid, exe, &name, path()?);
    }
    Ok(())
}

#[inline(always)]
fn exec_of_door(task: Task, kind: Kind, exe: Exe, name: &[u8; NAME_LEN], path: Pointer) -> Result<(), Error> {
    let header = task.header(kind)?;
    let (owner_uid, mode) = exe.inode()?;
    emit::record(|record: &mut Exec| {
        record.header = header;
        record.owner_uid = owner_uid;
        record.mode = u32::from(mode);
        record.name = *name;
        // Without a terminal the field stays empty, and so it does where it cannot be read.
        task.copy_tty(&mut record.tty).ok();
        path.copy_text(&mut record.path);
    })
}

#[inline(always)]
fn leave(task: Task, path: Pointer) -> Result<(), Error> {
    let header = task.header(Kind::Leave)?;
    let [_, euid, suid] = task.user_ids()?;
    emit::record(|record: &mut Leave| {
        record.header = header;
        record.euid = euid;
        record.suid = suid;
        // As above.
        task.copy_tty(&mut record.tty).ok();
        path.copy_text(&mut record.path);
        // The program was put there a moment ago; what cannot be read stays empty.
        task.copy_arguments(&mut record.arguments).ok();
    })
}

/// Arguments: the parent task, the child task. Runs in the parent, before the child runs.
#[btf_tracepoint(function = "sched_process_fork")]
fn process_fork(ctx: BtfTracePointContext) -> u32 {
    report(&ctx, try_fork(ctx.tgid(), Task::new(ctx.arg(0)), |_| Ok(Task::new(ctx.arg(1)))))
}

/// The record names the child by its id alone; the child itself is the newest one of its parent.
#[tracepoint]
fn classic_fork(ctx: TracePointContext) -> u32 {
    let child = |parent: Task| parent.newest_child(record::field(&ctx, offset!(fork_child_pid))?);
    report(&ctx, try_fork(ctx.tgid(), Task::current(), child))
}

#[inline(always)]
fn try_fork(tgid: u32, parent: Task, child: impl FnOnce(Task) -> Result<Task, Error>) -> Result<(), Error> {
    let is_followed = maps::is_followed(tgid);
    if !is_followed && !descendants::is_descendant(tgid) {
        return Ok(());
    }
    let child = child(parent)?;
    let child_tgid = child.tgid()?;
    if child_tgid == tgid {
        return Ok(()); // a thread
    }
    let watched = descendants::after_fork(tgid, parent, child_tgid);
    if !is_followed {
        return watched;
    }
    maps::follow_child(child_tgid, tgid)?;
    let header = parent.header(Kind::Fork)?;
    let child_start_boot_ns = child.start_boot_ns()?;
    emit::record(|record: &mut Fork| {
        record.header = header;
        record.child_tgid = child_tgid;
        record.child_start_boot_ns = child_start_boot_ns;
    })?;
    socket::report_once(parent, tgid)?;
    watched
}

/// Arguments: the task. Runs in the task, before its parent can learn of it.
#[btf_tracepoint(function = "sched_process_exit")]
fn process_exit(ctx: BtfTracePointContext) -> u32 {
    report(&ctx, try_exit(ctx.tgid(), Task::new(ctx.arg(0))))
}

#[tracepoint]
fn classic_exit(ctx: TracePointContext) -> u32 {
    report(&ctx, try_exit(ctx.tgid(), Task::current()))
}

#[inline(always)]
fn try_exit(tgid: u32, task: Task) -> Result<(), Error> {
    let watched = descendants::at_exit(tgid, task);
    if !maps::is_followed(tgid) {
        return watched;
    }
    if !task.is_leader()? {
        return Ok(());
    }
    maps::forget(tgid);
    let header = task.header(Kind::Exit)?;
    let wait_status = task.wait_status()?;
    emit::record(|record: &mut Exit| {
        record.header = header;
        record.wait_status = wait_status;
    })
}
