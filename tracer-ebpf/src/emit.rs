//! The one way from a program to user space: reserve a record in the ring buffer, fill it in place, submit it.

use aya_ebpf::bindings::BPF_RB_FORCE_WAKEUP;
use aya_ebpf::macros::map;
use aya_ebpf::maps::RingBuf;
use tracer_ebpf::Loss;

use crate::error::Error;

/// The loader sets the size that is configured.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Reserves a record, zeroes it, has it filled, and submits it.
///
/// `T` is one of the contract's records: plain integers and byte arrays, for which all-zero bytes are valid.
#[inline(always)]
pub(crate) fn record<T: 'static>(fill: impl FnOnce(&mut T)) -> Result<(), Error> {
    let Some(mut entry) = EVENTS.reserve::<T>(0) else {
        return Err(Error::Lost(Loss::RingBufferFull));
    };
    // SAFETY: the entry is `size_of::<T>()` writable bytes, and zero bytes are a valid `T` (see above).
    let record = unsafe {
        entry.as_mut_ptr().write_bytes(0, 1);
        entry.assume_init_mut()
    };
    fill(record);
    // The loader keeps records until what they led to is on the disk. The kernel takes that for a reader who has not
    // caught up, and would not wake it.
    entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
    Ok(())
}
