//! Which variables a started program must not inherit.
//!
//! `cargo xtask` runs inside a cargo of its own, which describes the xtask package and the toolchain it uses in the
//! environment. Passed on, the first makes build scripts of dependencies run again and again, and the second mixes
//! two toolchains.

use std::process::Command;

/// What the BPF build keeps of cargo's settings: how to reach dependencies and how to talk to the terminal.
const KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

/// Removes what describes the xtask package; the toolchain and the target directory stay.
pub(crate) fn without_package(command: &mut Command) -> &mut Command {
    remove(command, describes_package)
}

/// Removes also everything that picks or steers a compiler.
pub(crate) fn without_toolchain(command: &mut Command) -> &mut Command {
    remove(command, |name| describes_package(name) || steers_compiler(name))
}

fn remove(command: &mut Command, unwanted: impl Fn(&str) -> bool) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(&unwanted) {
            command.env_remove(name);
        }
    }
    command
}

fn describes_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
}

fn steers_compiler(name: &str) -> bool {
    let steers = ["CARGO", "__CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_", "RUST_RECURSION_COUNT"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    steers && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_toolchain_does_not_leak_into_the_bpf_build() {
        for name in [
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_UNSTABLE_BUILD_STD",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "RUSTDOCFLAGS",
            "RUSTFLAGS",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
            "RUST_RECURSION_COUNT",
        ] {
            assert!(steers_compiler(name), "{name}");
        }
    }

    #[test]
    fn network_settings_and_the_programs_own_variables_stay() {
        for name in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_MIRROR_INDEX",
            "CARGO_TERM_COLOR",
            "RUST_LOG",
            "RUST_BACKTRACE",
        ] {
            assert!(!steers_compiler(name) && !describes_package(name), "{name}");
        }
    }

    #[test]
    fn a_host_build_keeps_its_toolchain_and_target_directory() {
        for name in ["CARGO", "CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"] {
            assert!(!describes_package(name), "{name}");
        }
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "OUT_DIR"] {
            assert!(describes_package(name), "{name}");
        }
    }
}
