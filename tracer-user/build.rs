//! Hands the path of the kernel programs to the compiler, for embedding: `env!("TRACER_PROBES")`.

use std::path::PathBuf;

fn main() {
    // Asked when it runs: checkouts that share a target directory share the compiled script.
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo tells build scripts where their package is");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo tells build scripts what they build for");
    let object = PathBuf::from(package).with_file_name("target/bpf").join(arch).join("tracer-probes");
    println!("cargo::rerun-if-changed={}", object.display());
    if object.is_file() {
        println!("cargo::rustc-env=TRACER_PROBES={}", object.display());
    } else {
        println!("cargo::error=the kernel programs are not built yet; run `cargo xtask build-ebpf`");
    }
}
