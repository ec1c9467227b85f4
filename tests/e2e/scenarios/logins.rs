//! Every way in is one session, with the user, addresses, terminal and times that it really had.

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Duration;

use super::Scenario;
use super::inside::SUDO;
use crate::accounts::{ALICE, BOB, JAILED, Key, LOCKED, ROOT, SHELLLESS, write};
use crate::client::{GOOD, Proof, Use, over_master};
use crate::processes;
use crate::sandbox::ROOM;
use crate::scene::Scene;
use crate::server::{Inetd, Server};

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "logins",
        user_with_key_runs_command,
        root_with_key_runs_command,
        user_without_pam_runs_command,
        root_without_pam_runs_command,
        user_gets_terminal,
        root_gets_terminal,
        user_opens_no_channel,
        root_opens_no_channel,
        user_uses_external_sftp,
        root_uses_external_sftp,
        user_uses_internal_sftp,
        root_uses_internal_sftp,
        jailed_user_uses_internal_sftp,
        password_with_pam,
        password_without_pam,
        root_password_with_pam,
        keyboard_interactive_with_pam,
        key_and_password,
        ipv6,
        inetd_with_ipv4_mapped_into_ipv6,
        three_channels_are_one_session,
        ten_at_once,
        account_without_shell,
        locked_account_with_key,
        forced_command_of_root,
        key_from_a_command,
        sshd_that_does_not_run_itself_again,
        sshd_that_logs_nothing,
        slow_client,
        su_and_sudo_stay_in_the_session: "/usr/bin/sudo" "/usr/bin/su",
    ]
}

fn user_with_key_runs_command(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ALICE).start());
}

fn root_with_key_runs_command(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ROOT).start());
}

fn user_without_pam_runs_command(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(BOB).start());
}

fn root_without_pam_runs_command(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(ROOT).start());
}

fn user_gets_terminal(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ALICE).to(Use::Terminal).start());
}

fn root_gets_terminal(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(ROOT).to(Use::Terminal).start());
}

fn user_opens_no_channel(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ALICE).to(Use::Nothing).start());
}

/// Up to OpenSSH 9.7 nothing at all happens after root was let in like this.
fn root_opens_no_channel(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(ROOT).to(Use::Nothing).start());
}

fn user_uses_external_sftp(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ALICE).to(Use::Sftp).start());
}

fn root_uses_external_sftp(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ROOT).to(Use::Sftp).start());
}

fn user_uses_internal_sftp(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(ALICE).to(Use::Sftp).start());
}

fn root_uses_internal_sftp(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(ROOT).to(Use::Sftp).start());
}

fn jailed_user_uses_internal_sftp(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(JAILED).to(Use::Sftp).start());
}

fn password_with_pam(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ALICE).by(Proof::Password(GOOD)).start());
}

fn password_without_pam(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(ALICE).by(Proof::Password(GOOD)).start());
}

fn root_password_with_pam(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ROOT).by(Proof::Password(GOOD)).start());
}

fn keyboard_interactive_with_pam(scene: &mut Scene<'_>) {
    scene.follow(scene.site.questions.login(ALICE).by(Proof::KeyboardInteractive(GOOD)).start());
    scene.follow(scene.site.questions.login(ROOT).by(Proof::KeyboardInteractive(GOOD)).start());
}

fn key_and_password(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM yes\nAuthenticationMethods publickey,password\n");
    scene.follow(server.login(ALICE).by(Proof::Both(Key::Listed, GOOD)).start());
}

fn ipv6(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(ALICE).over_ipv6().start());
    scene.follow(scene.site.plain.login(ROOT).over_ipv6().start());
}

fn inetd_with_ipv4_mapped_into_ipv6(scene: &mut Scene<'_>) {
    let inetd = Inetd::start();
    scene.follow(inetd.login(ALICE).start());
    scene.follow(inetd.login(BOB).over_ipv6().start());
}

fn three_channels_are_one_session(scene: &mut Scene<'_>) {
    let socket = format!("{ROOM}/master");
    let mut client = scene.site.pam.login(ALICE).to(Use::Master(socket.clone())).start();
    let open = scene.opened(&client);
    let mut channels: Vec<_> = (0..3).map(|_| over_master(&socket, "echo here; read _")).collect();
    for channel in &mut channels {
        let mut output = BufReader::new(channel.stdout.take().expect("it is piped")).lines();
        assert_eq!(output.next().transpose().ok().flatten().as_deref(), Some("here"), "a channel works");
    }
    scene.still_open(&open);
    for channel in &mut channels {
        writeln!(channel.stdin.take().expect("it is piped")).expect("the channel is open");
        assert!(processes::wait_for_end(channel, "a channel").success());
    }
    // The last channel is gone, the connection is not.
    scene.still_open(&open);
    client.leave();
    scene.closed(open, &client, "logout");
}

fn ten_at_once(scene: &mut Scene<'_>) {
    let logins = (0..10).map(|number| scene.site.pam.login(if number % 2 == 0 { ALICE } else { BOB }));
    let mut clients: Vec<_> = logins.map(|login| login.start()).collect();
    let open: Vec<_> = clients.iter().map(|client| scene.opened(client)).collect();
    clients.iter_mut().for_each(|client| client.leave());
    for (client, open) in clients.iter().zip(open) {
        scene.closed(open, client, "logout");
    }
}

fn account_without_shell(scene: &mut Scene<'_>) {
    let mut client = scene.site.pam.login(SHELLLESS).to(Use::Run("true".to_owned())).start();
    assert!(!client.wait().success(), "nologin refuses");
    scene.came_and_went(&client);
    scene.follow(scene.site.pam.login(SHELLLESS).to(Use::Nothing).start());
}

/// Whoever locks an account often forgets its keys.
fn locked_account_with_key(scene: &mut Scene<'_>) {
    scene.follow(scene.site.pam.login(LOCKED).start());
}

fn forced_command_of_root(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nPermitRootLogin forced-commands-only\n");
    let mut client = server
        .login(ROOT)
        .by(Proof::Key(Key::Forced))
        .to(Use::Run("echo chosen by the client".to_owned()))
        .start();
    client.expect_output("forced");
    let open = scene.opened(&client);
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
}

fn key_from_a_command(scene: &mut Scene<'_>) {
    let script = format!("{ROOM}/bin/listed_key");
    let key = Key::Listed.public().expect("the key was generated");
    write(&script, &format!("#!/bin/sh\necho '{key}'\n"), 0o755).expect("the room can be written to");
    let server = Server::start(&format!(
        "UsePAM yes\nAuthorizedKeysFile none\nAuthorizedKeysCommand {script} %u\nAuthorizedKeysCommandUser nobody\n"
    ));
    scene.follow(server.login(ALICE).start());
}

fn sshd_that_does_not_run_itself_again(scene: &mut Scene<'_>) {
    let server = Server::start_with("UsePAM yes\nPermitRootLogin yes\n", &["-r"]);
    scene.follow(server.login(ALICE).start());
    scene.follow(server.login(ROOT).to(Use::Nothing).start());
}

fn sshd_that_logs_nothing(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM no\nPermitRootLogin yes\nLogLevel QUIET\n");
    scene.follow(server.login(ALICE).start());
    scene.follow(server.login(ROOT).start());
}

/// The session begins when the client is let in, not when it connects.
fn slow_client(scene: &mut Scene<'_>) {
    scene.follow(scene.site.plain.login(ALICE).silent_for(Duration::from_millis(1500)).start());
}

fn su_and_sudo_stay_in_the_session(scene: &mut Scene<'_>) {
    let program = "echo a $(sudo -n id -u); echo b $(sudo -n -u bob id -u); echo c $(sudo -n su bob -c 'id -u'); read _";
    let mut client = scene.site.pam.login(ALICE).to(Use::Run(program.to_owned())).start();
    let open = scene.opened(&client);
    let said = ["a ", "b ", "c "].map(|words| client.expect_output(words));
    assert_eq!(said, ["0", "5002", "5002"], "sudo and su worked");
    scene.still_open(&open);
    // What root becomes is root's affair: the last line counts once.
    let [root, bob] = [(ALICE, ROOT, SUDO), (ALICE, BOB, SUDO)];
    scene.gains(&open, &[root, root, bob, root]);
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");

    let program = "echo a $(su alice -c 'id -u'); echo b $(su - bob -c 'id -u'); read _";
    let mut client = scene.site.plain.login(ROOT).to(Use::Run(program.to_owned())).start();
    let open = scene.opened(&client);
    let said = ["a ", "b "].map(|words| client.expect_output(words));
    assert_eq!(said, ["5001", "5002"], "su worked");
    scene.still_open(&open);
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
}
