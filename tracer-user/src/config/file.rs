//! The configuration file as it lies on the disk: where it is, who may read it, its text and its problems.
//!
//! Nothing that is said about a problem repeats a secret: values of keys that hold one are never quoted, and an
//! excerpt of a line that TOML cannot read shows its value only where it can be none.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::de::DeTable;

use super::{Config, DEFAULT_PATH, parse};
use crate::sanitize;

/// More than any configuration needs; keeps a wrong `--config /dev/zero` from filling the memory.
const MAX_BYTES: u64 = 1 << 20;

/// Characters shown of a line that TOML cannot read.
const EXCERPT_CHARS: usize = 60;

/// Whether secrets are read from where the configuration says they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Yes: for the role that uses them, and for those who check that it can.
    Read,
    /// No, they stay empty: for the trace role, which has no use for them and may not be able to read them.
    Skip,
}

/// Why there is no usable configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("there is no configuration file {path}")]
    Missing { path: PathBuf },
    #[error("cannot read the configuration file {path}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}", summary(path, problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

/// One thing that is wrong in the file, and how to put it right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// From 1; `None` where it concerns the file as a whole.
    pub line: Option<usize>,
    /// `[section] key: what is wrong; what to do`, in one harmless line.
    pub text: String,
}

/// A problem together with its file, as compilers print theirs.
#[derive(Debug)]
pub struct Located<'a>(pub &'a Path, pub &'a Problem);

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, problem) = self;
        let path = sanitize::line(&path.to_string_lossy());
        match problem.line {
            Some(line) => write!(f, "{path}:{line}: {}", problem.text),
            None => write!(f, "{path}: {}", problem.text),
        }
    }
}

/// Reads the file that `--config` names, or else [`DEFAULT_PATH`], which may be missing: then all is default.
///
/// # Errors
/// All problems of the file at once.
pub fn load(explicit: Option<&Path>, secrets: Secrets) -> Result<Config, ConfigError> {
    let path = explicit.unwrap_or(Path::new(DEFAULT_PATH));
    match read(path) {
        Ok(source) => parse::config(&source, secrets)
            .map_err(|problems| ConfigError::Invalid { path: path.to_owned(), problems }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && explicit.is_none() => Ok(Config::default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ConfigError::Missing { path: path.to_owned() })
        }
        Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    }
}

/// The text of a configuration file and who may read it.
#[derive(Debug, Clone)]
pub struct Source {
    pub text: String,
    /// Whether every account of the host may read the file: then it must hold no secret.
    pub is_public: bool,
}

impl Source {
    /// Number of the line that holds a byte, from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// The TOML of the file, or everything that keeps it from being TOML.
    pub(super) fn table(&self) -> Result<DeTable<'_>, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Ok(table.into_inner());
        }
        let mut problems: Vec<_> = errors.iter().map(|error| self.syntax_problem(error)).collect();
        // After the first error of a line, the parser only guesses.
        problems.sort_by_key(|(position, _)| *position);
        problems.dedup_by_key(|(_, problem)| problem.line);
        Err(problems.into_iter().map(|(_, problem)| problem).collect())
    }

    /// With the byte at which it is.
    fn syntax_problem(&self, error: &toml::de::Error) -> (usize, Problem) {
        // Its message may quote the text around it; the first line is the parser's own sentence.
        let sentence = error.message().lines().next().unwrap_or("not TOML");
        let Some(Range { start, .. }) = error.span() else {
            return (0, Problem { line: None, text: sanitize::line(sentence) });
        };
        let start = self.text.floor_char_boundary(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let column = self.text[line_start..start].chars().count() + 1;
        let line = self.text[line_start..].lines().next().unwrap_or("");
        let text = format!("column {column}: {sentence}: `{}`", excerpt(line));
        (start, Problem { line: Some(self.line_of(start)), text: sanitize::line(&text) })
    }
}

fn read(path: &Path) -> io::Result<Source> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))?;
    Ok(Source { text, is_public: metadata.mode() & 0o004 != 0 })
}

/// Reads a secret from its own file; says what to do if that cannot be used.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let shown = sanitize::line(&path.to_string_lossy());
    let metadata = fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a regular file"));
    }
    if metadata.mode() & 0o004 != 0 {
        return Err(format!("every account can read {shown}; run `chmod o= {shown}`"));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read {shown}: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(format!("{shown} is empty; write the secret into it"));
    }
    Ok(text.to_owned())
}

/// Reads a text that belongs to the configuration; says what to do if that cannot be done.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let shown = sanitize::line(&path.to_string_lossy());
    read(path).map(|source| source.text).map_err(|error| format!("cannot read {shown}: {error}"))
}

/// Reads the certificates of an own authority; says what to do if there are none.
pub(super) fn read_certificates(path: &Path) -> Result<String, String> {
    let shown = sanitize::line(&path.to_string_lossy());
    let source = read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    match reqwest::Certificate::from_pem_bundle(source.text.as_bytes()) {
        Ok(found) if !found.is_empty() => Ok(source.text),
        Ok(_) | Err(_) => Err(format!("{shown} holds no certificate in PEM format (BEGIN CERTIFICATE)")),
    }
}

/// As much of a line as can be shown. Whatever might be (part of) a secret is masked: it is unknown what a line
/// that cannot be read was meant to be.
fn excerpt(line: &str) -> String {
    let shown = match line.split_once('=') {
        Some((key, value)) if !value.trim().is_empty() => {
            let value = value.trim();
            if parse::may_hold_secret(key) || value.len() > 20 || value.contains("://") {
                format!("{}= …", key.trim_start())
            } else {
                line.trim().to_owned()
            }
        }
        // Neither key nor section: it may be a line of a text that spans several.
        None if !line.trim_start().starts_with('[') => "…".to_owned(),
        Some(_) | None => line.trim().to_owned(),
    };
    sanitize::text(&shown, EXCERPT_CHARS)
}

fn summary(path: &Path, problems: &[Problem]) -> String {
    let (count, noun) = (problems.len(), if problems.len() == 1 { "problem" } else { "problems" });
    format!("{count} {noun} in the configuration file {}", path.display())
}
