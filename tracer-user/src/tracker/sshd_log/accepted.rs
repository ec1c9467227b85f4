//! `Accepted METHOD for USER from ADDRESS port N ssh2[: KEY]`, and the key of `format_method_key` in `auth.c`.

use super::{Said, address_port, is_number};
use crate::session::{Auth, AuthKey, Certificate};

/// Longest name of a method that is believed: `keyboard-interactive/pam` and `gssapi-with-mic` are shorter.
const METHOD_LEN: usize = 64;

/// What follows `Accepted `.
pub(super) fn parse(text: &str) -> Option<Said<'_>> {
    let (method, text) = text.split_once(" for ")?;
    if method.is_empty() || method.contains(' ') || method.len() > METHOD_LEN {
        return None;
    }
    // The first place where it can be read like this, as the parent module says.
    let (user, origin, key) = text.match_indices(" from ").find_map(|(at, separator)| {
        let (origin, rest) = address_port(&text[at + separator.len()..])?;
        let rest = rest.strip_prefix(" ssh2")?;
        let key = if rest.is_empty() { rest } else { rest.strip_prefix(": ")? };
        Some((&text[..at], origin, key))
    })?;
    if user.is_empty() {
        return None;
    }
    let (key, certificate) = match key_at_start(key) {
        Some((key, rest)) => (Some(key), certificate(rest)),
        None => (None, None),
    };
    Some(Said::Accepted {
        user,
        origin,
        auth: Auth { method: method.to_owned(), key, certificate, user_log: None },
    })
}

/// `TYPE FINGERPRINT` and what follows. Other methods have other things there.
fn key_at_start(text: &str) -> Option<(AuthKey, &str)> {
    let (kind, rest) = text.split_once(' ')?;
    let end = rest.find([' ', ',']).unwrap_or(rest.len());
    let (fingerprint, rest) = rest.split_at(end);
    let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // `SHA256:` and base64, or `MD5:` and hexadecimal digits with colons.
    let is_fingerprint = fingerprint.split_once(':').is_some_and(|(hash, value)| {
        !hash.is_empty()
            && hash.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !value.is_empty()
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=:".contains(&byte))
    });
    let key = AuthKey { kind: kind.to_owned(), fingerprint: fingerprint.to_owned() };
    (is_kind && is_fingerprint).then_some((key, rest))
}

/// ` ID NAME (serial N) CA TYPE FINGERPRINT`. The name may hold anything, so it ends at the last serial number.
fn certificate(text: &str) -> Option<Certificate> {
    let (id, rest) = text.strip_prefix(" ID ")?.rsplit_once(" (serial ")?;
    let (serial, ca) = rest.split_once(") CA ")?;
    let serial = is_number(serial).then(|| serial.parse().ok())??;
    let (ca, _) = key_at_start(ca)?;
    Some(Certificate { id: id.to_owned(), serial, ca })
}
