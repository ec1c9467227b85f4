//! The records of classic tracepoints: what a program there gets instead of arguments. Where the fields are, the loader
//! has read in the tracepoint's `format` file.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::programs::TracePointContext;

use crate::error::{Error, Structure};
use crate::task::Pointer;

/// The field at an offset, an integer of the size that `format` says.
#[inline(always)]
pub(crate) fn field<T>(ctx: &TracePointContext, at: usize) -> Result<T, Error> {
    // SAFETY: the helper checks the address; `T` is an integer in every call, valid for any bytes.
    unsafe { ctx.read_at(at) }.map_err(|_| Error::Read(Structure::Record))
}

/// A text in the record, by the field that says where it is (`__data_loc`): offset in the lower 16 bits.
#[inline(always)]
pub(crate) fn text(ctx: &TracePointContext, at: usize) -> Result<Pointer, Error> {
    let location: u32 = field(ctx, at)?;
    Ok(Pointer(ctx.as_ptr().cast::<u8>().wrapping_add((location & 0xffff) as usize)))
}
