//! The maps, private behind verbs: which processes are followed, and how many facts were lost.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray};
use tracer_ebpf::{LOSS_COUNTERS, Loss, MAX_PROCESSES};

use crate::error::Error;

/// `BPF_F_NO_PREALLOC`: memory only for processes that exist.
pub(crate) const NO_PREALLOC: u32 = 1;

/// The processes that execute an sshd image, by process id. The value says what was reported of it.
#[map]
static PROCESSES: HashMap<u32, u32> = HashMap::with_max_entries(MAX_PROCESSES, NO_PREALLOC);

#[map]
static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOSS_COUNTERS, 0);

/// `BPF_EXIST`: change an entry, add none.
const EXISTING: u64 = 2;

/// Nothing was reported yet.
const FRESH: u32 = 0;
/// Its connection was reported.
const SOCKET_REPORTED: u32 = 1;

pub(crate) fn is_followed(tgid: u32) -> bool {
    PROCESSES.get_ptr(tgid).is_some()
}

/// Follows a process from now on; what was reported of it before is forgotten.
pub(crate) fn follow(tgid: u32) -> Result<(), Error> {
    PROCESSES.insert(tgid, FRESH, 0).map_err(|_| Error::Lost(Loss::ProcessTableFull))
}

pub(crate) fn forget(tgid: u32) {
    // It fails only where the process was not followed.
    PROCESSES.remove(tgid).ok();
}

pub(crate) fn is_socket_reported(tgid: u32) -> bool {
    // SAFETY: the value is one aligned word, read once; nothing depends on it being current.
    unsafe { PROCESSES.get(tgid) }.is_none_or(|state| *state == SOCKET_REPORTED)
}

pub(crate) fn set_socket_reported(tgid: u32) {
    // It fails only where the process has ended meanwhile.
    PROCESSES.insert(tgid, SOCKET_REPORTED, EXISTING).ok();
}

pub(crate) fn count_loss(loss: Loss) {
    if let Some(counter) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: the pointer is this CPU's own counter, valid while the program runs and not preempted by
        // another writer of the same counter; a lost increment would only lower the count.
        unsafe { *counter += 1 };
    }
}
