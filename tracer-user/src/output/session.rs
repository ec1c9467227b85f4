//! Sessions as a person wants to see them: who, from where, since when, how long, how risky.

use std::time::Duration;

use jiff::Timestamp;

use super::table::{Cell, Table};
use super::{Style, View};
use crate::assess::Assessment;
use crate::sanitize;
use crate::session::{AccountState, Auth, Certificate, Service, Session};

/// Characters shown of an account name; with everything else at its usual width a row fits into 100 columns.
const USER_CHARS: usize = 20;
const TTY_CHARS: usize = 10;

/// Stands for what is not known or does not apply.
pub const NONE: &str = "-";

/// The columns of `login-tracer sessions`.
pub fn table() -> Table<9> {
    Table::new(["ID", "USER", "BY", "ADDRESS", "OPENED", "DURATION", "TTY", "STATE", "RISK"])
        .right(&["ID", "DURATION"])
}

/// One row of [`table`].
pub fn row(view: &View, session: &Session, assessment: Option<&Assessment>, is_allowed: bool) -> [Cell; 9] {
    let state = state(session, is_allowed);
    let risk = match assessment {
        Some(assessment) => Cell::styled(risk(assessment), assessment.level.into()),
        None => Cell::styled(NONE, Style::Grey),
    };
    [
        Cell::new(session.id.to_string()),
        Cell::new(known(session.user.as_deref(), USER_CHARS)),
        Cell::new(by(session)),
        Cell::new(session.peer.map_or_else(|| NONE.to_owned(), |peer| peer.ip().to_string())),
        Cell::new(opened(view, session)),
        Cell::new(duration(lasted(session, view.now))),
        Cell::new(known(session.tty.as_deref(), TTY_CHARS)),
        state,
        risk,
    ]
}

/// `open`, or how it ended; with a mark if it was allowed and if a user id was gained inside: `open allowed`,
/// `logout +uid 1002`.
fn state(session: &Session, is_allowed: bool) -> Cell {
    let (word, style) = match session.closed {
        Some(closed) => (closed.end.as_str(), Style::Plain),
        None => ("open", Style::Bold),
    };
    let word = if is_allowed { format!("{word} allowed") } else { word.to_owned() };
    match session.escalated_to {
        None => Cell::styled(word, style),
        Some(0) => Cell::styled(format!("{word} +root"), Style::Red),
        Some(uid) => Cell::styled(format!("{word} +uid {uid}"), Style::Yellow),
    }
}

/// Strangers' text, or [`NONE`].
pub fn known(text: Option<&str>, max_chars: usize) -> String {
    match text {
        Some(text) if !text.is_empty() => sanitize::text(text, max_chars),
        Some(_) | None => NONE.to_owned(),
    }
}

/// How an account stands, for people.
pub const fn account_state(state: AccountState) -> &'static str {
    match state {
        AccountState::Usable => "usable",
        AccountState::NoPassword => "no password fits it",
        AccountState::Locked => "locked: its password lets nobody in",
        AccountState::Expired => "expired",
    }
}

/// How the user came in, in two words at most: `key`, `dropbear key`, `login`, `su alice`.
fn by(session: &Session) -> String {
    let method = session.auth.as_ref().map(short_method);
    let who = session.by.as_ref().map(|by| match &by.user {
        Some(user) => sanitize::text(user, USER_CHARS),
        None => format!("uid {}", by.uid),
    });
    let service = Some(session.service.as_str().to_owned()).filter(|_| session.service != Service::Ssh);
    let words: Vec<_> = [service, method, who].into_iter().flatten().collect();
    if words.is_empty() { NONE.to_owned() } else { words.join(" ") }
}

/// How the user proved who they are, in a word.
fn short_method(auth: &Auth) -> String {
    /// Characters of a method that has no shorter name here.
    const METHOD_CHARS: usize = 12;
    match auth.method.as_str() {
        "publickey" if auth.certificate.is_some() => "cert".to_owned(),
        "publickey" => "key".to_owned(),
        method if method.starts_with("keyboard-interactive") => "keyboard".to_owned(),
        method => sanitize::text(method, METHOD_CHARS),
    }
}

/// All that is known of how the user proved who they are: `publickey, ED25519 SHA256:...`.
pub fn auth(auth: &Auth, max_chars: usize) -> String {
    let mut text = auth.method.clone();
    if let Some(key) = &auth.key {
        text.push_str(&format!(", {} {}", key.kind, key.fingerprint));
    }
    if let Some(Certificate { id, serial, ca }) = &auth.certificate {
        text.push_str(&format!(", certificate {id} (serial {serial}) by {} {}", ca.kind, ca.fingerprint));
    }
    sanitize::text(&text, max_chars)
}

/// `72 high`, or the level alone.
pub fn risk(assessment: &Assessment) -> String {
    match assessment.score {
        Some(score) => format!("{score} {}", assessment.level),
        None => assessment.level.to_string(),
    }
}

/// A time on the person's clock, to the second.
pub fn time(view: &View, at: Timestamp) -> String {
    view.local(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// When it was opened; `~` before the start of its connection, where nobody saw it begin.
fn opened(view: &View, session: &Session) -> String {
    let mark = if session.recovered { "~" } else { "" };
    format!("{mark}{}", time(view, session.opened_at))
}

/// How long the session lasted, or has lasted by now. A clock that was set back gives zero.
pub fn lasted(session: &Session, now: Timestamp) -> Duration {
    let end = session.closed.map_or(now, |closed| closed.at);
    Duration::try_from(end.duration_since(session.opened_at)).unwrap_or_default()
}

/// The two largest units: `0.4s`, `12s`, `3m 07s`, `2h 05m`, `4d 03h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_two_units() {
        let cases = [
            (0, "0.0s"),
            (450, "0.4s"),
            (9_999, "9.9s"),
            (10_000, "10s"),
            (59_999, "59s"),
            (60_000, "1m 00s"),
            (187_000, "3m 07s"),
            (3_599_000, "59m 59s"),
            (7_500_000, "2h 05m"),
            (86_399_000, "23h 59m"),
            (356_400_000, "4d 03h"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }
}
