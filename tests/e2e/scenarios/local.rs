//! People who are let in on the host itself, outside of any ssh session, and those who are not.

use super::Scenario;
use crate::accounts::{ALICE, BOB, PASSWORD, ROOT};
use crate::client::{BAD, Use};
use crate::local::Visit;
use crate::role::Role;
use crate::scene::Scene;
use crate::tracer::trace_section;

const SU: &str = "/usr/bin/su";
const SUDO: &str = "/usr/bin/sudo";

/// Says whose it is, and waits for a line.
const TELL: &str = "echo a $(id -u); read _";

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "local",
        su_by_a_user: "/usr/bin/su",
        su_by_root_at_a_terminal: "/usr/bin/su",
        sudo_as_root_and_as_another: "/usr/bin/sudo",
        sudo_with_a_terminal_of_its_own: "/usr/bin/sudo",
        login_by_force: "/usr/bin/login",
        login_with_a_password: "/usr/bin/login",
        su_that_is_killed: "/usr/bin/su",
        whoever_is_refused: "/usr/bin/sudo",
        jobs_of_root: "/usr/bin/su",
        what_happens_inside_is_no_session: "/usr/bin/sudo",
        open_before_the_role_starts: "/usr/bin/sudo",
        killed_role: "/usr/bin/su",
    ]
}

/// Plays a visit of somebody who is in and waits for a line.
fn whole(scene: &mut Scene<'_>, mut visit: Visit, tty: Option<&str>) {
    assert_eq!(visit.expect_output("a ").trim(), visit.account.uid.to_string());
    let inside = scene.is_inside(&visit, tty);
    visit.leave("");
    scene.is_gone(&inside, &visit, "logout");
}

fn su(by: crate::accounts::Account, program: &[&str]) -> Visit {
    let mut visit = Visit::start(by, BOB, program);
    if by.uid != 0 {
        visit.say(PASSWORD);
    }
    visit
}

fn su_by_a_user(scene: &mut Scene<'_>) {
    for program in [&[SU, "bob", "-c", TELL][..], &[SU, "-", "bob", "-c", TELL]] {
        let visit = su(ALICE, program);
        whole(scene, visit, None);
    }
    let mut visit = Visit::start(ALICE, ROOT, &[SU, "-c", TELL]);
    visit.say(PASSWORD);
    whole(scene, visit, None);
}

fn su_by_root_at_a_terminal(scene: &mut Scene<'_>) {
    let visit = Visit::start_at_terminal("su", BOB, &format!("{SU} bob -c '{TELL}'"));
    let tty = tty_of(&visit);
    whole(scene, visit, Some(&tty));
}

/// The terminal of the process of login, su or sudo, as the kernel links it.
fn tty_of(visit: &Visit) -> String {
    let link = std::fs::read_link(format!("/proc/{}/fd/0", visit.monitor())).expect("it has an input");
    link.to_string_lossy().trim_start_matches("/dev/").to_owned()
}

fn sudo_as_root_and_as_another(scene: &mut Scene<'_>) {
    for (account, program) in [
        (ROOT, &[SUDO, "sh", "-c", TELL][..]),
        (BOB, &[SUDO, "-u", "bob", "sh", "-c", TELL]),
        (BOB, &[SUDO, "-i", "-u", "bob", "sh", "-c", TELL]),
    ] {
        whole(scene, Visit::start(ALICE, account, program), None);
    }
}

/// Then it has a process between itself and the program.
fn sudo_with_a_terminal_of_its_own(scene: &mut Scene<'_>) {
    let visit = Visit::start_at_terminal("sudo", BOB, &format!("{SUDO} -u bob sh -c '{TELL}'"));
    visit.expect_output("a ");
    let tty = tty_of(&visit);
    let monitor = visit.monitor();
    let between = crate::processes::children(monitor);
    assert!(between.iter().all(|pid| crate::processes::is_named(*pid, "sudo")), "it has one of its own");
    whole(scene, visit, Some(&tty));
}

fn login_by_force(scene: &mut Scene<'_>) {
    for account in [ALICE, ROOT] {
        let mut visit = Visit::start_at_terminal("login", account, &format!("login -f {}", account.name));
        let tty = tty_of(&visit);
        visit.say("echo \"it is\" $(id -u)");
        visit.expect_shown(&format!("it is {}", account.uid));
        let inside = scene.is_inside(&visit, Some(&tty));
        visit.leave("exit");
        scene.is_gone(&inside, &visit, "logout");
    }
}

fn login_with_a_password(scene: &mut Scene<'_>) {
    let mut visit = Visit::start_at_terminal("login", ALICE, "login");
    let tty = tty_of(&visit);
    visit.expect_shown("login: ");
    visit.say("alice");
    visit.expect_shown("Password: ");
    // It is not in yet.
    scene.nothing_new();
    visit.say(PASSWORD);
    // What is typed before the shell asks may be thrown away.
    visit.expect_shown("$ ");
    visit.say("echo \"it is\" $(id -u)");
    visit.expect_shown(&format!("it is {}", ALICE.uid));
    let inside = scene.is_inside(&visit, Some(&tty));
    visit.leave("exit");
    scene.is_gone(&inside, &visit, "logout");
}

fn su_that_is_killed(scene: &mut Scene<'_>) {
    let mut visit = su(ALICE, &[SU, "bob", "-c", TELL]);
    visit.expect_output("a ");
    let inside = scene.is_inside(&visit, None);
    visit.kill_monitor();
    scene.is_gone(&inside, &visit, "killed");
}

fn whoever_is_refused(scene: &mut Scene<'_>) {
    for (by, program) in [
        (ALICE, &[SU, "bob", "-c", "true"][..]),
        (ALICE, &[SU, "-c", "true"]),
        // Not in sudoers.
        (BOB, &[SUDO, "-S", "true"]),
    ] {
        let mut visit = Visit::start(by, ROOT, program);
        visit.say(BAD);
        visit.falls_silent();
        assert!(!visit.wait().success(), "{program:?} lets nobody in");
    }
    let mut visit = Visit::start_at_terminal("login", ALICE, "login alice");
    visit.expect_shown("Password: ");
    visit.say(BAD);
    visit.expect_shown("Login incorrect");
    visit.kill_monitor();
    scene.nothing_new();
}

/// Root's jobs become others by su and sudo all day long.
fn jobs_of_root(scene: &mut Scene<'_>) {
    for program in [&[SU, "bob", "-c", "id -u"][..], &[SUDO, "-u", "bob", "id", "-u"]] {
        let mut visit = Visit::start(ROOT, BOB, program);
        assert!(visit.wait().success(), "{program:?} works");
    }
    scene.nothing_new();
}

/// It is a part of the session in which it happens.
fn what_happens_inside_is_no_session(scene: &mut Scene<'_>) {
    let program = format!("echo a $(sudo -u bob id -u) $(echo '{PASSWORD}' | su bob -c 'id -u'); read _");
    let mut client = scene.site.pam.login(ALICE).to(Use::Run(program)).start();
    let open = scene.opened(&client);
    assert_eq!(client.expect_output("a "), format!("{0} {0}", BOB.uid));
    scene.gains(&open, &[(ALICE, ROOT, SUDO), (ALICE, BOB, SUDO), (ALICE, ROOT, SU), (ALICE, BOB, SU)]);
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");

    // The same in a session of su's: sudo refuses bob, and has made root all the same.
    let mut visit = su(ALICE, &[SU, "bob", "-c", "sudo -n true; echo a $(id -u); read _"]);
    visit.expect_output("a ");
    let inside = scene.is_inside(&visit, None);
    scene.gained_by(&inside, &[(BOB, ROOT, SUDO)]);
    visit.leave("");
    scene.is_gone(&inside, &visit, "logout");
}

fn open_before_the_role_starts(scene: &mut Scene<'_>) {
    let mut login = Visit::start_at_terminal("login", ALICE, "login -f alice");
    let tty = tty_of(&login);
    login.say("echo \"it is\" $(id -u)");
    login.expect_shown(&format!("it is {}", ALICE.uid));
    let mut visits = vec![
        (login, Some(tty)),
        (su(ALICE, &[SU, "bob", "-c", TELL]), None),
        (Visit::start(ALICE, ROOT, &[SUDO, "sh", "-c", TELL]), None),
    ];
    // Somebody who has not said the password yet.
    let mut waiting = Visit::start(ALICE, BOB, &[SU, "bob", "-c", TELL]);
    let waiting_for = waiting.monitor();
    let mut inside = Vec::new();
    for (visit, tty) in &visits {
        inside.push(scene.is_inside(visit, tty.as_deref()));
    }
    // What these start are no sessions of their own.
    visits[0].0.say("sudo sh -c 'echo \"and now\" $(id -u); read _'");
    visits[0].0.expect_shown("and now 0");
    scene.gained_by(&inside[0], &[(ALICE, ROOT, SUDO)]);
    let mut role = Role::new();
    role.configure(&trace_section());
    role.launch();
    for ((visit, tty), inside) in visits.iter().zip(&inside) {
        let found = role.sessions().into_iter().find(|session| session.sshd.pid == inside.monitor);
        let session = found.unwrap_or_else(|| panic!("{} was not found:\n{}", visit.service, role.log()));
        assert!(session.recovered && session.service == visit.service, "{session:#?}");
        assert_eq!(
            (session.user.as_deref(), session.uid),
            (Some(visit.account.name), Some(visit.account.uid))
        );
        assert_eq!(session.by.as_ref().map(|by| by.uid), visit.by.map(|by| by.uid), "{session:#?}");
        assert_eq!(session.tty, *tty);
    }
    assert_eq!(role.sessions().len(), visits.len(), "nothing else:\n{}", role.log());
    waiting.say(PASSWORD);
    assert_eq!(waiting.expect_output("a "), BOB.uid.to_string());
    let last = scene.is_inside(&waiting, None);
    assert_eq!(last.monitor, waiting_for);
    role.wait_for(|listed| {
        listed.iter().any(|session| session.sshd.pid == waiting_for && !session.recovered)
    });
    visits[0].0.say("");
    waiting.leave("");
    scene.is_gone(&last, &waiting, "logout");
    for ((visit, _), inside) in visits.iter_mut().zip(&inside) {
        visit.leave("exit");
        scene.is_gone(inside, visit, "logout");
    }
    role.wait_for(|listed| listed.iter().all(|session| session.closed_at.is_some()));
}

fn killed_role(scene: &mut Scene<'_>) {
    let mut role = Role::new();
    role.configure(&trace_section());
    role.launch();
    let mut first = su(ALICE, &[SU, "bob", "-c", TELL]);
    first.expect_output("a ");
    let first_inside = scene.is_inside(&first, None);
    role.expect_all(scene);
    role.kill();
    let mut second = Visit::start(ALICE, ROOT, &[SUDO, "sh", "-c", TELL]);
    second.expect_output("a ");
    let second_inside = scene.is_inside(&second, None);
    whole(scene, Visit::start(ALICE, BOB, &[SUDO, "-u", "bob", "sh", "-c", TELL]), None);
    role.launch();
    role.expect_all(scene);
    for (visit, inside) in [(&mut first, first_inside), (&mut second, second_inside)] {
        visit.leave("");
        scene.is_gone(&inside, visit, "logout");
    }
    role.expect_all(scene);
}
