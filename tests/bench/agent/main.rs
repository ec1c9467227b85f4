//! The kernel side of an agent as others are built: it learns what sessions do from programs on the system calls `read`,
//! `write` and `openat`, of every process on the machine. For `cargo xtask bench` to compare the tracer with.
//!
//! This is the least that such an agent costs everybody else: each program looks up whether the process is one of those
//! that are followed, none is, and that is all.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::helpers::bpf_get_current_pid_tgid;
    use aya_ebpf::macros::{map, tracepoint};
    use aya_ebpf::maps::HashMap;
    use aya_ebpf::programs::TracePointContext;

    /// The processes of sessions. Nobody puts any in: what is measured is everybody else.
    #[map]
    static FOLLOWED: HashMap<u32, u32> = HashMap::with_max_entries(1024, 0);
    /// Threads of theirs that are reading: what was read is known when the call returns.
    #[map]
    static READING: HashMap<u64, u32> = HashMap::with_max_entries(1024, 0);

    #[tracepoint]
    fn enter_read(_: TracePointContext) -> u32 {
        if is_followed() {
            // A full table costs this agent what was read.
            READING.insert(bpf_get_current_pid_tgid(), 1, 0).ok();
        }
        0
    }

    #[tracepoint]
    fn exit_read(_: TracePointContext) -> u32 {
        if READING.get_ptr(bpf_get_current_pid_tgid()).is_some() {
            // The entry is this thread's own.
            READING.remove(bpf_get_current_pid_tgid()).ok();
        }
        0
    }

    #[tracepoint]
    fn enter_write(_: TracePointContext) -> u32 {
        u32::from(is_followed())
    }

    #[tracepoint]
    fn enter_openat(_: TracePointContext) -> u32 {
        u32::from(is_followed())
    }

    /// What it costs the machine is the kernel's own part of any tracepoint on the exit of a system call.
    #[tracepoint]
    fn nothing(_: TracePointContext) -> u32 {
        0
    }

    #[inline(always)]
    fn is_followed() -> bool {
        FOLLOWED.get_ptr((bpf_get_current_pid_tgid() >> 32) as u32).is_some()
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // The verifier refuses a program in which a panic can be reached, so this is never linked in.
        loop {}
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {
    // Built for the host only by `cargo check --workspace --all-targets`.
}
