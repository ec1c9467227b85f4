//! What looks like sshd and is not the machine's sshd has no sessions.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::Scenario;
use crate::accounts::{ALICE, Account, ROOT};
use crate::processes::command;
use crate::programs::IMITATE;
use crate::sandbox;
use crate::scene::Scene;
use crate::server::{SSHD, Server};

/// Where the imitations of sshd lie, so that their place does not give them away. No other run has the same.
fn copy() -> String {
    format!("/opt/{}/sshd", std::process::id())
}

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "impostors",
        genuine_sshd_run_by_a_user,
        copy_of_sshd_run_by_a_user,
        imitation_by_a_user,
        imitation_by_the_root_of_a_user_namespace: "/usr/bin/unshare",
        daemon_of_root_that_behaves_like_sshd,
        daemon_of_root_whose_file_others_may_change,
        file_in_an_unusual_place,
        control_root_can_play_a_login,
    ]
}

/// Everything is right but the user id: the file, the name, the log, the timer.
fn genuine_sshd_run_by_a_user(scene: &mut Scene<'_>) {
    let server = Server::start_as(&ALICE, SSHD);
    real_login_at(&server);
    // The listener, and not every connection again.
    scene.foreign_sshds(&[(ALICE, SSHD, "not run by root")]);
}

fn copy_of_sshd_run_by_a_user(scene: &mut Scene<'_>) {
    real_login_at(&Server::start_as(&ALICE, &copied(SSHD, ALICE, 0o755)));
    scene.foreign_sshds(&[(ALICE, &copy(), "not run by root")]);
}

fn imitation_by_a_user(scene: &mut Scene<'_>) {
    imitated(command(copied(IMITATE, ALICE, 0o755)).uid(ALICE.uid).gid(ALICE.uid));
    scene.foreign_sshds(&[(ALICE, &copy(), "not run by root")]);
}

/// She is root there, and the kernel's user id is still hers.
fn imitation_by_the_root_of_a_user_namespace(scene: &mut Scene<'_>) {
    let program = copied(IMITATE, ALICE, 0o755);
    imitated(command("unshare").args(["--user", "--map-root-user", &program]).uid(ALICE.uid).gid(ALICE.uid));
    scene.foreign_sshds(&[(ALICE, &copy(), "not run by root")]);
}

/// Other daemons of root have unprivileged children and timers, too. The name of the file tells them apart.
fn daemon_of_root_that_behaves_like_sshd(scene: &mut Scene<'_>) {
    imitated(&mut command(IMITATE));
    scene.foreign_sshds(&[]);
}

/// The name is right, but whoever may write to the file decides what it does.
fn daemon_of_root_whose_file_others_may_change(scene: &mut Scene<'_>) {
    for (owner, mode) in [(ALICE, 0o755), (ROOT, 0o775), (ROOT, 0o757)] {
        imitated(&mut command(copied(IMITATE, owner, mode)));
    }
    let path = copy();
    let writable = (ROOT, path.as_str(), "file writable by others");
    scene.foreign_sshds(&[(ROOT, &path, "file of another owner"), writable, writable]);
}

/// Root's file, and nobody else may write to it; but whose the folders above are, nobody knows.
fn file_in_an_unusual_place(scene: &mut Scene<'_>) {
    let folder = format!("/home/alice/{}", std::process::id());
    let path = format!("{folder}/sshd");
    fs::create_dir(&folder).expect("the home is there");
    fs::copy(copied(IMITATE, ROOT, 0o755), &path).expect("programs can be copied");
    imitated(&mut command(&path));
    fs::remove_dir_all(&folder).expect("it is ours");
    scene.foreign_sshds(&[(ROOT, &path, "unusual place")]);
}

/// The imitation is good: with nothing wrong about the user id and the file it counts. So what the other scenarios see
/// refused is refused for their reason. Root can fake everything; no rule helps against that.
fn control_root_can_play_a_login(scene: &mut Scene<'_>) {
    let peer = imitated(&mut command(copied(IMITATE, ROOT, 0o755)));
    scene.passes_for_a_session(peer);
    scene.foreign_sshds(&[]);
}

fn real_login_at(server: &Server) {
    let mut client = server.login(ALICE).start();
    let told = client.told().expect("the session tells");
    assert_eq!((told.uid, told.peer), (ALICE.uid, client.login.peer), "it is a real login");
    client.leave();
}

/// Plays a login from the address that it gives with the command that runs the imitation.
fn imitated(command: &mut Command) -> SocketAddr {
    let listener = TcpListener::bind((sandbox::address(), 0)).expect("loopback has free ports");
    let peer = listener.local_addr().expect("a bound socket has an address");
    // The child becomes sshd's own unprivileged user, where it may.
    let output = command.args([&peer.to_string(), "102"]).output().expect("the imitation can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "the imitation failed: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, format!("played a login from {peer}\n"));
    peer
}

/// The program as a file called sshd, of this owner and with these permissions.
fn copied(program: &str, owner: Account, mode: u32) -> String {
    let path = copy();
    fs::create_dir_all(Path::new(&path).parent().expect("it lies in a folder")).expect("/opt is ours");
    // Never write to a file that may still be running.
    fs::remove_file(&path).ok();
    fs::copy(program, &path).expect("programs can be copied");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    chown(&path, Some(owner.uid), Some(owner.uid)).expect("root may give files away");
    path
}
