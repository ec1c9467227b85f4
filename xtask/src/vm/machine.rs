//! The kinds of machines that are emulated: this one's, and arm64.

/// How a kind of machine is called, and how it is emulated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// As Rust calls it.
    pub(super) arch: &'static str,
    /// As Debian calls it.
    pub(super) debian: &'static str,
    pub(super) emulator: &'static str,
    /// What the names of its compiler and of the tools beside it begin with.
    pub(super) toolchain: &'static str,
    /// What makes the emulator such a machine.
    pub(super) arguments: &'static [&'static str],
    /// Where the kernel's messages go, and where the guest's own words go, as the guest calls its serial ports.
    pub(super) console: &'static str,
    pub(super) voice: &'static str,
    /// What gives it a second serial port, which is the emulator's own input and output.
    pub(super) second_port: &'static [&'static str],
}

/// Everything that the emulator knows but `cmpxchg16b`: QEMU 7.2 now and then leaves nonsense in the flags after it, and
/// Linux 6.12, which allocates memory with it, dies of that within minutes. Nor is it said to be quick with strings of bytes: each
/// byte is an instruction of its own here, so a kernel that believes it clears pages eight times as slowly as with words.
pub(super) const AMD64: Machine = Machine {
    arch: "x86_64",
    debian: "amd64",
    emulator: "qemu-system-x86_64",
    toolchain: "",
    arguments: &["-cpu", "max,-cx16,-erms,-fsrm"],
    console: "ttyS0",
    voice: "ttyS1",
    second_port: &["-serial", "stdio"],
};

/// A processor of 2015: signing pointers, which newer ones do, takes an emulator six times as long.
pub(super) const ARM64: Machine = Machine {
    arch: "aarch64",
    debian: "arm64",
    emulator: "qemu-system-aarch64",
    toolchain: "aarch64-linux-gnu-",
    arguments: &["-M", "virt", "-cpu", "cortex-a72"],
    console: "ttyAMA0",
    voice: "ttyS0",
    second_port: &["-chardev", "stdio,id=voice", "-device", "pci-serial,chardev=voice"],
};

impl Machine {
    /// Whether this machine can run its programs by itself.
    pub(super) fn is_ours(&self) -> bool {
        self.arch == std::env::consts::ARCH
    }

    /// Rust's name for what is built.
    pub(super) fn target(&self) -> String {
        format!("{}-unknown-linux-gnu", self.arch)
    }
}
