//! How somebody proved who they are, in words.

use crate::session::Auth;
use crate::words;

/// Longest method that is shown with its key and certificate, in characters.
const METHOD_CHARS: usize = 200;

/// The method, and the key or certificate by which it can be found out whose it is.
pub(super) fn shown(auth: &Auth) -> String {
    let mut text = auth.method.clone();
    if let Some(key) = &auth.key {
        text.push_str(&format!(" - {} {}", key.kind, key.fingerprint));
    }
    if let Some(certificate) = &auth.certificate {
        text.push_str(&words::certificate(&certificate.id, certificate.serial));
    }
    super::name_of_chars(&text, words::UNKNOWN, METHOD_CHARS)
}
