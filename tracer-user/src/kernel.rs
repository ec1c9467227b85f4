//! From the running kernel to events: resolve offsets, load and attach the programs, decode what they report.

/// What this kernel offers, for `login-tracer check`. Reading it attaches nothing and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// As `uname -r` says.
    pub release: String,
    /// As `uname -m` says.
    pub machine: String,
    /// What is needed, each with its state.
    pub requirements: Vec<Requirement>,
}

/// One thing that tracing needs or profits from: BTF, the ring buffer, a hook, a privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Short name, such as `process hooks`.
    pub name: &'static str,
    pub state: RequirementState,
    /// What was found: the tier in use, the file that was read.
    pub found: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequirementState {
    Good,
    /// Works, with a detail lost; what is lost and what brings it back.
    Degraded {
        lost: String,
        fix: String,
    },
    /// Nothing can be traced; why, and what to do.
    Missing {
        why: String,
        fix: String,
    },
}

/// (in the making)
pub fn survey() -> Survey {
    Survey { release: String::new(), machine: String::new(), requirements: Vec::new() }
}
