//! What ssh servers tell the system log: syslog(3) sends each line as one datagram that begins with `<PRI>`.
//!
//! Only lines of processes that are followed and run as real uid 0 are reported: what the unprivileged child has to say
//! is said by the monitor, and what a process of the user says is worth nothing. Lines for debugging are left out: there
//! may be hundreds for each login.
//!
//! The loader attaches one of four programs, as for credentials.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::macros::{fentry, kprobe, tracepoint};
use aya_ebpf::programs::{FEntryContext, ProbeContext, TracePointContext};
use tracer_ebpf::{Door, Kind, LogLine};

use crate::error::{Error, Structure, report};
use crate::probes::{record, socket};
use crate::task::{Task, call_arguments, copy_user_bytes, offset};
use crate::{emit, maps};

/// `LOG_DEBUG` of syslog(3): the lowest three bits of a priority are its severity.
const SEVERITY: u8 = 7;
const DEBUG: u8 = 7;

/// Where the bytes are that are sent, and how many.
type Buffer = (*const u8, usize);

/// On the kernel's function behind `sendto` and `send`: descriptor, buffer, length, ...
#[fentry]
fn fentry_sendto(ctx: FEntryContext) -> u32 {
    report(&ctx, try_sendto(ctx.tgid(), || Ok((ctx.arg(1), ctx.arg(2)))))
}

/// On the same function, where the kernel cannot do the above.
#[kprobe]
fn kprobe_sendto(ctx: ProbeContext) -> u32 {
    let missing = Error::Read(Structure::Record);
    let buffer = || Ok((ctx.arg(1).ok_or(missing)?, ctx.arg(2).ok_or(missing)?));
    report(&ctx, try_sendto(ctx.tgid(), buffer))
}

/// When the call returns, and the caller's registers still say what was sent. Where tracepoints are needed at all, there are
/// others at the exits of calls; one at an entry makes the entry of every call of every process slower as well.
#[tracepoint]
fn exit_sendto(ctx: TracePointContext) -> u32 {
    let buffer = || call_arguments().map(|[from, length]| (from as *const u8, length));
    report(&ctx, try_sendto(ctx.tgid(), buffer))
}

/// When the call begins, where the kernel does not give the registers.
#[tracepoint]
fn enter_sendto(ctx: TracePointContext) -> u32 {
    let buffer = || {
        Ok((
            record::field(&ctx, offset!(enter_sendto_buff))?,
            record::field(&ctx, offset!(enter_sendto_len))?,
        ))
    };
    report(&ctx, try_sendto(ctx.tgid(), buffer))
}

#[inline(always)]
fn try_sendto(tgid: u32, buffer: impl FnOnce() -> Result<Buffer, Error>) -> Result<(), Error> {
    if !maps::is_of_server(tgid) {
        return Ok(());
    }
    let (from, length) = buffer()?;
    // SAFETY: the helper checks the address; any bytes are a valid array.
    let beginning: [u8; 5] =
        unsafe { bpf_probe_read_user(from.cast()) }.map_err(|_| Error::Read(Structure::Memory))?;
    if !is_log_line(beginning) {
        return Ok(());
    }
    let task = Task::current();
    if task.user_ids()?[0] != 0 {
        return Ok(());
    }
    if maps::is_of(tgid, Door::Dropbear) {
        // It speaks of its connection before it forks or sets any timer, and it may do neither.
        socket::report_once(task, tgid)?;
    }
    let header = task.header(Kind::LogLine)?;
    emit::record(|record: &mut LogLine| {
        record.header = header;
        copy_user_bytes(from, length, &mut record.text);
    })
}

/// `<PRI>` with a number of one to three digits that is not for debugging.
#[inline(always)]
fn is_log_line([open, a, b, c, d]: [u8; 5]) -> bool {
    let severity = if b == b'>' {
        a.wrapping_sub(b'0')
    } else if c == b'>' {
        a.wrapping_sub(b'0').wrapping_mul(10).wrapping_add(b.wrapping_sub(b'0'))
    } else if d == b'>' {
        let tens = a.wrapping_sub(b'0').wrapping_mul(10).wrapping_add(b.wrapping_sub(b'0'));
        tens.wrapping_mul(10).wrapping_add(c.wrapping_sub(b'0'))
    } else {
        return false;
    };
    open == b'<' && severity & SEVERITY != DEBUG
}
