//! The tiers of hooks that the suite is run on: what the configuration says to force them.

/// One way of attaching the programs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tier {
    pub(super) name: &'static str,
    /// Keys of the section `[trace]`.
    pub(super) keys: &'static [&'static str],
}

pub(super) const TIERS: [Tier; 4] = [
    Tier {
        name: "fentry",
        keys: &["hooks = \"fentry\"", "process_hooks = \"btf\"", "syscall_tracepoints = \"never\""],
    },
    Tier {
        name: "kprobe",
        keys: &["hooks = \"kprobe\"", "process_hooks = \"btf\"", "syscall_tracepoints = \"never\""],
    },
    Tier { name: "tracepoint", keys: &["hooks = \"tracepoint\"", "process_hooks = \"btf\""] },
    Tier { name: "classic", keys: &["hooks = \"auto\"", "process_hooks = \"classic\""] },
];

pub(super) fn named(name: &str) -> Option<&'static Tier> {
    TIERS.iter().find(|tier| tier.name == name)
}

pub(super) fn names() -> String {
    TIERS.map(|tier| tier.name).join(", ")
}
