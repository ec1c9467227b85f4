//! How an account stands by `shadow(5)`, as far as it says who should not get in.

use serde::{Deserialize, Serialize};

/// What `/etc/shadow` says of an account. The password itself, or its hash, is nowhere in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    Usable,
    /// It has no password that anything fits (`*`, `!`): usual where people have keys, and for services.
    NoPassword,
    /// It has a password that was locked (`!` before its hash), as `usermod -L` and `passwd -l` do. Keys let in still.
    Locked,
    /// Its last day has passed.
    Expired,
}

impl AccountState {
    const ALL: [Self; 4] = [Self::Usable, Self::NoPassword, Self::Locked, Self::Expired];

    /// The word in the database, in JSON and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::NoPassword => "no password",
            Self::Locked => "locked",
            Self::Expired => "expired",
        }
    }

    /// The inverse of [`AccountState::as_str`]; `None` for a word of a newer version.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// By the line of an account in `/etc/shadow`, on a day counted from 1970; `None` for the line of another one.
    ///
    /// The last day of an account is the first on which nobody gets in (`chage -E`, pam_unix). What is no number of days,
    /// or a negative one, is no last day.
    pub fn of_shadow_line(line: &[u8], name: &str, today: i64) -> Option<Self> {
        let mut fields = line.trim_ascii_end().split(|byte| *byte == b':');
        if fields.next()? != name.as_bytes() {
            return None;
        }
        let password = fields.next().unwrap_or_default();
        let last_day = fields.nth(5).and_then(|days| std::str::from_utf8(days).ok()?.parse::<i64>().ok());
        let mut locked = password;
        while let Some(rest) = locked.strip_prefix(b"!") {
            locked = rest;
        }
        let is_locked = locked.len() < password.len();
        Some(match last_day.filter(|day| *day >= 0) {
            Some(day) if today >= day => Self::Expired,
            _ if locked.starts_with(b"*") || (is_locked && locked.is_empty()) => Self::NoPassword,
            _ if is_locked => Self::Locked,
            _ => Self::Usable,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::AccountState::{self, Expired, Locked, NoPassword, Usable};

    fn of(rest: &str, today: i64) -> Option<AccountState> {
        AccountState::of_shadow_line(format!("alice:{rest}").as_bytes(), "alice", today)
    }

    #[test]
    fn passwords() {
        for (password, state) in [
            ("$y$j9T$x", Usable),
            ("", Usable), // nobody is asked for one
            ("!", NoPassword),
            ("!!", NoPassword), // Red Hat
            ("*", NoPassword),
            ("!*", NoPassword),
            ("*NP*", NoPassword),
            ("!$y$j9T$x", Locked),
            ("!!$6$x", Locked),
        ] {
            assert_eq!(of(&format!("{password}:19000:0:99999:7:::\n"), 20_000), Some(state), "{password}");
        }
    }

    #[test]
    fn last_days() {
        let on = |day: &str, today| of(&format!("$y$x:19000:0:99999:7::{day}:"), today);
        assert_eq!((on("20000", 19_999), on("20000", 20_000)), (Some(Usable), Some(Expired)));
        for none in ["", "-1", "never", "99999999999999999999"] {
            assert_eq!(on(none, 20_000), Some(Usable), "{none}");
        }
        assert_eq!(on("0", 1), Some(Expired));
        // Expired says more than locked.
        assert_eq!(of("!$y$x:19000:0:99999:7::1:", 20_000), Some(Expired));
    }

    #[test]
    fn lines_of_others_and_broken_ones() {
        let alice = |line: &[u8]| AccountState::of_shadow_line(line, "alice", 20_000);
        assert_eq!(alice(b"alice2:!::::::::"), None);
        assert_eq!(alice(b"alic:!::::::::"), None);
        assert_eq!(alice(b""), None);
        assert_eq!(alice(b"alice\n"), Some(Usable));
        assert_eq!(alice(b"alice:!\n"), Some(NoPassword));
        assert_eq!(alice(b"alice:\xff\xfe:::::\xff:"), Some(Usable));
    }

    #[test]
    fn words_are_inverse() {
        for state in AccountState::ALL {
            assert_eq!(AccountState::parse(state.as_str()), Some(state));
        }
        assert_eq!(AccountState::parse("LOCKED"), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..80), today in any::<i64>()) {
            AccountState::of_shadow_line(&line, "", today);
        }
    }
}
