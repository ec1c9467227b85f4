//! The title of a monitor, as OpenSSH sets it: `sshd: NAME [priv]`; since 9.8 `sshd-session: NAME [priv]`; since
//! 10.x `[postauth]` after authentication.

/// The user name in a monitor's title; `None` where the title has another shape.
pub(super) fn user(title: &str) -> Option<String> {
    let rest = ["sshd-session: ", "sshd: "].iter().find_map(|program| title.strip_prefix(program))?;
    let name = [" [priv]", " [postauth]"].iter().find_map(|role| rest.strip_suffix(role))?;
    (!name.is_empty()).then(|| name.to_owned())
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
}
