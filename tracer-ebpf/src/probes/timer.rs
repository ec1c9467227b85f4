//! The real-time timer: sshd's monitor arms it for `LoginGraceTime` and disarms it when the user is in.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tracer_ebpf::{Kind, TimerDisarmed};

use crate::error::{Error, Structure, report};
use crate::probes::socket;
use crate::task::{Pointer, Task, offset};
use crate::{emit, maps};

/// `ITIMER_REAL` of `setitimer(2)`; `alarm(2)` sets the same timer.
const ITIMER_REAL: i32 = 0;

/// Arguments: which timer, the `itimerspec64` it is set to, when it expires. Runs in the process that sets it.
#[btf_tracepoint(function = "itimer_state")]
fn timer_state(ctx: BtfTracePointContext) -> u32 {
    report(&ctx, try_timer_state(&ctx))
}

fn try_timer_state(ctx: &BtfTracePointContext) -> Result<(), Error> {
    let tgid = ctx.tgid();
    if ctx.arg::<i32>(0) != ITIMER_REAL || !maps::is_followed(tgid) {
        return Ok(());
    }
    let value = Pointer(ctx.arg(1));
    let seconds: i64 = value.read(offset!(itimerspec_value_sec), Structure::TimerValue)?;
    let nanoseconds: i64 = value.read(offset!(itimerspec_value_nsec), Structure::TimerValue)?;
    if seconds != 0 || nanoseconds != 0 {
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
