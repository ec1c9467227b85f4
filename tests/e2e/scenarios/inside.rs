//! What happens inside of a session: who becomes whom there, by which program, and that nobody else is said to.

use super::Scenario;
use crate::accounts::{ALICE, Account, BOB, PASSWORD, ROOT, write};
use crate::client::{Client, Use};
use crate::processes;
use crate::programs::{GAIN, SET_UID, install_privileged};
use crate::sandbox::ROOM;
use crate::scene::{Open, Scene, pid_namespace};
use crate::server::Server;

pub const SUDO: &str = "/usr/bin/sudo";
const SU: &str = "/usr/bin/su";

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "inside",
        su_is_told_with_whom_it_became: "/usr/bin/su",
        set_uid_program_of_another_user,
        credentials_change_without_a_program,
        what_root_becomes_is_its_own_affair: "/usr/bin/setpriv",
        first_thread_ends_before_the_rest,
        daemon_gains_after_its_session: "/usr/bin/sudo",
        storm_is_counted,
        helper_of_sshd_is_no_session: "/usr/bin/sudo",
        root_gains_nothing,
        sshd_in_a_pid_namespace: "/usr/bin/unshare",
    ]
}

/// A session of alice in which a program runs until it has said `words`; it then waits for a line.
fn session(scene: &mut Scene<'_>, account: Account, program: &str, words: &str) -> (Open, Client, String) {
    let program = format!("{program}; read _");
    let client = scene.site.pam.login(account).to(Use::Run(program)).start();
    let open = scene.opened(&client);
    let said = client.expect_output(words);
    (open, client, said)
}

fn end(scene: &mut Scene<'_>, open: Open, mut client: Client) {
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
}

fn su_is_told_with_whom_it_became(scene: &mut Scene<'_>) {
    let program = format!("echo a $(echo '{PASSWORD}' | su bob -c 'id -u')");
    let (open, client, said) = session(scene, ALICE, &program, "a ");
    assert_eq!(said, BOB.uid.to_string(), "su worked");
    // It is set-uid root, and becomes bob on behalf of alice.
    scene.gains(&open, &[(ALICE, ROOT, SU), (ALICE, BOB, SU)]);
    end(scene, open, client);
}

fn set_uid_program_of_another_user(scene: &mut Scene<'_>) {
    install_privileged().expect("the suite's programs can be installed");
    let (open, client, said) = session(scene, ALICE, &format!("echo a $({SET_UID} -u)"), "a ");
    assert_eq!(said, BOB.uid.to_string(), "the program is set-uid");
    scene.gains(&open, &[(ALICE, BOB, SET_UID)]);
    end(scene, open, client);
}

/// As an exploit does: nothing is executed that could give it away.
fn credentials_change_without_a_program(scene: &mut Scene<'_>) {
    install_privileged().expect("the suite's programs can be installed");
    for call in ["setuid", "setreuid", "setresuid"] {
        let (open, mut client, said) = session(scene, ALICE, &format!("{GAIN} {call}"), "became ");
        assert_eq!(said, "0", "{call}");
        // While it still runs.
        scene.gains(&open, &[(ALICE, ROOT, GAIN)]);
        client.say("");
        end(scene, open, client);
    }
}

fn what_root_becomes_is_its_own_affair(scene: &mut Scene<'_>) {
    let program = "echo a $(sudo -n setpriv --reuid bob --clear-groups id -u)";
    let (open, client, said) = session(scene, ALICE, program, "a ");
    assert_eq!(said, BOB.uid.to_string(), "setpriv worked");
    scene.gains(&open, &[(ALICE, ROOT, SUDO)]);
    end(scene, open, client);
}

/// A process does not end with its first thread.
fn first_thread_ends_before_the_rest(scene: &mut Scene<'_>) {
    install_privileged().expect("the suite's programs can be installed");
    let (open, client, said) = session(scene, ALICE, &format!("{GAIN} behind {SET_UID}"), "ran ");
    assert_eq!(said, "true");
    scene.gains(&open, &[(ALICE, BOB, SET_UID)]);
    end(scene, open, client);
}

fn daemon_gains_after_its_session(scene: &mut Scene<'_>) {
    let sign = "/home/alice/sign";
    let wait = format!("while [ ! -e {sign} ]; do sleep 0.1; done; sudo -n true; sudo -n rm {sign}");
    let program = format!("nohup setsid sh -c '{wait}' </dev/null >/dev/null 2>&1 & echo left; read _");
    let mut client = scene.site.pam.login(ALICE).to(Use::Run(program)).start();
    let open = scene.opened(&client);
    client.expect_output("left");
    let peer = client.login.peer;
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
    write(sign, "", 0o644).expect("the home is there");
    let started = std::time::Instant::now();
    while std::path::Path::new(sign).exists() {
        assert!(started.elapsed() < crate::lines::LIMIT, "the daemon saw no sign");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    scene.gained_from(peer, &[(ALICE, ROOT, SUDO), (ALICE, ROOT, SUDO)]);
}

fn storm_is_counted(scene: &mut Scene<'_>) {
    install_privileged().expect("the suite's programs can be installed");
    let program = format!("for i in $(seq 500); do {SET_UID} >/dev/null; done; echo done");
    let (open, mut client, _) = session(scene, ALICE, &program, "done");
    let peer = client.login.peer;
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
    scene.gained_in_a_storm(peer, (ALICE, BOB, SET_UID), 500);
}

/// What sshd runs as the user to find keys, before anybody is in, is nobody's session; whatever it gains.
fn helper_of_sshd_is_no_session(scene: &mut Scene<'_>) {
    let script = format!("{ROOM}/bin/privileged_keys");
    let key = crate::accounts::Key::Listed.public().expect("the key was generated");
    let said = "/tmp/helper";
    write(&script, &format!("#!/bin/sh\nsudo -n id -u >{said}\necho '{key}'\n"), 0o755).expect("written");
    let server = Server::start(&format!(
        "UsePAM yes\nAuthorizedKeysFile none\nAuthorizedKeysCommand {script} %u\nAuthorizedKeysCommandUser alice\n"
    ));
    scene.follow(server.login(ALICE).start());
    assert_eq!(
        std::fs::read_to_string(said).expect("the helper ran").trim(),
        "0",
        "it was root for a moment"
    );
}

fn root_gains_nothing(scene: &mut Scene<'_>) {
    install_privileged().expect("the suite's programs can be installed");
    let program = format!("su alice -c '{SET_UID} >/dev/null; sudo -n true'; echo a");
    let mut client = scene.site.plain.login(ROOT).to(Use::Run(format!("{program}; read _"))).start();
    let open = scene.opened(&client);
    client.expect_output("a");
    // Bob is new to it, and was given by no root; that alice is root again is not.
    scene.gains(&open, &[(ALICE, BOB, SET_UID)]);
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
}

/// Its processes have other numbers inside; the machine's are listed, and where they are.
fn sshd_in_a_pid_namespace(scene: &mut Scene<'_>) {
    let server = Server::start_contained();
    let listener = processes::children(server.pid()).into_iter().next().expect("unshare runs sshd");
    let program = "echo a $(sudo -n id -u); read _";
    let login = server.login(ALICE).found_by(Some(listener)).to(Use::Run(program.to_owned()));
    let mut client = login.start();
    let open = scene.opened(&client);
    assert_eq!(client.expect_output("a "), "0", "sudo worked");
    let (number, cgroup) = scene.container_of(&open);
    assert_eq!(format!("pid:[{number}]"), pid_namespace(open.monitor));
    let truth = std::fs::read_to_string(format!("/proc/{}/cgroup", open.monitor)).expect("the monitor lives");
    assert!(truth.lines().any(|line| line.ends_with(&format!(":{cgroup}"))), "{cgroup} is not in {truth}");
    scene.gains(&open, &[(ALICE, ROOT, SUDO)]);
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
}
