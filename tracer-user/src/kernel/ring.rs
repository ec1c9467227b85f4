//! Reading a ring buffer without taking anything out of it.
//!
//! A record that was read stays in the kernel until [`Ring::release`] gives its place back: whoever is killed before that
//! finds it again. Positions count bytes since the ring was created and never turn back, so that a reader can say later
//! how far it was. The layout is that of `kernel/bpf/ringbuf.c`: a page that the reader writes, a page that the kernel
//! writes, and the data, mapped twice in a row so that no record is torn at the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use aya::maps::{MapData, MapError};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

/// `BPF_RINGBUF_BUSY_BIT`, `BPF_RINGBUF_DISCARD_BIT` and `BPF_RINGBUF_HDR_SZ` of `include/uapi/linux/bpf.h`.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER: usize = 8;

/// One reader of a ring buffer. There must be no other one at the same time.
#[derive(Debug)]
pub(super) struct Ring {
    map: MapData,
    /// How far the reader has given places back: the first word of the page.
    consumer: Mapping,
    /// How far the kernel has written (the first word of the first page), and the data.
    producer: Mapping,
    /// A power of two.
    size: usize,
    /// Of the next record to be read.
    position: usize,
}

impl Ring {
    /// Begins at the first record that was not given back.
    pub(super) fn open(map: MapData) -> io::Result<Self> {
        let size = map.info().map_err(system_error)?.max_entries() as usize;
        if !size.is_power_of_two() {
            return Err(io::Error::other(format!("a ring buffer of {size} bytes")));
        }
        let page = page_size();
        let consumer = Mapping::new(map.fd().as_fd(), 0, page, ProtFlags::READ | ProtFlags::WRITE)?;
        let producer = Mapping::new(map.fd().as_fd(), page, page + 2 * size, ProtFlags::READ)?;
        let position = consumer.word().load(Ordering::Acquire);
        Ok(Self { map, consumer, producer, size, position })
    }

    /// Of the next record to be read.
    pub(super) fn position(&self) -> u64 {
        self.position as u64
    }

    /// Goes on where an earlier reader was. Says whether the ring knows that position; if not, nothing changes.
    pub(super) fn resume_at(&mut self, position: u64) -> bool {
        let Ok(position) = usize::try_from(position) else { return false };
        let written = self.producer.word().load(Ordering::Acquire);
        let kept = written.wrapping_sub(self.consumer.word().load(Ordering::Acquire));
        let is_known = written.wrapping_sub(position) <= kept && position.is_multiple_of(HEADER);
        if is_known {
            self.position = position;
        }
        is_known
    }

    /// The next record; `None` when all that is complete was read.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            if self.position == self.producer.word().load(Ordering::Acquire) {
                return None;
            }
            let start = page_size() + (self.position & (self.size - 1));
            let header = self.producer.atomic_u32(start)?.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return None;
            }
            let length = (header & !DISCARDED) as usize;
            self.position = self.position.wrapping_add((HEADER + length).next_multiple_of(HEADER));
            if header & DISCARDED == 0 {
                return self.producer.bytes(start + HEADER, length);
            }
        }
    }

    /// Gives the places of all records that were read back to the kernel.
    pub(super) fn release(&mut self) {
        self.consumer.word().store(self.position, Ordering::Release);
    }

    /// Bytes that were read and not given back.
    pub(super) fn held_bytes(&self) -> usize {
        self.position.wrapping_sub(self.consumer.word().load(Ordering::Relaxed))
    }

    /// Bytes of data that fit.
    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl AsFd for Ring {
    /// Becomes readable anew with each record.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

fn system_error(error: MapError) -> io::Error {
    io::Error::other(error)
}

/// Memory that is shared with the kernel.
#[derive(Debug)]
struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to no thread; it is only read, or written through atomics.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `length` is at least one page.
    fn new(map: BorrowedFd<'_>, offset: usize, length: usize, protection: ProtFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the kernel chooses; it overlaps nothing.
        let address = unsafe { mmap(null_mut(), length, protection, MapFlags::SHARED, map, offset as u64) }?;
        let address = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { address, length })
    }

    /// The first word: a position.
    fn word(&self) -> &AtomicUsize {
        // SAFETY: the mapping is page-aligned, at least a page long, and lives as long as `self`; the kernel accesses the
        // word atomically.
        unsafe { self.address.cast::<AtomicUsize>().as_ref() }
    }

    /// The word at an offset that is a multiple of 4; `None` outside of the mapping.
    fn atomic_u32(&self, offset: usize) -> Option<&AtomicU32> {
        if offset + size_of::<u32>() > self.length || !offset.is_multiple_of(size_of::<u32>()) {
            return None;
        }
        // SAFETY: within the mapping and aligned, both checked above; the kernel accesses it atomically.
        Some(unsafe { self.address.add(offset).cast::<AtomicU32>().as_ref() })
    }

    /// Bytes of a complete record; `None` outside of the mapping.
    fn bytes(&self, offset: usize, length: usize) -> Option<&[u8]> {
        if offset.checked_add(length)? > self.length {
            return None;
        }
        // SAFETY: within the mapping, checked above. The kernel does not write to a record between its completion, which
        // the caller has seen, and its release, which needs `&mut` of the ring that the slice borrows from.
        Some(unsafe { std::slice::from_raw_parts(self.address.add(offset).as_ptr(), length) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nothing borrows from it any more.
        if let Err(error) = unsafe { munmap(self.address.as_ptr().cast(), self.length) } {
            tracing::debug!(%error, "a mapping stays");
        }
    }
}
