//! One section of the file while it is read: typed access to its keys, and what is wrong with them.

use std::env::VarError;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::file::{Secrets, read_certificates, read_secret};
use super::super::{Authority, Secret};
use super::{Problems, values};
use crate::sanitize;

/// Characters shown of a key that nobody knows.
const KEY_CHARS: usize = 40;

/// Reports the keys that nobody knows when it is dropped.
pub(super) struct Section<'a, 'p> {
    /// Without brackets, such as `enrich.threat_jammer`.
    name: String,
    known: Vec<&'static str>,
    accepts_everything: bool,
    table: &'a DeTable<'a>,
    start: usize,
    problems: &'a mut Problems<'p>,
}

impl<'a, 'p> Section<'a, 'p> {
    /// `None`, and a problem, if the value is no section.
    pub(super) fn open(
        name: String,
        known: &'static [&'static str],
        value: &'a Spanned<DeValue<'a>>,
        problems: &'a mut Problems<'p>,
    ) -> Option<Self> {
        let start = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            let kind = with_article(value.get_ref());
            problems.add(start, &format!("{name}: must be a section [{name}], not {kind}"));
            return None;
        };
        Some(Self { name, known: known.to_vec(), accepts_everything: false, table, start, problems })
    }

    /// A section within this one, such as `[enrich.threat_jammer]`.
    pub(super) fn subsection(
        &mut self,
        key: &'static str,
        known: &'static [&'static str],
    ) -> Option<Section<'_, 'p>> {
        let value = self.table.get(key)?;
        Section::open(format!("{}.{key}", self.name), known, value, self.problems)
    }

    /// The sections within this one that have names of the owner's choice, such as `[enrich.lists.NAME]`, in the order
    /// of their names. `read` is given each.
    pub(super) fn named_subsections<T>(
        &mut self,
        key: &'static str,
        known: &'static [&'static str],
        read: impl Fn(&str, &mut Section<'_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let path = format!("{}.{key}", self.name);
        let DeValue::Table(entries) = value.get_ref() else {
            let text = format!("[{path}]: must be sections such as [{path}.example]");
            self.problems.add(value.span().start, &text);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in entries {
            let path = format!("{path}.{}", shown_key(name.get_ref()));
            if let Err(text) = values::given_name(name.get_ref()) {
                self.problems.add(name.span().start, &format!("[{path}]: {text}"));
            }
            if let Some(mut section) = Section::open(path, known, value, self.problems) {
                found.extend(read(name.get_ref(), &mut section));
            }
        }
        found
    }

    /// Sets the keys that are known, where that depends on the value of one.
    pub(super) fn expect(&mut self, known: &'static [&'static str]) {
        self.known = known.to_vec();
    }

    /// Adds to the keys that are known.
    pub(super) fn expect_also(&mut self, known: &'static [&'static str]) {
        self.known.extend(known);
    }

    /// Judges no key, because it is not known which ones there are.
    pub(super) fn accept_everything(&mut self) {
        self.accepts_everything = true;
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Says what is wrong with a key.
    pub(super) fn problem(&mut self, key: &str, text: &str) {
        let offset = self.table.get(key).map_or(self.start, |value| value.span().start);
        self.problems.add(offset, &format!("[{}] {key}: {text}", self.name));
    }

    /// Says what is wrong with the section as a whole.
    pub(super) fn problem_of_section(&mut self, text: &str) {
        self.problems.add(self.start, &format!("[{}]: {text}", self.name));
    }

    /// A text that `check` turns into a value, or says what is wrong with it.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.table.get(key)?.get_ref();
        let DeValue::String(text) = value else {
            self.problem(key, &format!("must be a text in quotes, not {}", with_article(value)));
            return None;
        };
        self.checked(key, check(text))
    }

    pub(super) fn integer<T: TryFrom<i64>>(&mut self, key: &'static str, min: i64, max: i64) -> Option<T> {
        let value = self.table.get(key)?.get_ref();
        let DeValue::Integer(number) = value else {
            let kind = with_article(value);
            self.problem(key, &format!("must be a whole number from {min} to {max}, not {kind}"));
            return None;
        };
        let number = i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| (min..=max).contains(number))
            .and_then(|number| T::try_from(number).ok());
        self.checked(key, number.ok_or_else(|| format!("must be from {min} to {max}")))
    }

    /// A duration such as `"3s"`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let value = self.table.get(key)?.get_ref();
        let DeValue::String(text) = value else {
            let kind = with_article(value);
            self.problem(
                key,
                &format!("must be a duration in quotes, such as \"3s\" or \"24h\", not {kind}"),
            );
            return None;
        };
        self.checked(key, values::duration(text, &range))
    }

    /// A number of bytes, as a whole number or as a text such as `"1 MiB"`.
    pub(super) fn size(&mut self, key: &'static str) -> Option<u32> {
        let value = self.table.get(key)?.get_ref();
        let size = match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| values::SIZE_LIMITS.to_owned())
                .and_then(values::size),
            DeValue::String(text) => values::size_text(text),
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                Err(format!("must be a size such as \"1 MiB\", not {}", with_article(value)))
            }
        };
        self.checked(key, size)
    }

    /// A number of bytes within limits, such as `"10 MiB"`.
    pub(super) fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.text(key, |text| values::bytes(text, &range))
    }

    /// A secret from exactly one of three places: the key itself, a file, an environment variable.
    ///
    /// An empty one stands for a secret that is missing (then there is a problem) or was not to be read.
    pub(super) fn secret(
        &mut self,
        [inline, in_file, in_env]: [&'static str; 3],
        check: fn(&str) -> Result<(), String>,
    ) -> Secret {
        let given: Vec<_> = [inline, in_file, in_env].into_iter().filter(|key| self.has(key)).collect();
        let &[key] = given.as_slice() else {
            match given.last() {
                Some(key) => {
                    let text = format!(
                        "only one of {inline}, {in_file} and {in_env} may be given; remove the others"
                    );
                    self.problem(key, &text);
                }
                None => {
                    let text = format!("one of {inline}, {in_file} and {in_env} is needed");
                    self.problem_of_section(&text);
                }
            }
            return Secret::new(String::new());
        };
        let Some(text) = self.text(key, |text| Ok(text.to_owned())) else {
            return Secret::new(String::new());
        };
        if key == inline && self.problems.source.is_public {
            let text = format!(
                "is a secret in a file that every account can read; run `chmod o=` on it or use {in_file}"
            );
            self.problem(key, &text);
        }
        if key != inline && self.problems.secrets == Secrets::Skip {
            return Secret::new(String::new());
        }
        let value = if key == inline {
            Ok(text)
        } else if key == in_file {
            absolute(&text).and_then(read_secret)
        } else {
            variable(&text)
        };
        let value = value.and_then(|value| check(&value).map(|()| value));
        Secret::new(self.checked(key, value).unwrap_or_default())
    }

    /// The certificates in a file.
    pub(super) fn authority(&mut self, key: &'static str) -> Option<Authority> {
        let path = self.text(key, |text| absolute(text).map(Path::to_owned))?;
        if self.problems.secrets == Secrets::Skip {
            return Some(Authority { path, pem: String::new() });
        }
        let pem = read_certificates(&path);
        self.checked(key, pem).map(|pem| Authority { path, pem })
    }

    /// The secret, if any of its three keys is there.
    pub(super) fn optional_secret(
        &mut self,
        keys: [&'static str; 3],
        check: fn(&str) -> Result<(), String>,
    ) -> Option<Secret> {
        keys.iter().any(|key| self.has(key)).then(|| self.secret(keys, check))
    }

    /// A text that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.problem_of_section(&format!("{key} is missing; add a line such as {key} = \"...\""));
        }
        self.text(key, check)
    }

    /// A list of texts with at least one in it; a single text is a list of one.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.table.get(key)?.get_ref();
        let texts: Option<Vec<&str>> = match value {
            DeValue::String(text) => Some(vec![text]),
            DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str()).collect(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => None,
        };
        let Some(texts) = texts.filter(|texts| !texts.is_empty()) else {
            self.problem(key, "must be a list of texts in quotes, such as [\"one\", \"two\"]");
            return None;
        };
        let checked = texts.into_iter().map(check).collect();
        self.checked(key, checked)
    }

    /// A list of texts that may be empty.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        if matches!(self.table.get(key)?.get_ref(), DeValue::Array(items) if items.is_empty()) {
            return Some(Vec::new());
        }
        self.texts(key, check)
    }

    /// A date or time as TOML knows them, or as a text.
    pub(super) fn date<T>(
        &mut self,
        key: &'static str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if let DeValue::Datetime(date) = self.table.get(key)?.get_ref() {
            return self.checked(key, check(&date.to_string()));
        }
        self.text(key, check)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.table.get(key)?.get_ref();
        let DeValue::Boolean(flag) = value else {
            self.problem(key, &format!("must be true or false, not {}", with_article(value)));
            return None;
        };
        Some(*flag)
    }

    /// Whether secrets, and files beside this one, are read.
    pub(super) fn secrets(&self) -> Secrets {
        self.problems.secrets
    }

    /// The value of a key, or what is wrong with it.
    pub(super) fn checked<T>(&mut self, key: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| self.problem(key, &text)).ok()
    }
}

impl Drop for Section<'_, '_> {
    fn drop(&mut self) {
        if self.accepts_everything {
            return;
        }
        for key in self.table.keys() {
            let name = key.get_ref();
            if !self.known.contains(&name.as_ref()) {
                let hint = nearest(name, &self.known).map_or_else(
                    || format!("; known are {}", self.known.join(", ")),
                    |known| format!("; did you mean {known}?"),
                );
                let text = format!("[{}] {}: unknown key{hint}", self.name, shown_key(name));
                self.problems.add(key.span().start, &text);
            }
        }
    }
}

/// A key as it may be shown.
pub(super) fn shown_key(key: &str) -> String {
    sanitize::text(key, KEY_CHARS)
}

/// The known word that somebody probably meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), *known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min()
        .map(|(_, known)| known)
}

fn with_article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

pub(super) fn absolute(path: &str) -> Result<&Path, String> {
    let path = Path::new(path);
    if path.is_absolute() { Ok(path) } else { Err("must be an absolute path".to_owned()) }
}

/// The value of an environment variable. What does not look like a name of one is not shown: it may be the secret
/// itself, in the wrong key.
fn variable(name: &str) -> Result<String, String> {
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name {
        return Err("must be the name of an environment variable: capital letters, digits and _".to_owned());
    }
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        Ok(_) => Err(format!("the environment variable {name} is empty")),
        Err(VarError::NotPresent) => Err(format!("the environment variable {name} is not set")),
        Err(VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8 text")),
    }
}
