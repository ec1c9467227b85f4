//! Credentials: the process that runs the protocol for a user becomes that user by `setresuid(U, U, U)`.
//!
//! The system call's exit is used, not its entry: the call has succeeded, and the ids are those of the task. For root
//! the kernel may change nothing, but the call is made all the same.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use tracer_ebpf::{Credentials, Kind};

use crate::error::{Error, Structure, report};
use crate::task::{Task, offset};
use crate::{emit, maps};

#[tracepoint]
fn exit_setresuid(ctx: TracePointContext) -> u32 {
    report(&ctx, try_exit_setresuid(&ctx))
}

fn try_exit_setresuid(ctx: &TracePointContext) -> Result<(), Error> {
    if !maps::is_followed(ctx.tgid()) {
        return Ok(());
    }
    let at = offset!(exit_setresuid_ret);
    // SAFETY: the record of the tracepoint is at least as long as its last field, whose offset this is.
    let result: i64 = unsafe { ctx.read_at(at) }.map_err(|_| Error::Read(Structure::SystemCall))?;
    if result != 0 {
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
    })
}
