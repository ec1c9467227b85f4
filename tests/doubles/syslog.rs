//! A parser of RFC 5424 that is as strict as the grammar in its section 6.

use std::collections::BTreeMap;

/// A message that keeps the grammar.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) facility: u32,
    pub(crate) severity: u32,
    pub(crate) host: String,
    pub(crate) kind: String,
    /// Values of the one element of structured data, by name.
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) text: String,
}

pub(crate) fn parse(message: &[u8]) -> Result<Parsed, String> {
    if message.len() > 2048 {
        return Err("longer than any receiver must take".to_owned());
    }
    let message = std::str::from_utf8(message).map_err(|error| error.to_string())?;
    let rest = message.strip_prefix('<').ok_or("no priority")?;
    let (priority, rest) = rest.split_once('>').ok_or("no priority")?;
    let priority: u32 = priority.parse().map_err(|_| "no priority")?;
    let mut words = rest.splitn(7, ' ');
    let mut word = |what: &str, max: usize| {
        let word = words.next().ok_or_else(|| format!("no {what}"))?;
        let is_good = (1..=max).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic());
        if is_good { Ok(word.to_owned()) } else { Err(format!("{what}: {word}")) }
    };
    if word("version", 3)? != "1" || priority > 191 {
        return Err("version or priority".to_owned());
    }
    let time = word("time", 40)?;
    time.parse::<jiff::Timestamp>().map_err(|error| error.to_string())?;
    // At most six digits of a second's fraction.
    if time.split_once('.').is_some_and(|(_, rest)| rest.trim_end_matches('Z').len() > 6) {
        return Err(time);
    }
    let (host, name, _, kind) =
        (word("host", 255)?, word("name", 48)?, word("process", 128)?, word("id", 32)?);
    if name != "login-tracer" {
        return Err(name);
    }
    let rest = words.next().ok_or("no structured data")?;
    let (data, rest) = structured_data(rest)?;
    let text = rest.strip_prefix(" \u{feff}").ok_or("no UTF-8 text")?.to_owned();
    Ok(Parsed { facility: priority / 8, severity: priority % 8, host, kind, data, text })
}

fn structured_data(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut rest = text.strip_prefix("[login@32473").ok_or("no element")?;
    let mut data = BTreeMap::new();
    while let Some(next) = rest.strip_prefix(' ') {
        let (name, next) = next.split_once("=\"").ok_or("no value")?;
        if name.is_empty() || name.len() > 32 || !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(format!("name {name}"));
        }
        let (mut value, mut characters) = (String::new(), next.char_indices());
        let end = loop {
            match characters.next().ok_or("a value without end")? {
                (at, '"') => break at,
                (_, ']') => return Err("an unescaped ]".to_owned()),
                (_, '\\') => match characters.next() {
                    Some((_, escaped @ ('"' | '\\' | ']'))) => value.push(escaped),
                    _ => return Err("an escape of nothing".to_owned()),
                },
                (_, other) => value.push(other),
            }
        };
        if data.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} twice"));
        }
        rest = &next[end + 1..];
    }
    Ok((data, rest.strip_prefix(']').ok_or("an element without end")?))
}
