//! A session ends when its connection does: not before, and whatever ended it.

use rustix::process::Signal;

use super::Scenario;
use crate::accounts::{ALICE, BOB, ROOT};
use crate::client::Use;
use crate::processes;
use crate::scene::Scene;
use crate::server::Server;

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "endings",
        client_is_killed,
        client_is_killed_right_after_it_is_in,
        command_fails,
        session_is_shorter_than_a_blink,
        daemon_is_left_behind,
        monitor_is_killed_and_the_session_lives_on,
        monitor_of_root_is_killed,
        post_auth_child_is_killed,
        listener_reloads,
        listener_is_restarted,
    ]
}

fn client_is_killed(scene: &mut Scene<'_>) {
    for login in [scene.site.pam.login(ALICE), scene.site.plain.login(ROOT).to(Use::Terminal)] {
        let mut client = login.start();
        let open = scene.opened(&client);
        client.kill();
        scene.closed(open, &client, "logout");
    }
}

fn client_is_killed_right_after_it_is_in(scene: &mut Scene<'_>) {
    for login in [scene.site.pam.login(ALICE), scene.site.plain.login(BOB), scene.site.plain.login(ROOT)] {
        let mut client = login.to(Use::Nothing).start();
        client.wait_until_in();
        client.kill();
        scene.came_and_went(&client);
    }
}

fn command_fails(scene: &mut Scene<'_>) {
    let mut client = scene.site.pam.login(ALICE).to(Use::Run("exit 3".to_owned())).start();
    assert_eq!(client.wait().code(), Some(3));
    scene.came_and_went(&client);
}

fn session_is_shorter_than_a_blink(scene: &mut Scene<'_>) {
    for account in [ALICE, ROOT] {
        let mut client = scene.site.plain.login(account).to(Use::Run("true".to_owned())).start();
        assert!(client.wait().success());
        scene.came_and_went(&client);
    }
}

fn daemon_is_left_behind(scene: &mut Scene<'_>) {
    let program = "nohup sleep 30 </dev/null >/dev/null 2>&1 & echo left $!";
    let mut client = scene.site.pam.login(ALICE).to(Use::Run(program.to_owned())).start();
    let daemon = client.expect_output("left ").parse().expect("a process id");
    assert!(client.wait().success());
    scene.came_and_went(&client);
    assert!(!processes::is_gone(daemon), "the daemon outlives its session");
    processes::signal(daemon, Signal::KILL);
}

fn monitor_is_killed_and_the_session_lives_on(scene: &mut Scene<'_>) {
    let program = "echo in; read _; echo still here; read _";
    let mut client = scene.site.plain.login(ALICE).to(Use::Run(program.to_owned())).start();
    let mut open = scene.opened(&client);
    client.expect_output("in");
    let child = scene.post_auth_child(&open);
    scene.held_by(&mut open, child);
    processes::signal(open.monitor, Signal::KILL);
    client.say("");
    client.expect_output("still here");
    scene.still_open(&open);
    client.kill();
    scene.closed(open, &client, "killed");
}

/// Root may have nobody but the monitor to hold the connection: then the session is over with it.
fn monitor_of_root_is_killed(scene: &mut Scene<'_>) {
    let mut client = scene.site.plain.login(ROOT).start();
    let mut open = scene.opened(&client);
    let holders = processes::children(open.monitor);
    if let Some(child) = holders.iter().find(|child| processes::is_named(**child, "sshd")) {
        scene.held_by(&mut open, *child);
    }
    client.leaves_now();
    processes::signal(open.monitor, Signal::KILL);
    client.kill();
    scene.closed(open, &client, "killed");
}

fn post_auth_child_is_killed(scene: &mut Scene<'_>) {
    let mut client = scene.site.pam.login(ALICE).start();
    let open = scene.opened(&client);
    let child = scene.post_auth_child(&open);
    client.leaves_now();
    processes::signal(child, Signal::KILL);
    client.wait();
    scene.closed(open, &client, "logout");
}

fn listener_reloads(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM yes\n");
    let mut before = server.login(ALICE).start();
    let open = scene.opened(&before);
    server.reload(&scene.site.log);
    scene.follow(server.login(BOB).start());
    scene.still_open(&open);
    before.leave();
    scene.closed(open, &before, "logout");
}

fn listener_is_restarted(scene: &mut Scene<'_>) {
    let server = Server::start("UsePAM yes\n");
    let mut before = server.login(ALICE).start();
    let open = scene.opened(&before);
    server.restart();
    scene.follow(server.login(BOB).start());
    scene.still_open(&open);
    before.leave();
    scene.closed(open, &before, "logout");
}
