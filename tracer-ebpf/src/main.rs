//! The kernel programs: a table of contents.
//!
//! Each file in `probes` watches one thing and reports facts about processes of the sshd tree through [`emit`]. Every
//! probe has the same shape: a program function that calls `try_…`, whose `Result` ends in [`error::report`].

#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod emit; // facts -> ring buffer, counting what is lost
#[cfg(target_arch = "bpf")]
mod error; // what can fail, and how it is told
#[cfg(target_arch = "bpf")]
mod maps; // the processes that are followed
#[cfg(target_arch = "bpf")]
mod probes;
#[cfg(target_arch = "bpf")]
mod task; // reading the kernel's structures

#[cfg(target_arch = "bpf")]
#[unsafe(no_mangle)]
static CONTRACT: aya_ebpf::Global<u32> = aya_ebpf::Global::new(tracer_ebpf::CONTRACT_VERSION);

/// The helpers that the programs need are for GPL-compatible programs only.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program in which a panic can be reached, so this is never linked in.
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {
    // Built for the host only by `cargo check --workspace`; the real thing is built by `cargo xtask build-ebpf`.
}
