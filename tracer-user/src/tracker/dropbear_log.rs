//! What Dropbear says in its log lines. Pure, with the rules of `sshd_log`, whose [`Line`](super::sshd_log::Line) takes a
//! datagram apart.
//!
//! A text means something only by how it begins, and must have its shape up to the end. It is read from the right, where
//! Dropbear writes what it knows itself (address, key): whatever a name looks like, it is the name.
//!
//! Texts are those of 2012.55 to 2025 (`svr-auth*.c`, `svr-session.c`). Names are those of accounts: what strangers type
//! is not logged.

use std::net::SocketAddr;

use super::sshd_log::{Name, Said, address_of, is_number};
use crate::session::{Auth, AuthKey};

/// What a text says; `None` if nothing that matters.
pub(super) fn parse(text: &str) -> Option<Said<'_>> {
    accepted(text).or_else(|| refusal(text)).or_else(|| ending(text))
}

/// `Pubkey auth succeeded for 'NAME' with TYPE key FINGERPRINT from ADDRESS:PORT`, and the same for passwords without a key.
fn accepted(text: &str) -> Option<Said<'_>> {
    const WITHOUT_KEY: [(&str, &str); 3] = [
        ("Password auth succeeded for '", "password"),
        ("PAM password auth succeeded for '", "password"),
        ("Auth succeeded with blank password for '", "none"),
    ];
    let (user, method, key, origin) = if let Some(rest) = text.strip_prefix("Pubkey auth succeeded for '") {
        let (rest, origin) = rest.rsplit_once(" from ")?;
        let (rest, fingerprint) = rest.rsplit_once(" key ")?;
        let (user, kind) = rest.rsplit_once("' with ")?;
        (user, "publickey", Some(key(kind, fingerprint)?), origin)
    } else {
        let (rest, method) = WITHOUT_KEY
            .iter()
            .find_map(|(beginning, method)| Some((text.strip_prefix(beginning)?, *method)))?;
        let (user, origin) = rest.rsplit_once("' from ")?;
        (user, method, None, origin)
    };
    if user.is_empty() {
        return None;
    }
    Some(Said::Accepted {
        user,
        origin: Some(endpoint(origin)?),
        auth: Auth { method: method.to_owned(), key, certificate: None, user_log: None },
    })
}

fn key(kind: &str, fingerprint: &str) -> Option<AuthKey> {
    /// The longest is that of security keys with elliptic curves.
    const KIND_LEN: usize = 64;
    let is_kind = |c: char| c.is_ascii_alphanumeric() || "-@.".contains(c);
    let is_fingerprint = |c: char| c.is_ascii_alphanumeric() || "+/=:".contains(c);
    let is_right = !kind.is_empty()
        && kind.len() <= KIND_LEN
        && kind.chars().all(is_kind)
        && fingerprint.contains(':')
        && fingerprint.chars().all(is_fingerprint);
    is_right.then(|| AuthKey { kind: kind.to_owned(), fingerprint: fingerprint.to_owned() })
}

/// Lines about what a client tried.
fn refusal(text: &str) -> Option<Said<'_>> {
    for beginning in ["Bad password attempt for '", "Bad PAM password attempt for '"] {
        if let Some(rest) = text.strip_prefix(beginning) {
            let (name, origin) = rest.rsplit_once("' from ")?;
            let user = Name { name, is_known: true };
            return Some(Said::Failed { method: "password", user, origin: Some(endpoint(origin)?) });
        }
    }
    if let Some(rest) = text.strip_prefix("Login attempt for nonexistent user") {
        return (rest.is_empty() || rest.starts_with(" from ")).then_some(Said::UnknownUser);
    }
    if text.eq_ignore_ascii_case("root login rejected") {
        return Some(Said::NotAllowed { name: None });
    }
    let (name, why) = text.strip_prefix("User '")?.rsplit_once("' has ")?;
    why.ends_with(", rejected").then_some(Said::NotAllowed { name: Some(name) })
}

/// Lines about how a connection begins and ends.
fn ending(text: &str) -> Option<Said<'_>> {
    if let Some(origin) = text.strip_prefix("Child connection from ") {
        return Some(Said::Greeted { origin: Some(endpoint(origin)?) });
    }
    let (origin, rest) = text.strip_prefix("Exit before auth from <")?.split_once(">: ")?;
    let origin = Some(endpoint(origin)?);
    let (user, why) = match rest.strip_prefix("(user '") {
        Some(rest) => {
            let (head, why) = rest.rsplit_once(" fails): ")?;
            let (name, count) = head.rsplit_once("', ")?;
            (is_number(count).then_some(Some(Name { name, is_known: true }))?, why)
        }
        None => (None, rest),
    };
    if why.starts_with("Max auth tries reached") {
        return Some(Said::TooMany { user });
    }
    if why.starts_with("Timeout before auth") {
        return Some(Said::TimedOut);
    }
    const ERRORS: [&str; 6] = [
        "No matching algo",
        "Integrity error",
        "Bad packet size",
        "Incompatible remote version",
        "Unexpected packet",
        "Protocol error",
    ];
    if ERRORS.iter().any(|beginning| why.starts_with(beginning)) {
        return Some(Said::ProtocolError);
    }
    Some(Said::Ended { user, origin })
}

/// `ADDRESS:PORT`, IPv6 without brackets.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.rsplit_once(':')?;
    let port: u16 = is_number(port).then(|| port.parse().ok())??;
    Some(SocketAddr::new(address_of(address)??, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "SHA256:HcvfXdFCWKkvIrYL6Z70X9vA+dy7tqnq1n7u7FjiYCs";

    fn origin() -> Option<SocketAddr> {
        Some("192.0.2.7:36664".parse().unwrap())
    }

    fn let_in<'a>(user: &'a str, method: &str, key: Option<AuthKey>) -> Option<Said<'a>> {
        let auth = Auth { method: method.into(), key, certificate: None, user_log: None };
        Some(Said::Accepted { user, origin: origin(), auth })
    }

    fn ed25519() -> Option<AuthKey> {
        Some(AuthKey { kind: "ssh-ed25519".into(), fingerprint: FINGERPRINT.into() })
    }

    #[test]
    fn who_is_let_in_and_how() {
        let text = format!(
            "Pubkey auth succeeded for 'alice' with ssh-ed25519 key {FINGERPRINT} from 192.0.2.7:36664"
        );
        assert_eq!(parse(&text), let_in("alice", "publickey", ed25519()));
        for (text, method) in [
            ("Password auth succeeded for 'alice' from 192.0.2.7:36664", "password"),
            ("PAM password auth succeeded for 'alice' from 192.0.2.7:36664", "password"),
            ("Auth succeeded with blank password for 'alice' from 192.0.2.7:36664", "none"),
        ] {
            assert_eq!(parse(text), let_in("alice", method, None), "{text}");
        }
        let v6 = parse("Password auth succeeded for 'root' from 2001:db8::7:3666");
        let Some(Said::Accepted { origin: Some(origin), .. }) = v6 else { panic!("{v6:?}") };
        assert_eq!(origin, "[2001:db8::7]:3666".parse().unwrap());
    }

    #[test]
    fn a_name_is_a_name_whatever_it_says() {
        let name = format!("root' with ssh-rsa key {FINGERPRINT} from 6.6.6.6:6");
        let text = format!(
            "Pubkey auth succeeded for '{name}' with ssh-ed25519 key {FINGERPRINT} from 192.0.2.7:36664"
        );
        assert_eq!(parse(&text), let_in(&name, "publickey", ed25519()));
        let name = "root' from 6.6.6.6:6";
        let text = format!("Password auth succeeded for '{name}' from 192.0.2.7:36664");
        assert_eq!(parse(&text), let_in(name, "password", None));
        let text = format!("Bad password attempt for '{name}' from 192.0.2.7:36664");
        let user = Name { name, is_known: true };
        assert_eq!(parse(&text), Some(Said::Failed { method: "password", user, origin: origin() }));
        let name = "x', 0 fails): Password auth succeeded for 'root";
        let text =
            format!("Exit before auth from <192.0.2.7:36664>: (user '{name}', 2 fails): Exited normally");
        let user = Some(Name { name, is_known: true });
        assert_eq!(parse(&text), Some(Said::Ended { user, origin: origin() }));
    }

    #[test]
    fn nothing_is_said_in_the_middle_of_a_line() {
        let good = "Password auth succeeded for 'root' from 192.0.2.7:36664";
        for text in [
            format!(" {good}"),
            format!("User '{good}"),
            format!("Exit (alice) from <192.0.2.7:36664>: {good}"),
            format!("Login attempt with wrong user {good}"),
            format!("{good} [preauth]"),
            format!("{good}, they say"),
            "Password auth succeeded for '' from 192.0.2.7:36664".into(),
            "Password auth succeeded for 'root' from 192.0.2.7".into(),
            "Password auth succeeded for 'root' from 192.0.2.7:66666".into(),
            "Password auth succeeded for 'root' from UNKNOWN:1".into(),
            "Pubkey auth succeeded for 'root' from 192.0.2.7:36664".into(),
            "Pubkey auth succeeded for 'root' with a b key SHA256:x from 192.0.2.7:36664".into(),
            "Pubkey auth succeeded for 'root' with ssh-rsa key x from 192.0.2.7:36664".into(),
            String::new(),
        ] {
            assert_eq!(parse(&text), None, "{text}");
        }
    }

    #[test]
    fn what_was_tried_and_how_it_ended() {
        let alice = Name { name: "alice", is_known: true };
        let from = "Exit before auth from <192.0.2.7:36664>: ";
        for (text, said) in [
            ("Child connection from 192.0.2.7:36664".to_owned(), Said::Greeted { origin: origin() }),
            ("Login attempt for nonexistent user".into(), Said::UnknownUser),
            ("Login attempt for nonexistent user from 192.0.2.7:36664".into(), Said::UnknownUser),
            ("root login rejected".into(), Said::NotAllowed { name: None }),
            ("User 'alice' has invalid shell, rejected".into(), Said::NotAllowed { name: Some("alice") }),
            (format!("{from}Exited normally"), Said::Ended { user: None, origin: origin() }),
            (
                format!("{from}(user 'alice', 0 fails): Exited normally"),
                Said::Ended { user: Some(alice), origin: origin() },
            ),
            (
                format!("{from}(user 'alice', 10 fails): Max auth tries reached - user 'alice'"),
                Said::TooMany { user: Some(alice) },
            ),
            (format!("{from}Timeout before auth"), Said::TimedOut),
            (format!("{from}No matching algo kex"), Said::ProtocolError),
        ] {
            assert_eq!(parse(&text), Some(said), "{text}");
        }
    }
}
