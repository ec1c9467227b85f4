//! The real-time timer: sshd's monitor arms it for `LoginGraceTime` and disarms it when the user is in.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{btf_tracepoint, tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, TracePointContext};
use tracer_ebpf::{Door, Kind, TimerDisarmed};

use crate::error::{Error, Structure, report};
use crate::probes::{record, socket};
use crate::task::{Pointer, Task, offset};
use crate::{emit, maps};

/// `ITIMER_REAL` of `setitimer(2)`; `alarm(2)` sets the same timer.
const ITIMER_REAL: i32 = 0;

/// Arguments: which timer, the `itimerspec64` it is set to, when it expires. Runs in the process that sets it.
#[btf_tracepoint(function = "itimer_state")]
fn timer_state(ctx: BtfTracePointContext) -> u32 {
    let value = Pointer(ctx.arg(1));
    let seconds = || value.read(offset!(itimerspec_value_sec), Structure::TimerValue);
    let nanoseconds = || value.read(offset!(itimerspec_value_nsec), Structure::TimerValue);
    report(&ctx, try_timer_state(ctx.tgid(), ctx.arg(0), seconds, nanoseconds))
}

/// The same by the record of the classic tracepoint.
#[tracepoint]
fn classic_timer(ctx: TracePointContext) -> u32 {
    report(&ctx, try_classic_timer(&ctx))
}

#[inline(always)]
fn try_classic_timer(ctx: &TracePointContext) -> Result<(), Error> {
    let which = record::field(ctx, offset!(itimer_which))?;
    let seconds = || record::field(ctx, offset!(itimer_value_sec));
    let nanoseconds = || record::field(ctx, offset!(itimer_value_nsec));
    try_timer_state(ctx.tgid(), which, seconds, nanoseconds)
}

#[inline(always)]
fn try_timer_state(
    tgid: u32,
    which: i32,
    seconds: impl FnOnce() -> Result<i64, Error>,
    nanoseconds: impl FnOnce() -> Result<i64, Error>,
) -> Result<(), Error> {
    if which != ITIMER_REAL || !maps::is_of(tgid, Door::Ssh) || seconds()? != 0 || nanoseconds()? != 0 {
        return Ok(());
    }
    let task = Task::current();
    socket::report_once(task, tgid)?;
    let header = task.header(Kind::TimerDisarmed)?;
    emit::record(|record: &mut TimerDisarmed| {
        record.header = header;
        // A title that cannot be read stays empty: the login is reported all the same.
        task.copy_title(&mut record.title).ok();
    })
}
