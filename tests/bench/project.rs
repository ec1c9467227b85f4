//! A small C project, to be built as people do: compiler, assembler and linker, a few processes for each file, and many
//! headers to read.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::processes::command;

/// Files of it.
const FILES: u32 = 8;
const FUNCTIONS: u32 = 30;

/// It lies in a folder of its own, in memory, so that the disk has no part in it.
pub struct Project {
    folder: PathBuf,
}

impl Project {
    /// What is measured with it.
    pub const NAME: &str = "build a C program of 8 files";

    /// None where there is no C compiler.
    pub fn write(folder: &Path) -> anyhow::Result<Option<Self>> {
        let has_compiler =
            command("cc").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if has_compiler.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(None);
        }
        std::fs::create_dir(folder).context("cannot create the project's folder")?;
        let mut calls = String::new();
        for number in 0..FILES {
            std::fs::write(folder.join(format!("part{number}.c")), part(number))?;
            // A text takes everything that is written to it.
            write!(calls, " + part{number}_0(argc)").unwrap_or_default();
        }
        let declarations: String = (0..FILES).map(|n| format!("int part{n}_0(int);\n")).collect();
        let main = format!("{declarations}int main(int argc, char **argv) {{ return 0 * (0{calls}); }}\n");
        std::fs::write(folder.join("main.c"), main)?;
        let script = "set -e\nfor file in *.c; do cc -O1 -c \"$file\"; done\ncc -o program *.o\n./program\n";
        std::fs::write(folder.join("build.sh"), script)?;
        Ok(Some(Self { folder: folder.to_owned() }))
    }

    /// Builds all of it anew and runs it.
    pub fn build(&self) -> anyhow::Result<Duration> {
        let mut sh = command("sh");
        sh.arg("build.sh").current_dir(&self.folder).stdout(Stdio::null());
        let started = Instant::now();
        let status = sh.status().context("cannot run sh")?;
        let took = started.elapsed();
        ensure!(status.success(), "the C project cannot be built: {status}");
        Ok(took)
    }
}

fn part(number: u32) -> String {
    let mut text =
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n".to_owned();
    for function in (0..FUNCTIONS).rev() {
        let (add, modulo) = (number * 7 + function, function + 3);
        write!(
            text,
            "int part{number}_{function}(int n) {{\n  char text[64];\n  int sum = {add};\n  \
             for (int i = 0; i < n; i++) sum += i * {modulo} ^ (sum >> 2);\n  \
             snprintf(text, sizeof text, \"%d\", sum);\n  return (int)strlen(text) + sum % {modulo};\n}}\n"
        )
        .unwrap_or_default();
    }
    text
}
