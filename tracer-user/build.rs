//! Hands the path of the kernel programs to the compiler, for embedding: `env!("TRACER_PROBES")`.

use std::path::Path;

fn main() {
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target/bpf/tracer-probes");
    println!("cargo::rerun-if-changed={}", object.display());
    if object.is_file() {
        println!("cargo::rustc-env=TRACER_PROBES={}", object.display());
    } else {
        println!("cargo::error=the kernel programs are not built yet; run `cargo xtask build-ebpf`");
    }
}
