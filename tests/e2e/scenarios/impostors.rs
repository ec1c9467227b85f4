//! What looks like sshd and is not the machine's sshd has no sessions.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use super::Scenario;
use crate::accounts::ALICE;
use crate::processes::command;
use crate::programs::IMITATE;
use crate::scene::Scene;
use crate::server::{SSHD, Server};

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "impostors",
        genuine_sshd_run_by_a_user,
        copy_of_sshd_run_by_a_user,
        imitation_by_a_user,
        imitation_by_the_root_of_a_user_namespace: "/usr/bin/unshare",
        daemon_of_root_that_behaves_like_sshd,
    ]
}

/// Everything is right but the user id: the file, the name, the log, the timer.
fn genuine_sshd_run_by_a_user(_: &mut Scene<'_>) {
    real_login_at(&Server::start_as(&ALICE, SSHD));
}

fn copy_of_sshd_run_by_a_user(_: &mut Scene<'_>) {
    real_login_at(&Server::start_as(&ALICE, &copy_for_alice(SSHD)));
}

fn imitation_by_a_user(_: &mut Scene<'_>) {
    imitated(|program, arguments| {
        let mut command = command(program);
        command.args(arguments).uid(ALICE.uid).gid(ALICE.uid);
        command
    });
}

/// She is root there, and the kernel's user id is still hers.
fn imitation_by_the_root_of_a_user_namespace(_: &mut Scene<'_>) {
    imitated(|program, arguments| {
        let mut command = command("unshare");
        command.args(["--user", "--map-root-user", program]).args(arguments).uid(ALICE.uid).gid(ALICE.uid);
        command
    });
}

/// Other daemons of root have unprivileged children and timers, too. The executable tells them apart.
fn daemon_of_root_that_behaves_like_sshd(_: &mut Scene<'_>) {
    imitated(|_, arguments| {
        let mut command = command(IMITATE);
        command.args(arguments);
        command
    });
}

fn real_login_at(server: &Server) {
    let mut client = server.login(ALICE).start();
    let told = client.told().expect("the session tells");
    assert_eq!((told.uid, told.peer), (ALICE.uid, client.login.peer), "it is a real login");
    client.leave();
}

/// Plays a login with what `build` makes of the program, alice's own and named sshd, and its arguments.
fn imitated(build: impl FnOnce(&str, &[&str]) -> Command) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let to = listener.local_addr().expect("a bound socket has an address").to_string();
    let Output { status, stdout, stderr } =
        build(&copy_for_alice(IMITATE), &[&to, "102"]).output().expect("the imitation can be run");
    let said = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "the imitation failed: {}", String::from_utf8_lossy(&stderr));
    assert!(said.starts_with("played a login from 127.0.0.1:"), "{said}");
}

/// The program as a file of alice's, called sshd.
fn copy_for_alice(program: &str) -> String {
    let path = "/home/alice/sshd";
    // Never write to a file that may still be running.
    fs::remove_file(path).ok();
    fs::copy(program, path).expect("programs can be copied");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    chown(path, Some(ALICE.uid), Some(ALICE.uid)).expect("root may give files away");
    path.to_owned()
}
