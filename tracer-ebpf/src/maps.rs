//! The maps, private behind verbs: which processes are followed, and how many facts were lost.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray};
use tracer_ebpf::{Door, LOSS_COUNTERS, Loss, MAX_PROCESSES};

use crate::error::Error;

/// `BPF_F_NO_PREALLOC`: memory only for processes that exist.
pub(crate) const NO_PREALLOC: u32 = 1;

/// The processes that execute the image of a door, by process id. The value says of which, and what was reported of it.
#[map]
static PROCESSES: HashMap<u32, u32> = HashMap::with_max_entries(MAX_PROCESSES, NO_PREALLOC);

#[map]
static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOSS_COUNTERS, 0);

/// `BPF_EXIST`: change an entry, add none.
const EXISTING: u64 = 2;

/// Its connection was reported. The other bits are those of its [`Door`].
const SOCKET_REPORTED: u32 = 1 << 31;

pub(crate) fn is_followed(tgid: u32) -> bool {
    PROCESSES.get_ptr(tgid).is_some()
}

/// Whether it is followed as a process of this door.
#[inline(always)]
pub(crate) fn is_of(tgid: u32, door: Door) -> bool {
    door.is_among(state(tgid))
}

/// Whether it is followed and serves the network.
#[inline(always)]
pub(crate) fn is_of_server(tgid: u32) -> bool {
    state(tgid) & (Door::Ssh as u32 | Door::Dropbear as u32) != 0
}

/// Follows a process from now on; what was reported of it before is forgotten.
pub(crate) fn follow(tgid: u32, door: Door) -> Result<(), Error> {
    insert(tgid, door as u32)
}

/// Follows a new process as one of its parent's door.
#[inline(always)]
pub(crate) fn follow_child(tgid: u32, parent_tgid: u32) -> Result<(), Error> {
    insert(tgid, state(parent_tgid) & !SOCKET_REPORTED)
}

#[inline(always)]
fn insert(tgid: u32, state: u32) -> Result<(), Error> {
    PROCESSES.insert(tgid, state, 0).map_err(|_| Error::Lost(Loss::ProcessTableFull))
}

/// No bit is set where the process is not followed.
#[inline(always)]
fn state(tgid: u32) -> u32 {
    // SAFETY: the value is one aligned word, read once; nothing depends on it being current.
    unsafe { PROCESSES.get(tgid) }.map_or(0, |state| *state)
}

pub(crate) fn forget(tgid: u32) {
    // It fails only where the process was not followed.
    PROCESSES.remove(tgid).ok();
}

pub(crate) fn is_socket_reported(tgid: u32) -> bool {
    // Who is at a terminal of this host has no connection.
    !is_of_server(tgid) || state(tgid) & SOCKET_REPORTED != 0
}

pub(crate) fn set_socket_reported(tgid: u32) {
    // It fails only where the process has ended meanwhile.
    PROCESSES.insert(tgid, state(tgid) | SOCKET_REPORTED, EXISTING).ok();
}

pub(crate) fn count_loss(loss: Loss) {
    if let Some(counter) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: the pointer is this CPU's own counter, valid while the program runs and not preempted by
        // another writer of the same counter; a lost increment would only lower the count.
        unsafe { *counter += 1 };
    }
}
