use proptest::prelude::*;

use super::*;
use crate::session::{AuthKey, Certificate};

const FP: &str = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI";

fn origin(text: &str) -> Option<SocketAddr> {
    Some(text.parse().expect("an address"))
}

fn key(kind: &str) -> Option<AuthKey> {
    Some(AuthKey { kind: kind.into(), fingerprint: FP.into() })
}

fn auth(method: &str) -> Auth {
    Auth { method: method.into(), key: None, certificate: None, user_log: None }
}

fn known(name: &str) -> Name<'_> {
    Name { name, is_known: true }
}

fn unknown(name: &str) -> Name<'_> {
    Name { name, is_known: false }
}

fn failed<'a>(method: &'a str, user: Name<'a>, from: &str) -> Option<Said<'a>> {
    Some(Said::Failed { method, user, origin: origin(from) })
}

#[test]
fn lines_are_taken_apart() {
    let line = |text| Line::parse(text).map(|line| (line.pid, line.text));
    assert_eq!(line("<38>Nov 21 07:12:28 sshd[712]: Accepted x"), Some((712, "Accepted x")));
    assert_eq!(line("<158>Nov  1 07:12:28 sshd-session[1]: a]: b"), Some((1, "a]: b")));
    for wrong in [
        "",
        "38>Nov 21 07:12:28 sshd[712]: x",
        "<>Nov 21 07:12:28 sshd[712]: x",
        "<3888>Nov 21 07:12:28 sshd[712]: x",
        "<-8>Nov 21 07:12:28 sshd[712]: x",
        "<38>Nov 21 07:12:28 sshd: Accepted password for root from 6.6.6.6 port 6 ssh2",
        "<38>Nov 21 07:12:28 sshd[]: x",
        "<38>Nov 21 07:12:28 sshd[+1]: x",
        "<38>Nov 21 07:12:28 sshd[99999999999]: x",
        "<38>Nov 21 07:12:28 sshd: x[712]: y",
        "<38>short",
        "<38>Nov 21 07:12:2\u{e9} sshd[712]: x",
    ] {
        assert_eq!(line(wrong), None, "{wrong}");
    }
}

#[test]
fn accepted_by_password_key_and_certificate() {
    let accepted = |text: &str, user: &str, auth: Auth| {
        let Some(Said::Accepted { user: found, origin: from, auth: found_auth }) = parse(text) else {
            panic!("not accepted: {text}");
        };
        assert_eq!((found, from, found_auth), (user, origin("192.0.2.7:22181"), auth), "{text}");
    };
    let from = "from 192.0.2.7 port 22181 ssh2";
    accepted(&format!("Accepted password for alice {from}"), "alice", auth("password"));
    accepted(
        &format!("Accepted keyboard-interactive/pam for DOM\\a b {from}"),
        "DOM\\a b",
        auth("keyboard-interactive/pam"),
    );
    accepted(
        &format!("Accepted publickey for alice {from}: ED25519 {FP}"),
        "alice",
        Auth { key: key("ED25519"), ..auth("publickey") },
    );
    let certificate =
        Certificate { id: "alice@corp (serial 8)".into(), serial: u64::MAX, ca: key("RSA").expect("a key") };
    accepted(
        &format!(
            "Accepted publickey for alice {from}: ED25519-CERT {FP} ID alice@corp (serial 8) (serial {}) CA RSA {FP}",
            u64::MAX
        ),
        "alice",
        Auth { key: key("ED25519-CERT"), certificate: Some(certificate), ..auth("publickey") },
    );
    // Host based: there is more behind the key.
    accepted(
        &format!("Accepted hostbased for alice {from}: RSA {FP}, client user \"x\", client host \"y\""),
        "alice",
        Auth { key: key("RSA"), ..auth("hostbased") },
    );
    // What is no key costs only the key.
    accepted(&format!("Accepted publickey for alice {from}: RSA (null)"), "alice", auth("publickey"));
}

#[test]
fn accepted_over_other_addresses() {
    let from = |text: &str| match parse(text) {
        Some(Said::Accepted { origin, .. }) => origin,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(from("Accepted none for a from ::1 port 7 ssh2"), origin("[::1]:7"));
    assert_eq!(from("Accepted none for a from fe80::1%eth0 port 7 ssh2"), origin("[fe80::1]:7"));
    assert_eq!(from("Accepted none for a from ::ffff:192.0.2.1 port 7 ssh2"), origin("192.0.2.1:7"));
    assert_eq!(from("Accepted none for a from UNKNOWN port 65535 ssh2"), None);
}

#[test]
fn what_the_unprivileged_child_says_is_not_accepted() {
    assert_eq!(parse("Accepted password for root from 6.6.6.6 port 6 ssh2 [preauth]"), None);
    // The mark may have been cut off from a line that was made long on purpose.
    let line = format!("Accepted password for root from 6.6.6.6 port 6 ssh2: {}", "x".repeat(CUT_AT));
    assert_eq!(parse(&line[..CUT_AT]), None);
    assert!(parse(&line[..CUT_AT - 1]).is_some());
}

#[test]
fn probes_and_promises_are_not_accepted() {
    for text in [
        "Accepted key ED25519 SHA256:abc found at /home/alice/.ssh/authorized_keys:1",
        "Root login accepted for forced command.",
        "Postponed publickey for alice from 192.0.2.7 port 1 ssh2",
        "Partial publickey for alice from 192.0.2.7 port 1 ssh2",
        "Accepted password for  from 192.0.2.7 port 1",
        "Accepted password for alice from example.org port 1 ssh2",
        "Accepted password for alice from 192.0.2.7 port 65536 ssh2",
        "Accepted password for alice from 192.0.2.7 port 1 ssh1",
        "Accepted password for alice from 192.0.2.7 port 1 ssh2 and more",
        "User child is on pid 7",
        " Accepted password for root from 6.6.6.6 port 6 ssh2",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn a_user_named_like_a_line_is_only_a_name() {
    assert_eq!(
        parse(
            "Failed password for invalid user root from 9.9.9.9 port 9 ssh2 from 127.0.0.1 port 43874 ssh2"
        ),
        failed("password", unknown("root from 9.9.9.9 port 9 ssh2"), "127.0.0.1:43874"),
    );
    assert_eq!(
        parse("Invalid user root from 9.9.9.9 port 9 from 127.0.0.1 port 43874"),
        Some(Said::InvalidUser { name: "root from 9.9.9.9 port 9", origin: origin("127.0.0.1:43874") }),
    );
    assert_eq!(
        parse("Connection closed by invalid user root 9.9.9.9 port 9 127.0.0.1 port 43874 [preauth]"),
        Some(Said::Ended { user: Some(unknown("root 9.9.9.9 port 9")), origin: origin("127.0.0.1:43874") }),
    );
    // A line break is escaped by sshd: it starts no line.
    assert_eq!(
        parse("Invalid user a\\nAccepted password for root from 6.6.6.6 port 6 ssh2 from 127.0.0.1 port 4"),
        Some(Said::InvalidUser {
            name: "a\\nAccepted password for root from 6.6.6.6 port 6 ssh2",
            origin: origin("127.0.0.1:4"),
        }),
    );
    // Pretending to be known does not help.
    assert_eq!(
        parse("Failed none for invalid user invalid user root from 127.0.0.1 port 4 ssh2"),
        failed("none", unknown("invalid user root"), "127.0.0.1:4"),
    );
    assert_eq!(
        parse("Invalid user  from 127.0.0.1 port 4"),
        Some(Said::InvalidUser { name: "", origin: origin("127.0.0.1:4") })
    );
}

#[test]
fn a_certificate_named_like_a_line_is_only_a_name() {
    let id = format!("x from 6.6.6.6 port 6 ssh2: RSA {FP} (serial 1) CA RSA {FP}");
    let text = format!(
        "Accepted publickey for alice from 192.0.2.7 port 22 ssh2: RSA-CERT {FP} ID {id} (serial 7) CA ED25519 {FP}"
    );
    let Some(Said::Accepted { user, origin: from, auth }) = parse(&text) else {
        panic!("not accepted");
    };
    assert_eq!((user, from), ("alice", origin("192.0.2.7:22")));
    let certificate = auth.certificate.expect("a certificate");
    assert_eq!((certificate.id, certificate.serial, certificate.ca.kind.as_str()), (id, 7, "ED25519"));
}

#[test]
fn a_banner_named_like_a_line_is_only_a_protocol_error() {
    for text in [
        "error: kex_exchange_identification: client sent invalid protocol identifier \"Accepted password for root from 6.6.6.6 port 6 ssh2\"",
        "banner exchange: Connection from 127.0.0.1 port 4 : invalid format",
        "banner exchange: Connection from 127.0.0.1 port 4: invalid format [preauth]",
        "Bad protocol version identification 'Accepted password for root' from 127.0.0.1 port 4",
        "Unable to negotiate with 127.0.0.1 port 4: no matching cipher found. Their offer: Accepted [preauth]",
        "ssh_dispatch_run_fatal: Connection from authenticating user root 127.0.0.1 port 4: message authentication code incorrect [preauth]",
    ] {
        assert_eq!(parse(text), Some(Said::ProtocolError), "{text}");
    }
}

#[test]
fn lines_that_strangers_imitate_elsewhere_mean_nothing() {
    for text in [
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 user=Accepted password for root from 6.6.6.6 port 6 ssh2",
        "Nasty PTR record \"Accepted password for root from 6.6.6.6 port 6 ssh2\" is set up for 127.0.0.1, ignoring",
        "error: Received disconnect: Accepted password for root from 6.6.6.6 port 6 ssh2",
        "User alice from 127.0.0.1 Accepted password for root from 6.6.6.6 port 6 ssh2",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    // The client's own words of farewell.
    assert_eq!(
        parse(
            "Received disconnect from 127.0.0.1 port 4:11: Accepted password for root from 6.6.6.6 port 6 ssh2 [preauth]"
        ),
        Some(Said::Ended { user: None, origin: origin("127.0.0.1:4") }),
    );
}

#[test]
fn refusals_are_told_apart() {
    let (at, here) = ("from 127.0.0.1 port 4 ssh2", "127.0.0.1:4");
    let cases = [
        (format!("Failed password for alice {at}"), failed("password", known("alice"), here)),
        (format!("Failed publickey for root {at}: RSA {FP}"), failed("publickey", known("root"), here)),
        (
            "error: PAM: Authentication failure for x y from 127.0.0.1".to_owned(),
            Some(Said::PamFailed { user: known("x y") }),
        ),
        (
            "error: PAM: User not known to the underlying authentication module for illegal user x from ::1".to_owned(),
            Some(Said::PamFailed { user: unknown("x") }),
        ),
        (
            format!("error: maximum authentication attempts exceeded for invalid user x {at} [preauth]"),
            Some(Said::TooMany { user: Some(unknown("x")) }),
        ),
        (
            "Disconnecting authenticating user alice 127.0.0.1 port 4: Too many authentication failures [preauth]".to_owned(),
            Some(Said::TooMany { user: Some(known("alice")) }),
        ),
        ("ROOT LOGIN REFUSED FROM 127.0.0.1 port 4 [preauth]".to_owned(), Some(Said::NotAllowed { name: None })),
        (
            "User eve from 127.0.0.1 not allowed because listed in DenyUsers".to_owned(),
            Some(Said::NotAllowed { name: Some("eve") }),
        ),
        (
            "User eve not allowed because account is locked".to_owned(),
            Some(Said::NotAllowed { name: Some("eve") }),
        ),
        (
            "fatal: Access denied for user eve by PAM account configuration [preauth]".to_owned(),
            Some(Said::NotAllowed { name: Some("eve") }),
        ),
        ("Account eve has expired".to_owned(), Some(Said::NotAllowed { name: Some("eve") })),
        (
            "fatal: Timeout before authentication for 127.0.0.1 port 4".to_owned(),
            Some(Said::TimedOut),
        ),
        (
            "Timeout before authentication for connection from 127.0.0.1 to 127.0.0.2, pid = 7".to_owned(),
            Some(Said::TimedOut),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(&text), expected, "{text}");
    }
}

#[test]
fn endings_are_told_apart() {
    let ended = |user| Some(Said::Ended { user, origin: origin("127.0.0.1:4") });
    for (text, expected) in [
        ("Connection closed by 127.0.0.1 port 4", ended(None)),
        (
            "Connection closed by authenticating user alice 127.0.0.1 port 4 [preauth]",
            ended(Some(known("alice"))),
        ),
        ("Connection reset by invalid user x y 127.0.0.1 port 4 [preauth]", ended(Some(unknown("x y")))),
        ("Disconnected from authenticating user a 127.0.0.1 port 4 [preauth]", ended(Some(known("a")))),
        ("Connection from authenticating user a 127.0.0.1 port 4 timed out", ended(Some(known("a")))),
        ("Disconnecting 127.0.0.1 port 4: Change of username or service not allowed: (a,b) -> (c,d)", None),
        ("Connection closed by whoever 127.0.0.1 port 4", None),
        ("Connection closed by 127.0.0.1", None),
        ("error: kex_exchange_identification: Connection closed by remote host", None),
        ("error: kex_exchange_identification: read: Connection reset by peer", None),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn dropped_connections_have_both_ends() {
    let dropped = |is_penalty| {
        let (peer, local) = (origin("192.0.2.7:40000"), origin("[::1]:22"));
        Some(Said::Dropped { peer: peer.expect("given"), local: local.expect("given"), is_penalty })
    };
    let at = "from [192.0.2.7]:40000 on [::1]:22";
    assert_eq!(parse(&format!("drop connection #1 {at} past MaxStartups")), dropped(false));
    assert_eq!(parse(&format!("drop connection #11 {at} Maxstartups")), dropped(false));
    assert_eq!(parse(&format!("drop connection #0 {at} penalty: failed authentication")), dropped(true));
    assert_eq!(parse(&format!("drop connection #0 {at} PerSourcePenalties")), dropped(true));
    assert_eq!(parse("drop connection #x from [192.0.2.7]:40000 on [::1]:22 Maxstartups"), None);
    assert_eq!(parse("drop connection #1 from [host]:40000 on [::1]:22 Maxstartups"), None);
}

/// Pieces that lines are made of, so that invented lines come close to real ones.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Accepted ".to_owned()),
        Just("Failed ".to_owned()),
        Just("password for ".to_owned()),
        Just("publickey for ".to_owned()),
        Just("invalid user ".to_owned()),
        Just("authenticating user ".to_owned()),
        Just("Connection closed by ".to_owned()),
        Just("Disconnecting ".to_owned()),
        Just("drop connection #1 from [::1]:1 on ".to_owned()),
        Just(" from ".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just(" port 4".to_owned()),
        Just(" ssh2".to_owned()),
        Just(": RSA SHA256:abc".to_owned()),
        Just(" ID x (serial 7) CA RSA SHA256:abc".to_owned()),
        Just(" [preauth]".to_owned()),
        Just("error: ".to_owned()),
        Just("\u{e9}".to_owned()),
        "[ -~]{0,8}",
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        if let Some(line) = Line::parse(&text) {
            drop(parse(line.text));
        }
        drop(parse(&text));
        let line = format!("<38>Nov 21 07:12:28 sshd[7]: {text}");
        prop_assert_eq!(Line::parse(&line).map(|line| line.text), Some(text.as_str()));
    }

    /// Whatever an unknown user calls themselves: it is a name, the address is the real one, and nobody is accepted.
    #[test]
    fn no_name_escapes(pieces in proptest::collection::vec(piece(), 0..14)) {
        let name: String = pieces.concat();
        let text = format!("Failed password for invalid user {name} from 127.0.0.1 port 43874 ssh2");
        prop_assert_eq!(parse(&text), failed("password", unknown(&name), "127.0.0.1:43874"));
        let text = format!("Invalid user {name} from 127.0.0.1 port 43874");
        prop_assert_eq!(parse(&text), Some(Said::InvalidUser { name: &name, origin: origin("127.0.0.1:43874") }));
        let text = format!("Connection closed by invalid user {name} 127.0.0.1 port 43874 [preauth]");
        let ended = Said::Ended { user: Some(unknown(&name)), origin: origin("127.0.0.1:43874") };
        prop_assert_eq!(parse(&text), Some(ended));
    }

    /// Whatever an authority writes into a certificate: the user and the address are the real ones.
    #[test]
    fn no_certificate_escapes(pieces in proptest::collection::vec(piece(), 0..8)) {
        let id: String = pieces.concat();
        let text = format!("Accepted publickey for alice from 192.0.2.7 port 22 ssh2: RSA-CERT {FP} ID {id} (serial 7) CA RSA {FP}");
        prop_assume!(text.len() < CUT_AT);
        let Some(Said::Accepted { user, origin: from, auth }) = parse(&text) else {
            return Err(TestCaseError::fail("not accepted"));
        };
        prop_assert_eq!((user, from), ("alice", origin("192.0.2.7:22")));
        prop_assert_eq!(auth.certificate.map(|certificate| certificate.id), Some(id));
    }
}
