//! What `login-tracer check` found, as a page: a heading for each part, a line for each thing, and what to do.

use std::io::{self, Write};

use super::{Style, View};
use crate::sanitize;

/// How good a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, but could be better, or could not be seen.
    Note,
    /// Does not work.
    Problem,
}

impl Verdict {
    fn word(self) -> (&'static str, Style) {
        match self {
            Self::Good => ("good", Style::Green),
            Self::Note => ("note", Style::Yellow),
            Self::Problem => ("problem", Style::Red),
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    /// What it is; may be empty.
    pub name: String,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    pub fn good(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, name: name.into(), found: found.into(), advice: None }
    }

    pub fn note(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, name: name.into(), found: found.into(), advice: Some(advice.into()) }
    }

    pub fn problem(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Problem,
            name: name.into(),
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub title: String,
    pub findings: Vec<Finding>,
}

/// The worst of all.
pub fn worst(parts: &[Part]) -> Verdict {
    parts.iter().flat_map(|part| &part.findings).map(|finding| finding.verdict).max().unwrap_or(Verdict::Good)
}

/// Writes the page and its sum.
pub fn write(parts: &[Part], view: &View, output: &mut dyn Write) -> io::Result<()> {
    for part in parts {
        writeln!(output, "{}", view.styled(Style::Bold, sanitize::line(&part.title)))?;
        for finding in &part.findings {
            write_finding(finding, view, output)?;
        }
    }
    let problems = parts
        .iter()
        .flat_map(|part| &part.findings)
        .filter(|finding| finding.verdict == Verdict::Problem)
        .count();
    let sum = match problems {
        0 => view.styled(Style::Green, "No problem found.".to_owned()),
        1 => view.styled(Style::Red, "1 problem found.".to_owned()),
        more => view.styled(Style::Red, format!("{more} problems found.")),
    };
    writeln!(output, "{sum}")
}

fn write_finding(finding: &Finding, view: &View, output: &mut dyn Write) -> io::Result<()> {
    let (word, style) = finding.verdict.word();
    // The style's sequences must not count as width.
    let blank = " ".repeat("problem".len() - word.len());
    let text = match (finding.name.as_str(), finding.found.as_str()) {
        ("", only) | (only, "") => sanitize::line(only),
        (name, found) => format!("{}: {}", sanitize::line(name), sanitize::line(found)),
    };
    writeln!(output, "  {}{blank}  {text}", view.styled(style, word))?;
    match &finding.advice {
        Some(advice) => writeln!(output, "           -> {}", sanitize::line(advice)),
        None => Ok(()),
    }
}
