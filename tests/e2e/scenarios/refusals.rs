//! Whoever is not let in has no session, however far they came.

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::Scenario;
use crate::accounts::{ALICE, Account, BOB, EXPIRED, Key, ROOT, UNKNOWN, write};
use crate::client::{BAD, GOOD, Login, Proof, next_port};
use crate::lines::LIMIT;
use crate::programs::connect_from;
use crate::sandbox::ROOM;
use crate::scene::Scene;
use crate::server::Server;

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "refusals",
        wrong_password,
        unknown_user,
        wrong_key,
        too_many_tries,
        wrong_answer_with_pam,
        keyboard_interactive_without_pam,
        expired_account,
        root_is_not_permitted,
        root_without_forced_command,
        key_without_the_password,
        key_command_that_does_not_list_the_key,
        everything_in_vain,
        scanner_that_only_connects,
        scanner_that_sends_garbage,
        scanner_that_resets,
        login_grace_time_runs_out,
    ]
}

fn refused(login: Login) {
    login.start().expect_refusal();
}

fn wrong_password(scene: &mut Scene<'_>) {
    refused(scene.site.pam.login(ALICE).by(Proof::Password(BAD)));
    refused(scene.site.plain.login(ALICE).by(Proof::Password(BAD)));
    refused(scene.site.plain.login(ROOT).by(Proof::Password(BAD)));
}

fn unknown_user(scene: &mut Scene<'_>) {
    refused(scene.site.plain.login(UNKNOWN).by(Proof::Password(GOOD)));
    refused(scene.site.pam.login(UNKNOWN));
}

fn wrong_key(scene: &mut Scene<'_>) {
    refused(scene.site.pam.login(ALICE).by(Proof::Key(Key::Stranger)));
    refused(scene.site.plain.login(ROOT).by(Proof::Key(Key::Stranger)));
}

fn too_many_tries(scene: &mut Scene<'_>) {
    let login = scene.site.plain.login(ALICE).by(Proof::Password(BAD)).trying(10);
    let words = format!(
        "maximum authentication attempts exceeded for alice from {} port {}",
        login.peer.ip(),
        login.peer.port()
    );
    refused(login);
    let thrown_out = scene.site.log.wait_for(LIMIT, |line| line.text.contains(&words).then_some(()));
    thrown_out.expect("sshd threw the client out");
}

fn wrong_answer_with_pam(_: &mut Scene<'_>) {
    let server = Server::start("UsePAM yes\nMaxAuthTries 1\nKbdInteractiveAuthentication yes\n");
    refused(server.login(ALICE).by(Proof::KeyboardInteractive(BAD)));
}

fn keyboard_interactive_without_pam(_: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n");
    refused(server.login(ALICE).by(Proof::KeyboardInteractive(GOOD)));
}

fn expired_account(scene: &mut Scene<'_>) {
    refused(scene.site.pam.login(EXPIRED));
    refused(scene.site.plain.login(EXPIRED).by(Proof::Password(GOOD)));
}

fn root_is_not_permitted(_: &mut Scene<'_>) {
    for (lines, proof) in [
        ("UsePAM yes\nPermitRootLogin no\n", Proof::Key(Key::Listed)),
        ("UsePAM no\nPermitRootLogin prohibit-password\n", Proof::Password(GOOD)),
    ] {
        let server = Server::start(lines);
        refused(server.login(ROOT).by(proof));
    }
}

/// The trap among refusals: the unprivileged child believes in success, and ends well or is killed, whatever comes
/// first. The client believes it, too. So try more than once.
fn root_without_forced_command(_: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nPermitRootLogin forced-commands-only\n");
    for _ in 0..8 {
        let mut client = server.login(ROOT).start();
        assert!(!client.wait().success(), "sshd runs nothing for root");
    }
}

fn key_without_the_password(_: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nAuthenticationMethods publickey,password\n");
    refused(server.login(ALICE).by(Proof::Both(Key::Listed, BAD)));
}

/// sshd runs the command in a child that becomes another user, even the one who tries: that looks like a session.
fn key_command_that_does_not_list_the_key(_: &mut Scene<'_>) {
    for user in ["nobody", ALICE.name] {
        let asked = format!("{ROOM}/{user}_asked");
        let server = Server::start(&format!("UsePAM no\n{}", stranger_listed_by(user, &asked)));
        refused(server.login(ALICE));
        assert_eq!(fs::read_to_string(&asked).expect("the command ran"), format!("{user}\n"));
    }
}

/// One connection with all that can be taken for a login in parts: children that end well (the key command, the
/// conversation with PAM) and timers that are disarmed (by the C library, for PAM's password check).
fn everything_in_vain(scene: &mut Scene<'_>) {
    let asked = format!("{ROOM}/vain_asked");
    let server = Server::start(&format!(
        "UsePAM yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\n{}",
        stranger_listed_by("nobody", &asked)
    ));
    let login = server.login(ALICE).by(Proof::Everything(Key::Listed, BAD));
    let tried = [
        format!("PAM: Authentication failure for alice from {}", login.peer.ip()),
        format!("Failed password for alice from {} port {}", login.peer.ip(), login.peer.port()),
    ];
    refused(login);
    assert_eq!(fs::read_to_string(&asked).expect("the command ran"), "nobody\n");
    for words in tried {
        let logged = scene.site.log.wait_for(LIMIT, |line| line.text.contains(&words).then_some(()));
        logged.unwrap_or_else(|| panic!("sshd did not log {words:?}"));
    }
}

/// Configuration by which a command run as `user` lists a key that nobody uses, and notes in a file who it ran as.
fn stranger_listed_by(user: &str, asked: &str) -> String {
    let script = format!("{asked}.sh");
    let key = Key::Stranger.public().expect("the key was generated");
    write(asked, "", 0o666).expect("the room can be written to");
    write(&script, &format!("#!/bin/sh\nid -un >>{asked}\necho '{key}'\n"), 0o755)
        .expect("the room can be written to");
    format!("AuthorizedKeysFile none\nAuthorizedKeysCommand {script}\nAuthorizedKeysCommandUser {user}\n")
}

fn scanner_that_only_connects(scene: &mut Scene<'_>) {
    for _ in 0..20 {
        drop(connection(&scene.site.pam, ALICE));
    }
}

fn scanner_that_sends_garbage(scene: &mut Scene<'_>) {
    for garbage in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"Accepted password for root from 6.6.6.6 port 666 ssh2\n",
        &[0; 4096],
    ] {
        let mut stream = connection(&scene.site.plain, ALICE);
        stream.write_all(garbage).expect("sshd reads");
        read_to_the_end(stream);
    }
}

fn scanner_that_resets(scene: &mut Scene<'_>) {
    for _ in 0..5 {
        let mut stream = connection(&scene.site.plain, ALICE);
        let mut banner = [0; 4];
        stream.read_exact(&mut banner).expect("sshd greets first");
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
            .expect("a socket can be told to reset");
    }
}

fn login_grace_time_runs_out(_: &mut Scene<'_>) {
    let server = Server::start("UsePAM yes\nLoginGraceTime 2\n");
    let mut stream = connection(&server, BOB);
    stream.write_all(b"SSH-2.0-patience\r\n").expect("sshd reads");
    read_to_the_end(stream);
}

/// A bare connection, from a port of its own.
pub(super) fn connection(server: &Server, account: Account) -> std::net::TcpStream {
    let mut login = server.login(account);
    login.peer.set_port(next_port());
    let stream = connect_from(login.peer, login.local).expect("sshd listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket can have a time limit");
    stream
}

/// Waits until sshd has closed the connection.
pub(super) fn read_to_the_end(mut stream: std::net::TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "sshd hangs up: {error}"),
    }
}
