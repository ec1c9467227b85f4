//! Spawning other programs: whatever fails here fails with the command line in its error.

use std::{
    convert::Infallible,
    ffi::OsStr,
    io::{ErrorKind, Read as _, Write},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Directories that hold system programs and that an ordinary user's PATH often lacks.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Runs to the end with our stdin, stdout and stderr.
///
/// # Errors
/// The program cannot be started or reports failure.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    succeeded(command, status)
}

/// As [`run`], with stdout written to `terminal` as it comes and kept in `copy`.
///
/// # Errors
/// As [`run`], or stdout cannot be passed on.
pub(crate) fn tee(command: &mut Command, terminal: &mut impl Write, copy: &mut Vec<u8>) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut chunk = [0; 4096];
    let passed_on = loop {
        match stdout.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(length) => {
                copy.extend_from_slice(&chunk[..length]);
                if let Err(error) = terminal.write_all(&chunk[..length]).and_then(|()| terminal.flush()) {
                    break Err(error);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    // A program that still writes is told so by the closed pipe.
    drop(stdout);
    let status = child.wait().with_context(|| format!("cannot wait for `{}`", shown(command)))?;
    passed_on.with_context(|| format!("cannot pass on the output of `{}`", shown(command)))?;
    succeeded(command, status)
}

/// Runs to the end without input, shows its output only when it fails, and returns its stdout.
///
/// # Errors
/// The program cannot be started or reports failure.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({})\n{}{}", shown(command), output.status, stdout, stderr.trim_end());
    }
    Ok(stdout.into_owned())
}

/// Replaces this process, so that the terminal, signals and the exit code are the program's own.
///
/// # Errors
/// Returns only when the program cannot be started.
pub(crate) fn exec(command: &mut Command) -> Result<Infallible> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shown(command)))
}

/// The program's path, from PATH or the system directories.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| is_executable(candidate))
}

/// Whether a file is there that somebody may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_output() {
        let error = capture(Command::new("sh").args(["-c", "echo seen; echo why >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`sh -c 'echo seen; echo why >&2; exit 3'` failed (exit status: 3)"), "{text}");
        assert!(text.ends_with("seen\nwhy"), "{text}");
    }

    #[test]
    fn output_is_passed_on_and_kept_also_when_the_program_fails() {
        let (mut terminal, mut copy) = (Vec::new(), Vec::new());
        let mut shell = Command::new("sh");
        let error = tee(shell.args(["-c", "echo seen; exit 3"]), &mut terminal, &mut copy).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'echo seen; exit 3'` failed (exit status: 3)");
        assert_eq!((terminal.as_slice(), copy.as_slice()), (&b"seen\n"[..], &b"seen\n"[..]));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("/nonexistent/tool")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `/nonexistent/tool`");
    }

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        assert_eq!(quoted(OsStr::new("--cfg=a")), "--cfg=a");
        assert_eq!(quoted(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(OsStr::new("")), "''");
    }
}
