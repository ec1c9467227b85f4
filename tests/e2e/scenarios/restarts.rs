//! Whatever happens to the trace role, it lists in the end what an undisturbed one lists: the kernel goes on recording,
//! and nothing is told twice.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::Scenario;
use crate::accounts::{ALICE, BOB, ROOT};
use crate::client::{Client, Use};
use crate::processes;
use crate::role::Role;
use crate::scene::Scene;
use crate::tracer::{Session, State};

/// How many rounds of kills at any moment; a release is tried with 50.
const ROUNDS: &str = "LOGIN_TRACER_KILLS";

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "restarts",
        killed_after_every_step,
        killed_at_any_moment,
        stopped_while_people_come_and_go,
        killed_while_people_come_and_go,
        replaced_by_another_version,
        damaged_checkpoint,
        sessions_that_were_open_before,
        login_that_had_begun_before,
        tiny_buffer,
        unloaded,
        out_of_reach_for_others,
    ]
}

/// A login and a logout for every step of every kind, with a kill after that step.
fn killed_after_every_step(scene: &mut Scene<'_>) {
    let mut role = Role::start();
    for kind in ["Drain", "Track", "Commit", "Checkpoint", "Release"] {
        // How many there are differs: what happens in the same moment is one batch.
        for number in 1.. {
            role.stop();
            let is_ready = role.launch_and_kill_after(kind, number);
            scene.follow(scene.site.pam.login(ALICE).start());
            // The last steps are those of a second in which nothing happens.
            let is_killed = !is_ready || role.killed_itself(Duration::from_secs(2));
            if !is_killed {
                // When it is asked to end it makes some steps more.
                role.kill();
            }
            role.launch();
            role.expect_all(scene);
            if !is_killed {
                assert!(number > 1, "never killed after {kind}");
                break;
            }
        }
    }
}

/// Twenty logins in each round, each with its own moment of the kill.
fn killed_at_any_moment(scene: &mut Scene<'_>) {
    let rounds = std::env::var(ROUNDS).map_or(3, |rounds| rounds.parse().expect("a number of rounds"));
    let mut role = Role::start();
    for round in 0..rounds {
        let start = |account| scene.site.plain.login(account).to(Use::Run("true".to_owned())).start();
        let mut clients: Vec<Client> = (0..20).map(|number| start([ALICE, BOB][number % 2])).collect();
        std::thread::sleep(Duration::from_millis(round * 67 % 1500));
        role.kill();
        std::thread::sleep(Duration::from_millis(round * 31 % 200));
        role.launch();
        for client in &mut clients {
            client.wait();
        }
        for client in &clients {
            scene.came_and_went(client);
        }
    }
    let listed = role.expect_all(scene);
    assert_eq!(listed.len(), 20 * rounds as usize, "every login is one session");
}

fn stopped_while_people_come_and_go(scene: &mut Scene<'_>) {
    people_come_and_go(scene, Role::stop);
}

fn killed_while_people_come_and_go(scene: &mut Scene<'_>) {
    people_come_and_go(scene, Role::kill);
}

/// One session begins before and ends after, one ends, one begins, one does both while nobody reads.
fn people_come_and_go(scene: &mut Scene<'_>, end: impl Fn(&mut Role)) {
    let mut role = Role::start();
    let mut long = scene.site.plain.login(ALICE).start();
    let mut leaving = scene.site.pam.login(BOB).start();
    let (long_open, leaving_open) = (scene.opened(&long), scene.opened(&leaving));
    role.expect_all(scene);
    end(&mut role);
    leaving.leave();
    scene.closed(leaving_open, &leaving, "logout");
    scene.follow(scene.site.plain.login(ROOT).to(Use::Terminal).start());
    let mut arriving = scene.site.pam.login(ALICE).start();
    let arriving_open = scene.opened(&arriving);
    role.launch();
    role.expect_all(scene);
    for (client, open) in [(&mut long, long_open), (&mut arriving, arriving_open)] {
        client.leave();
        scene.closed(open, client, "logout");
    }
    let listed = role.expect_all(scene);
    assert!(listed.iter().all(|session| !session.recovered), "all were seen: {listed:#?}");
}

/// Programs with other settings take the place of those that are there, as those of another version do.
fn replaced_by_another_version(scene: &mut Scene<'_>) {
    let mut role = Role::start();
    let mut long = scene.site.plain.login(ALICE).start();
    let long_open = scene.opened(&long);
    let mut authenticating = scene
        .site
        .plain
        .login(BOB)
        .silent_for(Duration::from_secs(1))
        .to(Use::Run("true".to_owned()))
        .start();
    role.kill();
    scene.follow(scene.site.plain.login(ROOT).start());
    role.configure("[trace]\nring_buffer = \"2 MiB\"\n");
    role.launch();
    assert!(role.log().contains("ended the programs of an earlier version"), "{}", role.log());
    authenticating.wait();
    scene.came_and_went(&authenticating);
    long.leave();
    scene.closed(long_open, &long, "logout");
    let listed = role.expect_all(scene);
    assert!(listed.iter().all(|session| !session.recovered), "all were seen: {listed:#?}");
}

/// Then `/proc` and the database have to do.
fn damaged_checkpoint(scene: &mut Scene<'_>) {
    let mut role = Role::start();
    let mut long = scene.site.plain.login(ALICE).start();
    let open = scene.opened(&long);
    role.expect_all(scene);
    role.stop();
    let checkpoints: Vec<_> =
        std::fs::read_dir("/run/login-tracer").expect("checkpoints").flatten().collect();
    for checkpoint in checkpoints {
        std::fs::write(checkpoint.path(), "{\"boot_id\":").expect("damaged");
    }
    role.launch();
    assert!(role.log().contains("checkpoint"), "it says so: {}", role.log());
    long.leave();
    scene.closed(open, &long, "logout");
    role.expect_all(scene);
}

/// They are listed with what is left to see, and their ends are seen.
fn sessions_that_were_open_before(scene: &mut Scene<'_>) {
    let logins = [
        scene.site.pam.login(ALICE).to(Use::Terminal),
        scene.site.plain.login(BOB),
        scene.site.plain.login(ALICE).to(Use::Nothing).over_ipv6(),
        scene.site.plain.login(ROOT).to(Use::Terminal),
        scene.site.plain.login(ROOT).to(Use::Nothing),
    ];
    let mut clients: Vec<Client> = logins.map(crate::client::Login::start).into();
    let open: Vec<_> = clients.iter().map(|client| scene.opened(client)).collect();
    let role = Role::start();
    let found = role.sessions();
    let truth = scene.new_sessions();
    assert_eq!(found.len(), truth.len(), "{found:#?}");
    for session in &truth {
        let same = found.iter().find(|found| found.sshd.pid == session.sshd.pid);
        let same = same.unwrap_or_else(|| panic!("not found: {session:#?} in {found:#?}"));
        assert!(same.recovered, "it says that nobody saw it begin");
        assert_eq!(same.state, State::Open);
        assert_eq!(
            (&same.user, same.uid, same.peer(), same.local(), &same.tty, &same.sshd.exe),
            (&session.user, session.uid, session.peer(), session.local(), &session.tty, &session.sshd.exe)
        );
        assert!(same.opened_at <= session.opened_at, "not before its connection, not after its begin");
    }
    for (client, open) in clients.iter_mut().zip(open) {
        client.leave();
        scene.closed(open, client, "logout");
    }
    role.wait_for(|sessions| sessions.iter().all(|session| session.end.as_deref() == Some("logout")));
}

fn login_that_had_begun_before(scene: &mut Scene<'_>) {
    let login = scene.site.plain.login(ALICE).silent_for(Duration::from_secs(4));
    let client = login.start();
    std::thread::sleep(Duration::from_millis(200));
    let role = Role::start();
    scene.follow(client);
    let listed = role.wait_for(|sessions| sessions.iter().any(|session| session.end.is_some()));
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert!(!listed[0].recovered, "it was seen");
    assert_eq!(listed[0].user.as_deref(), Some("alice"));
    assert!(listed[0].peer().is_some(), "with its address");
}

/// Losses are counted and told, what is open is found, and nothing is invented.
fn tiny_buffer(scene: &mut Scene<'_>) {
    let mut role = Role::new();
    role.configure("[trace]\nring_buffer = \"4 KiB\"\n");
    role.launch();
    role.signal(Signal::STOP);
    let mut clients: Vec<Client> =
        (0..6).map(|number| scene.site.plain.login([ALICE, BOB][number % 2]).start()).collect();
    let open: Vec<_> = clients.iter().map(|client| scene.opened(client)).collect();
    for _ in 0..3 {
        let mut client = scene.site.plain.login(ROOT).to(Use::Run("true".to_owned())).start();
        client.wait();
        scene.came_and_went(&client);
    }
    role.signal(Signal::CONT);
    let is_open = |session: &Session| session.state == State::Open;
    let listed = role.wait_for(|sessions| sessions.iter().filter(|session| is_open(session)).count() == 6);
    let truth = scene.new_sessions();
    for session in &listed {
        assert!(truth.iter().any(|truth| truth.sshd.pid == session.sshd.pid), "invented: {session:#?}");
    }
    assert!(listed.iter().any(|session| session.recovered), "some were found: {listed:#?}");
    assert!(role.log().contains("kernel events were lost"), "{}", role.log());
    let lost = role.changes("events lost");
    assert!(lost > 0, "it is a change");
    for (client, open) in clients.iter_mut().zip(open) {
        client.leave();
        scene.closed(open, client, "logout");
    }
    role.wait_for(|sessions| sessions.iter().all(|session| session.end.is_some()));
    // The same losses are not told again by the next one.
    let lost = role.changes("events lost");
    role.kill();
    role.launch();
    assert_eq!(role.changes("events lost"), lost);
}

/// Then nothing is left in the kernel, and the next start begins anew.
fn unloaded(scene: &mut Scene<'_>) {
    let mut role = Role::start();
    let refused = role.login_tracer("unload").output().expect("it starts");
    assert!(!refused.status.success(), "not while the role runs");
    role.stop();
    let pins = || std::fs::read_dir("/sys/fs/bpf/login-tracer").map_or(0, Iterator::count);
    let before = pins();
    assert_eq!(role.unload(), "The programs are removed: nothing is recorded any more.\n");
    assert_eq!(pins(), before - 1);
    assert_eq!(role.unload(), "There are no programs in the kernel.\n");
    scene.follow(scene.site.plain.login(ALICE).start());
    role.launch();
    scene.follow(scene.site.plain.login(BOB).start());
    let listed = role.wait_for(|sessions| sessions.iter().any(|session| session.end.is_some()));
    assert!(listed.iter().all(|session| session.user.as_deref() == Some("bob")), "{listed:#?}");
}

/// Neither the programs nor the checkpoint can be read or removed by an ordinary user.
fn out_of_reach_for_others(_: &mut Scene<'_>) {
    let role = Role::start();
    let mut any = false;
    for folder in ["/sys/fs/bpf/login-tracer", "/run/login-tracer"] {
        for entry in std::fs::read_dir(folder).expect("root may").flatten() {
            any = true;
            for verb in ["ls", "rm -rf", "touch"] {
                let path = entry.path();
                let script = format!("{verb} {}/x {}", path.display(), path.display());
                let mut shell = processes::command("/bin/sh");
                std::os::unix::process::CommandExt::uid(&mut shell, ALICE.uid);
                let output = shell.args(["-c", &script]).output().expect("it starts");
                assert!(!output.status.success(), "{script}: {output:?}");
                assert!(path.symlink_metadata().is_ok(), "{script} removed it");
            }
        }
    }
    assert!(any && Path::new("/sys/fs/bpf").exists());
    drop(role);
}
