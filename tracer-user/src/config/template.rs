//! Words of one's own for messages: `[[templates]]`.

use std::path::PathBuf;

use super::Kind;

/// One of `[[templates]]`. The first that is for a kind and a sink has its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Empty: all.
    pub kinds: Vec<Kind>,
    /// Names of sinks; empty: all.
    pub sinks: Vec<String>,
    pub covers: Covers,
    /// In the language of Jinja.
    pub source: String,
    /// Where the source was read from, if not from the configuration itself.
    pub file: Option<PathBuf>,
}

/// What a template has words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// The summary alone.
    Summary,
    /// The summary in the first line, the details in the others.
    Message,
}
