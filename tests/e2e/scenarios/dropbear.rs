//! Users who come in through Dropbear, and those who do not.

use login_tracer::session::{Auth, AuthKey, CommandKind, Reason};

use super::Scenario;
use crate::accounts::{ALICE, BOB, Key, ROOT, UNKNOWN};
use crate::client::{BAD, GOOD, Login, Proof, Use};
use crate::dropbear::{DROPBEAR, Dropbear};
use crate::role::Role;
use crate::scene::Scene;
use crate::tracer::trace_section;

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "dropbear",
        key_of_a_user: "/usr/sbin/dropbear",
        key_of_root: "/usr/sbin/dropbear",
        password: "/usr/sbin/dropbear",
        user_gets_terminal: "/usr/sbin/dropbear",
        no_channel: "/usr/sbin/dropbear",
        two_at_once: "/usr/sbin/dropbear",
        dropbear_that_logs_elsewhere: "/usr/sbin/dropbear",
        refused: "/usr/sbin/dropbear",
        killed_role: "/usr/sbin/dropbear",
        sessions_that_were_open_before: "/usr/sbin/dropbear",
    ]
}

/// Plays a session, and checks how it is listed to have begun.
fn whole(scene: &mut Scene<'_>, login: Login, method: &str, key: Option<Key>) {
    let runs = login.is_for(&Use::Tell) || login.is_for(&Use::Terminal);
    let mut client = login.start();
    let open = scene.opened(&client);
    let session =
        scene.known(&client, |session| session.auth.is_some() && (!runs || session.first_command.is_some()));
    let key = key.map(|key| AuthKey { kind: "ssh-ed25519".to_owned(), fingerprint: key.fingerprint() });
    let auth = Auth { method: method.to_owned(), key, certificate: None, user_log: None };
    assert_eq!(session.auth, Some(auth));
    assert_eq!(session.sshd.exe.as_deref(), Some(DROPBEAR));
    assert_eq!(session.first_command.map(|first| first.kind), runs.then_some(CommandKind::Command));
    client.leave();
    scene.closed(open, &client, "logout");
}

fn key_of_a_user(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    whole(scene, server.login(ALICE), "publickey", Some(Key::Listed));
}

fn key_of_root(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    whole(scene, server.login(ROOT), "publickey", Some(Key::Listed));
}

fn password(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    whole(scene, server.login(BOB).by(Proof::Password(GOOD)), "password", None);
}

fn user_gets_terminal(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    whole(scene, server.login(ALICE).to(Use::Terminal), "publickey", Some(Key::Listed));
}

/// Such a connection forks nothing and changes no ids: the line is all there is.
fn no_channel(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    for account in [ALICE, ROOT] {
        whole(scene, server.login(account).to(Use::Nothing), "publickey", Some(Key::Listed));
    }
}

fn two_at_once(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    let mut clients = [ALICE, BOB].map(|account| server.login(account).start());
    let open = clients.each_ref().map(|client| scene.opened(client));
    for (open, client) in open.into_iter().zip(&mut clients) {
        client.leave();
        scene.closed(open, client, "logout");
    }
}

/// Then what runs for the user tells; a connection that runs nothing is not seen, and is no attempt either.
fn dropbear_that_logs_elsewhere(scene: &mut Scene<'_>) {
    let server = Dropbear::start_silent();
    for login in [server.login(ALICE), server.login(BOB).to(Use::Terminal), server.login(ROOT)] {
        let mut client = login.start();
        let open = scene.opened(&client);
        assert_eq!(scene.known(&client, |session| session.first_command.is_some()).auth, None);
        client.leave();
        scene.closed(open, &client, "logout");
    }
    let mut client = server.login(ALICE).to(Use::Nothing).start();
    client.wait_until_in();
    client.leave();
    server.login(ALICE).by(Proof::Password(BAD)).start().expect_refusal();
    scene.no_attempt_from(client.login.peer);
}

fn refused(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    for (login, reason, name, failures) in [
        (server.login(ALICE).by(Proof::Password(BAD)).trying(2), Reason::WrongPassword, Some("alice"), 2),
        (server.login(ALICE).by(Proof::Key(Key::Stranger)), Reason::WrongKey, Some("alice"), 0),
        (server.login(UNKNOWN).by(Proof::Password(BAD)), Reason::UnknownUser, None, 0),
    ] {
        let mut client = login.start();
        client.expect_refusal();
        let attempt = scene.attempted(client.login.peer);
        assert_eq!((attempt.reason, attempt.tried.failures), (reason, failures), "{attempt:#?}");
        let names: Vec<_> = attempt.tried.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, name.into_iter().collect::<Vec<_>>());
    }
}

/// One session is open when the role is killed, one is opened and one is over while it is away.
fn killed_role(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    let mut role = Role::new();
    role.configure(&trace_section());
    role.launch();
    let mut first = server.login(ALICE).start();
    let first_open = scene.opened(&first);
    role.expect_all(scene);
    role.kill();
    let mut second = server.login(ROOT).to(Use::Nothing).start();
    let second_open = scene.opened(&second);
    scene.follow(server.login(BOB).start());
    role.launch();
    role.expect_all(scene);
    for (client, open) in [(&mut first, first_open), (&mut second, second_open)] {
        client.leave();
        scene.closed(open, client, "logout");
    }
    role.expect_all(scene);
}

/// What can be seen from outside: who runs something. Who runs nothing is known as soon as they do.
fn sessions_that_were_open_before(scene: &mut Scene<'_>) {
    let server = Dropbear::start();
    let mut clients = [ALICE, ROOT].map(|account| server.login(account).to(Use::Terminal).start());
    let open = clients.each_ref().map(|client| scene.opened(client));
    let ttys = clients.each_ref().map(|client| scene.known(client, |session| session.tty.is_some()).tty);
    let mut role = Role::new();
    role.configure(&trace_section());
    role.launch();
    for ((client, account), tty) in clients.iter().zip([ALICE, ROOT]).zip(&ttys) {
        let peer = Some(client.login.peer);
        let listed = role.wait_for(|listed| listed.iter().any(|session| session.peer() == peer));
        let session = listed.into_iter().find(|session| session.peer() == peer).expect("it is there");
        assert!(session.recovered && session.service == "dropbear", "{session:#?}");
        assert_eq!((session.user.as_deref(), session.uid), (Some(account.name), Some(account.uid)));
        assert_eq!(session.tty, *tty);
    }
    for (open, client) in open.into_iter().zip(&mut clients) {
        client.leave();
        scene.closed(open, client, "logout");
        let peer = Some(client.login.peer);
        role.wait_for(|listed| listed.iter().any(|s| s.peer() == peer && s.closed_at.is_some()));
    }
}
