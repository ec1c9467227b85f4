//! How somebody came in and what ran first, as the session itself and its files tell it.

use login_tracer::session::{Auth, AuthKey, Certificate, CommandKind};

use super::Scenario;
use crate::accounts::{ALICE, BOB, Key, ROOT};
use crate::client::{GOOD, Login, Proof, Use};
use crate::sandbox::ROOM;
use crate::scene::Scene;
use crate::server::{Server, external_sftp};
use crate::tracer::Session;

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "methods",
        key_is_named,
        password_is_named,
        answers_to_pam_are_named,
        last_of_two_methods_is_named,
        certificate_is_named,
        certificate_that_imitates_a_line,
        what_runs_first_is_named,
        sshd_that_logs_elsewhere,
    ]
}

/// Plays a session, and gives what was listed of it when it was over.
fn whole(scene: &mut Scene<'_>, login: Login) -> Session {
    let mut client = login.start();
    let open = scene.opened(&client);
    let at_work = scene.known(&client, |session| session.auth.is_some());
    client.leave();
    scene.closed(open, &client, "logout");
    let over = scene.known(&client, |session| session.closed_at.is_some());
    assert_eq!(over.auth, at_work.auth, "it does not change");
    over
}

fn by(method: &str) -> Auth {
    Auth { method: method.to_owned(), key: None, certificate: None, user_log: None }
}

fn ed25519(kind: &str, key: Key) -> AuthKey {
    AuthKey { kind: kind.to_owned(), fingerprint: key.fingerprint() }
}

fn key_is_named(scene: &mut Scene<'_>) {
    let expected = Some(Auth { key: Some(ed25519("ED25519", Key::Listed)), ..by("publickey") });
    for login in [
        scene.site.pam.login(ALICE),
        scene.site.plain.login(BOB),
        scene.site.pam.login(ROOT),
        scene.site.plain.login(ROOT).over_ipv6(),
    ] {
        assert_eq!(whole(scene, login).auth, expected);
    }
}

fn password_is_named(scene: &mut Scene<'_>) {
    for login in [scene.site.pam.login(ALICE), scene.site.plain.login(ROOT)] {
        assert_eq!(whole(scene, login.by(Proof::Password(GOOD))).auth, Some(by("password")));
    }
}

fn answers_to_pam_are_named(scene: &mut Scene<'_>) {
    for account in [ALICE, ROOT] {
        let login = scene.site.questions.login(account).by(Proof::KeyboardInteractive(GOOD));
        assert_eq!(whole(scene, login).auth, Some(by("keyboard-interactive/pam")));
    }
}

fn last_of_two_methods_is_named(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM yes\nAuthenticationMethods publickey,password\n");
    let login = server.login(ALICE).by(Proof::Both(Key::Listed, GOOD));
    assert_eq!(whole(scene, login).auth, Some(by("password")));
}

fn with_certificate(scene: &mut Scene<'_>, id: &str, serial: u64) -> Session {
    Key::certify(&ALICE, id, serial);
    let authority = Key::Authority.path().with_extension("pub");
    let server = Server::start(&format!("UsePAM no\nTrustedUserCAKeys {}\n", authority.display()));
    whole(scene, server.login(ALICE).by(Proof::Key(Key::Certified)))
}

fn certified(id: &str, serial: u64) -> Auth {
    Auth {
        key: Some(ed25519("ED25519-CERT", Key::Certified)),
        certificate: Some(Certificate { id: id.to_owned(), serial, ca: ed25519("ED25519", Key::Authority) }),
        ..by("publickey")
    }
}

fn certificate_is_named(scene: &mut Scene<'_>) {
    let session = with_certificate(scene, "alice@corp", u64::MAX);
    assert_eq!(session.auth, Some(certified("alice@corp", u64::MAX)));
}

/// Whoever signs certificates may write into them what they like; it names neither another user nor another address.
fn certificate_that_imitates_a_line(scene: &mut Scene<'_>) {
    let id = "x (serial 8) CA RSA SHA256:abc from 6.6.6.6 port 6 ssh2: RSA SHA256:abc";
    let session = with_certificate(scene, id, 7);
    assert_eq!(session.user.as_deref(), Some("alice"));
    assert_eq!(session.auth, Some(certified(id, 7)));
}

fn what_runs_first_is_named(scene: &mut Scene<'_>) {
    for account in [ALICE, ROOT] {
        let ran =
            |session: Session| session.first_command.map(|first| (first.kind, first.words().to_owned()));
        let site = scene.site;
        let command = "read 'line'";
        // No command is the account's shell.
        for (asked, kind, listed) in
            [(command, CommandKind::Command, command), ("", CommandKind::Shell, "/bin/bash")]
        {
            let mut client = site.pam.login(account).to(Use::Run(asked.to_owned())).start();
            let open = scene.opened(&client);
            let session = scene.known(&client, |session| session.first_command.is_some());
            assert_eq!(ran(session), Some((kind, listed.to_owned())));
            client.leaves_now();
            client.say("exit");
            client.wait();
            scene.closed(open, &client, "logout");
        }

        let session = whole(scene, site.pam.login(account).to(Use::Sftp));
        assert_eq!(ran(session), Some((CommandKind::Sftp, external_sftp().to_owned())));
        // Inside of sshd, or without any channel, nothing is executed.
        assert_eq!(ran(whole(scene, site.plain.login(account).to(Use::Sftp))), None);
        assert_eq!(ran(whole(scene, site.pam.login(account).to(Use::Nothing))), None);
    }
}

/// Nothing at all, or into a file of its own: that costs the detail and nothing else.
fn sshd_that_logs_elsewhere(scene: &mut Scene<'_>) {
    const FILE: &str = "/run/e2e/sshd_own.log";
    assert!(FILE.starts_with(ROOM));
    for server in [
        Server::start("UsePAM yes\nLogLevel QUIET\n"),
        Server::start("UsePAM yes\nLogLevel ERROR\nPermitRootLogin yes\n"),
        Server::start_with("UsePAM yes\n", &["-E", FILE]),
    ] {
        let mut client = server.login(ALICE).found_by(Some(server.pid())).start();
        let open = scene.opened(&client);
        client.leave();
        scene.closed(open, &client, "logout");
        let session = scene.known(&client, |session| session.closed_at.is_some());
        assert_eq!(session.auth, None);
        assert!(session.first_command.is_some());
    }
    let logged = std::fs::read_to_string(FILE).expect("sshd writes there");
    assert!(logged.contains("Accepted publickey for alice"), "{logged}");
}
