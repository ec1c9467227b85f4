//! The titles of sshd's processes. Of the monitor: `sshd: NAME [priv]`; since 9.8 `sshd-session: NAME [priv]`; since
//! 10.x `[postauth]` after authentication. Of the process that runs the protocol for a user, which up to 9.7 is root's
//! monitor itself: `sshd: NAME@pts/0`, `NAME@notty`, or `NAME` alone for `ssh -N`.

/// What a title says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Title<'a> {
    /// The monitor of a connection; `authenticated` only where the title says so.
    Monitor { user: &'a str, authenticated: bool },
    /// It runs the protocol for a user.
    Session { user: &'a str, tty: Option<&'a str> },
}

impl<'a> Title<'a> {
    /// `None` for a title of another shape: a listener's, a preauth child's, a command line.
    pub(crate) fn parse(title: &'a str) -> Option<Self> {
        let rest = ["sshd-session: ", "sshd: "].iter().find_map(|program| title.strip_prefix(program))?;
        for (role, authenticated) in [(" [priv]", false), (" [postauth]", true)] {
            if let Some(user) = rest.strip_suffix(role) {
                return (!user.is_empty()).then_some(Self::Monitor { user, authenticated });
            }
        }
        if rest.is_empty() || rest.starts_with('/') || rest.contains(|c: char| c.is_whitespace() || c == '[')
        {
            return None;
        }
        let is_terminal = |name: &str| name == "notty" || name.starts_with("pts/") || name.starts_with("tty");
        Some(match rest.rsplit_once('@').filter(|(_, terminal)| is_terminal(terminal)) {
            Some((user, terminal)) => Self::Session { user, tty: (terminal != "notty").then_some(terminal) },
            None => Self::Session { user: rest, tty: None },
        })
    }
}

/// The user name in a monitor's title; `None` where the title has another shape.
pub(super) fn user(title: &str) -> Option<String> {
    match Title::parse(title)? {
        Title::Monitor { user, .. } => Some(user.to_owned()),
        Title::Session { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_they_are() {
        assert_eq!(user("sshd: alice [priv]").as_deref(), Some("alice"));
        assert_eq!(user("sshd-session: alice [priv]").as_deref(), Some("alice"));
        assert_eq!(user("sshd-session: alice [postauth]").as_deref(), Some("alice"));
        assert_eq!(user("sshd: DOM\\a b [priv] [priv]").as_deref(), Some("DOM\\a b [priv]"));
        assert_eq!(user("sshd: a@example.org [priv]").as_deref(), Some("a@example.org"));
    }

    #[test]
    fn other_titles_name_nobody() {
        for title in
            ["", "sshd:", "sshd:  [priv]", "sshd: [accepted]", "/usr/sbin/sshd -D", "sshd: alice@pts/0"]
        {
            assert_eq!(user(title), None, "{title}");
        }
    }

    #[test]
    fn sessions_are_told_from_everything_else() {
        let session = |user, tty| Some(Title::Session { user, tty });
        assert_eq!(Title::parse("sshd: alice@pts/0"), session("alice", Some("pts/0")));
        assert_eq!(Title::parse("sshd-session: alice@notty"), session("alice", None));
        assert_eq!(Title::parse("sshd: root"), session("root", None));
        assert_eq!(Title::parse("sshd: a@example.org"), session("a@example.org", None));
        assert_eq!(Title::parse("sshd: a@example.org@pts/12"), session("a@example.org", Some("pts/12")));
        for title in [
            "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
            "sshd: /usr/sbin/sshd",
            "sshd: [accepted]",
            "sshd: alice [net]",
            "sshd: alice [pam]",
            "sshd-session: [net]",
            "bash",
        ] {
            assert_eq!(Title::parse(title), None, "{title}");
        }
    }
}
