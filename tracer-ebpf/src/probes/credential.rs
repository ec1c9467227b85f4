//! Credentials: the process that runs the protocol for a user becomes that user by `setresuid(U, U, U)`.
//!
//! The system call's exit is used, not its entry: the call has succeeded, and the ids are those of the task. For root
//! the kernel may change nothing, but the call is made all the same.
//!
//! The loader attaches one of three programs, the first that the kernel takes. The last one only where nothing else is
//! left: a tracepoint on any system call makes the kernel take the slow path of every system call of every process.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{fexit, kretprobe, tracepoint};
use aya_ebpf::programs::{FExitContext, RetProbeContext, TracePointContext};
use tracer_ebpf::descendant::UserIds;
use tracer_ebpf::{Credentials, Door, Kind};

use crate::error::{Error, report};
use crate::probes::{descendants, record};
use crate::task::{Task, offset};
use crate::{emit, maps};

/// On the system call's own function, whose one argument are the caller's registers.
#[fexit]
fn fexit_setresuid(ctx: FExitContext) -> u32 {
    // What follows the arguments is the result.
    report(&ctx, try_setresuid(ctx.tgid(), || Ok(ctx.arg(1))))
}

/// On the same function, where the kernel cannot do the above.
#[kretprobe]
fn kretprobe_setresuid(ctx: RetProbeContext) -> u32 {
    report(&ctx, try_setresuid(ctx.tgid(), || Ok(ctx.ret())))
}

#[tracepoint]
fn exit_setresuid(ctx: TracePointContext) -> u32 {
    report(&ctx, try_setresuid(ctx.tgid(), || record::field(&ctx, offset!(exit_setresuid_ret))))
}

#[inline(always)]
fn try_setresuid(tgid: u32, result: impl FnOnce() -> Result<i64, Error>) -> Result<(), Error> {
    if !maps::is_followed(tgid) {
        return descendants::after_call(tgid);
    }
    // The others do it otherwise, or so often that it says little; what they execute tells.
    if !maps::is_of(tgid, Door::Ssh) || result()? != 0 {
        return Ok(());
    }
    let task = Task::current();
    let header = task.header(Kind::Credentials)?;
    let [ruid, euid, suid] = task.user_ids()?;
    emit::record(|record: &mut Credentials| {
        record.header = header;
        record.ruid = ruid;
        record.euid = euid;
        record.suid = suid;
    })?;
    descendants::after_call_of_sshd(task, tgid, UserIds { ruid, euid, suid })
}
