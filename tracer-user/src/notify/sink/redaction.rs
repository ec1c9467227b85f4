//! What is said about an exchange with a service, without the secrets that were part of it.
//!
//! Services and libraries repeat what they were sent: a URL in an error, a token in an answer. Every text about an
//! exchange goes through here before anybody sees or stores it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Stands where a secret was.
pub const HIDDEN: &str = "[secret]";

/// The secrets of one sink, in every form in which they may be repeated.
#[derive(Default)]
pub struct Redaction {
    /// Longest first, so that no part is left of one that holds another.
    forms: Vec<String>,
}

impl Redaction {
    /// Empty texts are no secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<String> = secrets.into_iter().flat_map(forms).collect();
        forms.sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        forms.dedup();
        Self { forms }
    }

    /// The text without any of them.
    pub fn apply(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            // In one pass: what stands for a secret is not looked at again.
            let found = self.forms.iter().find(|form| rest.starts_with(form.as_str()));
            let (piece, length) = match found {
                Some(form) => (HIDDEN, form.len()),
                None => (rest.get(..character.len_utf8()).unwrap_or_default(), character.len_utf8()),
            };
            shown.push_str(piece);
            rest = rest.get(length..).unwrap_or_default();
        }
        shown
    }
}

/// Shortest part of a URL that is taken for a secret by itself, in characters.
const SHORTEST_PART: usize = 12;

/// What makes a webhook's URL a secret: all that follows the host, and each part of it that looks like a token.
pub fn secrets_of_url(url: &str) -> Vec<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |slash| &rest[slash + 1..]);
    let parts = path.split(['/', '?', '&', '=']).filter(|part| part.len() >= SHORTEST_PART);
    // The host may be shown, where there is more.
    [if path.is_empty() { url } else { path }].into_iter().chain(parts).collect()
}

/// A secret as it is, in JSON, in a URL or a form, and in base64.
fn forms(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    let percent: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let debug = format!("{secret:?}").trim_matches('"').to_owned();
    vec![secret.to_owned(), percent, json, debug, STANDARD.encode(secret)]
        .into_iter()
        .filter(|form| !form.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_hidden() {
        let redaction = Redaction::new(["se/cret\"1", "", "se"]);
        for text in ["a se/cret\"1 b", "a se%2Fcret%221 b", r#"a se/cret\"1 b"#, "a c2UvY3JldCIx b"] {
            assert_eq!(redaction.apply(text), "a [secret] b", "{text}");
        }
        assert_eq!(redaction.apply("else"), "el[secret]");
        assert_eq!(Redaction::default().apply("else"), "else");
    }

    #[test]
    fn the_path_is_what_makes_a_url_secret() {
        let url = "https://hooks.example/services/T0/hushhushhush?sig=hashhashhash&v=1";
        let path = "services/T0/hushhushhush?sig=hashhashhash&v=1";
        assert_eq!(secrets_of_url(url), [path, "hushhushhush", "hashhashhash"]);
        for url in ["https://hooks.example/", "https://hooks.example", "verysecret"] {
            assert_eq!(secrets_of_url(url), [url]);
        }
        assert_eq!(
            Redaction::new(secrets_of_url(url)).apply(&format!("POST {url}")),
            "POST https://hooks.example/[secret]"
        );
    }
}
