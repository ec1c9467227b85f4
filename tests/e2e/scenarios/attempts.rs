//! Whoever is not let in is listed once, with what they tried and why it came to nothing.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use login_tracer::session::{Attempt, Reason, TriedUser};

use super::Scenario;
use super::refusals::{connection, read_to_the_end};
use crate::accounts::{ALICE, Account, BOB, EXPIRED, Key, ROOT, UNKNOWN, nobody_called};
use crate::client::{BAD, GOOD, Login, Proof};
use crate::scene::Scene;
use crate::server::Server;
use crate::tracer::Tracer;

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "attempts",
        wrong_password,
        wrong_key,
        unknown_user,
        too_many,
        wrong_answer,
        accounts_that_may_not_log_in,
        root_without_forced_command,
        scanners,
        greetings_that_are_none,
        nothing_in_common,
        grace_time,
        max_startups,
        sshd_that_logs_nothing,
        names_that_imitate_lines,
    ]
}

/// Tries to log in, and gives what is listed of it.
fn refused(scene: &Scene<'_>, login: Login) -> Attempt {
    let (peer, local) = (login.peer, login.local);
    login.start().expect_refusal();
    let attempt = scene.attempted(peer);
    assert_eq!(attempt.local, Some(local));
    assert!(attempt.sshd_pid.is_some());
    attempt
}

fn user(account: Account, is_known: bool) -> Vec<TriedUser> {
    vec![TriedUser { name: account.name.to_owned(), is_known }]
}

fn wrong_password(scene: &mut Scene<'_>) {
    for (server, account) in [(&scene.site.pam, ALICE), (&scene.site.plain, ROOT)] {
        let found = refused(scene, server.login(account).by(Proof::Password(BAD)));
        assert_eq!((found.reason, found.tried.failures), (Reason::WrongPassword, 1));
        assert_eq!(
            (found.tried.users, found.tried.methods),
            (user(account, true), vec!["password".to_owned()])
        );
    }
    let found = refused(scene, scene.site.plain.login(ALICE).by(Proof::Password(BAD)).trying(2));
    assert_eq!((found.reason, found.tried.failures), (Reason::WrongPassword, 2));
}

fn wrong_key(scene: &mut Scene<'_>) {
    let found = refused(scene, scene.site.pam.login(ALICE).by(Proof::Key(Key::Stranger)));
    assert_eq!((found.reason, found.tried.users), (Reason::WrongKey, user(ALICE, true)));
    // A certificate of an authority that nobody trusts.
    Key::certify(&ALICE, "alice", 1);
    let found = refused(scene, scene.site.plain.login(ALICE).by(Proof::Key(Key::Certified)));
    assert_eq!((found.reason, found.tried.users), (Reason::WrongKey, user(ALICE, true)));
}

fn unknown_user(scene: &mut Scene<'_>) {
    for login in [scene.site.plain.login(UNKNOWN).by(Proof::Password(GOOD)), scene.site.pam.login(UNKNOWN)] {
        let found = refused(scene, login);
        assert_eq!((found.reason, found.tried.users), (Reason::UnknownUser, user(UNKNOWN, false)));
    }
    for arguments in [&[][..], &["--json"]] {
        assert!(!Tracer::attempts_listing(arguments).contains(UNKNOWN.name), "the name is hidden");
    }
    assert!(Tracer::attempts_listing(&["--show-names"]).contains(UNKNOWN.name));
}

fn too_many(scene: &mut Scene<'_>) {
    let found = refused(scene, scene.site.plain.login(ALICE).by(Proof::Password(BAD)).trying(10));
    assert_eq!((found.reason, &found.tried.users), (Reason::TooMany, &user(ALICE, true)));
    assert!(found.tried.failures >= 2, "{found:?}");
}

fn wrong_answer(scene: &mut Scene<'_>) {
    let login = scene.site.questions.login(ALICE).by(Proof::KeyboardInteractive(BAD));
    let found = refused(scene, login);
    assert_eq!((found.reason, found.tried.users), (Reason::WrongPassword, user(ALICE, true)));
    assert_eq!((found.tried.methods, found.tried.failures), (vec!["keyboard-interactive/pam".to_owned()], 1));
}

fn accounts_that_may_not_log_in(scene: &mut Scene<'_>) {
    for (lines, account, proof) in [
        ("UsePAM yes\n", EXPIRED, Proof::Key(Key::Listed)),
        ("UsePAM no\nPasswordAuthentication yes\n", EXPIRED, Proof::Password(GOOD)),
        ("UsePAM yes\nDenyUsers alice\n", ALICE, Proof::Key(Key::Listed)),
        ("UsePAM yes\nPermitRootLogin no\n", ROOT, Proof::Key(Key::Listed)),
    ] {
        let server = Server::start(lines);
        let found = refused(scene, server.login(account).by(proof));
        assert_eq!((found.reason, found.tried.users), (Reason::NotAllowed, user(account, true)), "{lines}");
    }
}

/// The client believes that it is in, and so does the unprivileged child.
fn root_without_forced_command(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nPermitRootLogin forced-commands-only\n");
    let mut client = server.login(ROOT).start();
    assert!(!client.wait().success(), "sshd runs nothing for root");
    let found = scene.attempted(client.login.peer);
    assert_eq!((found.reason, found.tried.users), (Reason::NotAllowed, user(ROOT, true)));
}

/// A connection that does this and no more.
fn bare(scene: &Scene<'_>, server: &Server, act: impl FnOnce(std::net::TcpStream)) -> Attempt {
    let stream = connection(server, ALICE);
    let peer: SocketAddr = stream.local_addr().expect("it is connected");
    act(stream);
    scene.attempted(peer)
}

fn scanners(scene: &mut Scene<'_>) {
    for server in [&scene.site.pam, &scene.site.plain] {
        let found = bare(scene, server, drop);
        assert_eq!((found.reason, found.tried.users), (Reason::NoAuthentication, vec![]));
        let found = bare(scene, server, |mut stream| {
            let mut banner = [0; 4];
            stream.read_exact(&mut banner).expect("sshd greets first");
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
                .expect("a socket can be told to reset");
        });
        assert_eq!((found.reason, found.tried.users), (Reason::NoAuthentication, vec![]));
    }
}

fn greetings_that_are_none(scene: &mut Scene<'_>) {
    for greeting in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"Accepted password for root from 6.6.6.6 port 666 ssh2\r\n",
        b"\"\r\nAccepted password for root from 6.6.6.6 port 666 ssh2\r\n",
        b"SSH-9.9-Accepted password for root from 6.6.6.6 port 666 ssh2\r\n",
    ] {
        let found = bare(scene, &scene.site.plain, |mut stream| {
            stream.write_all(greeting).expect("sshd reads");
            read_to_the_end(stream);
        });
        assert_eq!((found.reason, found.tried.users), (Reason::ProtocolError, vec![]), "{greeting:?}");
    }
}

fn nothing_in_common(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nCiphers aes256-ctr\n");
    let login = server.login(ALICE).with("Ciphers=aes128-ctr");
    assert_eq!(refused(scene, login).reason, Reason::ProtocolError);
}

fn grace_time(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM yes\nLoginGraceTime 1\n");
    let found = bare(scene, &server, |mut stream| {
        stream.write_all(b"SSH-2.0-patience\r\n").expect("sshd reads");
        read_to_the_end(stream);
    });
    assert_eq!(found.reason, Reason::TimedOut);
    let lasted = found.ended_at.duration_since(found.began_at).as_secs_f64();
    assert!((0.9..8.0).contains(&lasted), "it lasted {lasted} s");
}

/// Those whom the listener sends away have no process of their own.
fn max_startups(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nMaxStartups 1:100:1\nLogLevel VERBOSE\n");
    let mut first = connection(&server, ALICE);
    first.read_exact(&mut [0; 4]).expect("sshd greets the first");
    for _ in 0..3 {
        let second = connection(&server, ALICE);
        let peer = second.local_addr().expect("it is connected");
        read_to_the_end(second);
        let found = scene.attempted(peer);
        assert_eq!((found.reason, found.sshd_pid), (Reason::DroppedMaxStartups, None));
    }
}

fn sshd_that_logs_nothing(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nLogLevel QUIET\nPasswordAuthentication yes\n");
    let found = refused(scene, server.login(ALICE).by(Proof::Password(BAD)));
    assert_eq!(found.tried.users, []);
    assert!([Reason::Other, Reason::Refused].contains(&found.reason), "{found:?}");
    let found = bare(scene, &server, drop);
    assert_eq!(found.reason, Reason::NoAuthentication);
    let server = Server::start("UsePAM no\nLogLevel QUIET\nLoginGraceTime 1\n");
    let found = bare(scene, &server, |mut stream| {
        stream.write_all(b"SSH-2.0-patience\r\n").expect("sshd reads");
        read_to_the_end(stream);
    });
    assert_eq!(found.reason, Reason::TimedOut);
}

/// They are names, unknown ones, of somebody who came from where they came from.
fn names_that_imitate_lines(scene: &mut Scene<'_>) {
    for name in [
        "root from 9.9.9.9 port 9 ssh2",
        "invalid user root",
        "x [preauth]",
        // sshd ends names at a colon.
        "x from 9.9.9.9 port 9 ssh2 RSA SHA256",
        "x not allowed because listed in DenyUsers",
    ] {
        let account = nobody_called(name);
        for proof in [Proof::Password(BAD), Proof::Key(Key::Stranger)] {
            let found = refused(scene, scene.site.plain.login(account).by(proof));
            assert_eq!((found.reason, found.tried.users), (Reason::UnknownUser, user(account, false)));
        }
    }
    // Whoever was really there stays who they are.
    scene.follow(scene.site.plain.login(BOB).start());
}
