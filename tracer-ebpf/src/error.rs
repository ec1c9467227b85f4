//! What can fail in a program, and how it is told.

use aya_ebpf::EbpfContext;
use aya_log_ebpf::debug;
use tracer_ebpf::Loss;

use crate::maps;

/// Why a program could not report a fact.
#[derive(Clone, Copy)]
pub(crate) enum Error {
    /// Kernel memory could not be read.
    Read(Structure),
    /// A fact was lost for want of room.
    Lost(Loss),
}

/// What was being read. A number in the log: the verifier refuses errors that hold pointers.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Structure {
    Task = 1,
    Credentials = 2,
    Memory = 3,
    File = 4,
    DirectoryEntry = 5,
    Inode = 6,
    FileTable = 7,
    Socket = 8,
    Signal = 9,
    Program = 10,
    TimerValue = 11,
    Record = 12,
    Registers = 13,
}

/// The one end of every program: counts losses, tells them on the program's own log.
#[inline(always)]
pub(crate) fn report<C: EbpfContext>(ctx: &C, result: Result<(), Error>) -> u32 {
    match result {
        Ok(()) => {}
        Err(Error::Read(what)) => debug!(ctx, "cannot read structure {}", what as u32),
        Err(Error::Lost(loss)) => {
            maps::count_loss(loss);
            // One line for each would be a storm of its own; the loader tells the count.
            debug!(ctx, "lost a fact, counter {}", loss as u32);
        }
    }
    0
}
