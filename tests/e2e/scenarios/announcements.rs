//! From a real login to the message about it, through both roles; and what is left when they are killed, when their
//! database is damaged and when the disk is full.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use serde_json::Value;

use super::Scenario;
use super::inside::SUDO;
use crate::accounts::{ALICE, Account, BOB, LOCKED, ROOT, SHELLLESS};
use crate::client::{Client, Use};
use crate::lines::LIMIT;
use crate::processes;
use crate::sandbox::{HOST, VISITORS, mount_fs};
use crate::scene::Scene;
use crate::whole::Whole;

pub fn scenarios() -> Vec<Scenario> {
    scenarios![
        "announcements",
        risk_has_its_colour,
        a_list_makes_a_session_red,
        accounts_that_should_have_no_logins,
        gained_user_ids_are_told: "/usr/bin/sudo",
        killed_roles_come_back,
        roles_come_first,
        roles_end_with_their_supervisor,
        damaged_sessions_are_set_aside,
        full_disk_loses_no_session,
    ]
}

/// One after the other from addresses of low, medium and high risk, and from one of our own.
fn risk_has_its_colour(scene: &mut Scene<'_>) {
    let whole = Whole::start();
    let colours = ["#02ff00", "#ffe200", "#ff0002"];
    let levels = ["low", "medium", "high"];
    for ((visitor, colour), level) in VISITORS.into_iter().zip(colours).zip(levels) {
        let mut login = scene.site.pam.login(ALICE);
        login.peer.set_ip(visitor.into());
        scene.follow(login.start());
        let place = format!("alice on {HOST} from {visitor}");
        let [opened] = whole.expect_messages(&format!("SSH login: {place}"), 1).try_into().expect("one");
        whole.expect_messages(&format!("SSH session ended: {place}"), 1);
        let score = u64::from(visitor.octets()[3]);
        let risk = format!("{score} ({})", level.to_uppercase());
        assert!(opened.ends_with(&format!("risk {risk}")), "{opened}");
        for message in shown(&whole, &place) {
            assert_eq!(message["attachments"][0]["color"], colour, "{message:#}");
            let text = message.to_string();
            for words in [
                "AS15704 XTRA TELECOM - XTRA TELECOM S.A., ES",
                "Madrid - Community of Madrid (ES)",
                &format!("{risk} - Score from one dataset"),
            ] {
                assert!(text.contains(words), "{words:?} is not in {message:#}");
            }
        }
        let listed = whole.expect_session(|session| session["peer"]["address"] == visitor.to_string());
        let assessment = &listed["assessment"];
        assert_eq!(
            (&assessment["level"], &assessment["score"]),
            (&level.into(), &score.into()),
            "{listed:#}"
        );
        assert_eq!(assessment["reasons"][0]["text"], "Score from one dataset");
        let console = format!("alice on {HOST}  from {visitor}");
        let line =
            whole.console.wait_for(LIMIT, |line| line.text.contains(&console).then(|| line.text.clone()));
        assert!(line.is_some_and(|line| line.contains(&risk)), "the console says the same");
    }
    // An address of our own is nobody's business: it is judged by what this host knows.
    scene.follow(scene.site.plain.login(ROOT).start());
    let place = format!("root on {HOST} from 127.");
    whole.expect_messages(&format!("SSH login: {place}"), 1);
    let message = shown(&whole, &place).remove(0);
    assert_eq!(message["attachments"][0]["color"], "#02ff00");
    assert!(message.to_string().contains("15 (LOW) - root; loopback address, not looked up"), "{message:#}");
    assert!(whole.threat_jammer.paths().iter().all(|path| !path.contains("/127.")), "it was not asked about");
}

/// Somebody is in when their address gets on a list: told again, in red, and once.
fn a_list_makes_a_session_red(scene: &mut Scene<'_>) {
    let whole = Whole::start();
    let mut client = scene.site.pam.login(ALICE).to(Use::Run("echo first; read _".to_owned())).start();
    let open = scene.opened(&client);
    client.expect_output("first");
    let place = format!("alice on {HOST} from {}", client.login.peer.ip());
    let [opened] = whole.expect_messages(&format!("SSH login: {place}"), 1).try_into().expect("one");
    assert!(opened.ends_with("risk 0 (LOW)"), "{opened}");
    whole.list(client.login.peer.ip());
    let [raised] = whole.expect_messages(&format!("riskier: {place}"), 1).try_into().expect("one");
    assert!(raised.ends_with("risk 70 (HIGH)"), "{raised}");
    let message = shown(&whole, &format!("riskier: {place}")).remove(0);
    assert_eq!(message["attachments"][0]["color"], "#ff0002");
    assert!(message.to_string().contains("on the list drop"), "{message:#}");
    client.say("");
    client.leave();
    scene.closed(open, &client, "logout");
    let [ended] = whole.expect_messages(&format!("SSH session ended: {place}"), 1).try_into().expect("one");
    assert!(ended.ends_with("risk 70 (HIGH)"), "{ended}");
    whole.expect_messages("riskier", 1);
}

/// The role that sends cannot read how accounts stand, and says it nevertheless: the other one has found it out.
fn accounts_that_should_have_no_logins(scene: &mut Scene<'_>) {
    let whole = Whole::start();
    for (account, risk, reason) in [
        (LOCKED, "35 (MEDIUM)", "the account is locked, which keeps only passwords out"),
        (SHELLLESS, "45 (MEDIUM)", "the account's shell is /usr/sbin/nologin"),
        (ALICE, "0 (LOW)", "loopback address, not looked up"),
    ] {
        let mut client = scene.site.pam.login(account).to(Use::Nothing).start();
        let open = scene.opened(&client);
        let place = format!("{} on {HOST} from {}", account.name, client.login.peer.ip());
        let [opened] = whole.expect_messages(&format!("SSH login: {place}"), 1).try_into().expect("one");
        assert!(opened.ends_with(&format!("risk {risk}")), "{opened}");
        let message = shown(&whole, &format!("SSH login: {place}")).remove(0);
        assert!(message.to_string().contains(&format!("{risk} - {reason}")), "{message:#}");
        let session = whole.expect_session(|session| session["user"] == account.name);
        assert_eq!(session["account"], account.state);
        let explained = whole.page(&["explain", &session["id"].to_string()]);
        assert!(
            explained.contains(if account == LOCKED { "locked: its password" } else { "usable" }),
            "{explained}"
        );
        let page = whole.page(&["show", &session["id"].to_string()]);
        assert!(
            page.contains(if account == LOCKED {
                "Account   locked: its password"
            } else {
                "Account   usable"
            }),
            "{page}"
        );
        client.leave();
        scene.closed(open, &client, "logout");
    }
}

/// Who became whom by which program, once; also in a session that was open before the trace role.
fn gained_user_ids_are_told(scene: &mut Scene<'_>) {
    let whole = Whole::start();
    let program = "sudo -n true; sudo -n true; echo first; read _; sudo -n -u bob true; echo second; read _";
    let mut client = scene.site.pam.login(ALICE).to(Use::Run(program.to_owned())).start();
    let open = scene.opened(&client);
    client.expect_output("first");
    let session =
        format!("by /usr/bin/sudo in the session of alice on {HOST} from {}", client.login.peer.ip());
    let root = "User id gained: alice (uid 5001) became root (uid 0)";
    let bob = "User id gained: alice (uid 5001) became bob (uid 5002)";
    whole.expect_messages(&format!("{root} {session}"), 1);
    whole.kill_role("trace");
    client.say("");
    client.expect_output("second");
    whole.expect_messages(&format!("{bob} {session}"), 1);
    client.say("");
    client.leave();
    let peer = client.login.peer;
    scene.closed(open, &client, "logout");
    scene.gained_from(
        peer,
        &[(ALICE, ROOT), (ALICE, ROOT), (ALICE, ROOT), (ALICE, BOB)].map(|(a, b)| (a, b, SUDO)),
    );
    whole.expect_messages(&format!("SSH session ended: alice on {HOST} from {}", peer.ip()), 1);
    whole.expect_messages(&format!("{root} {session}"), 1);
    let port = client.login.peer.port();
    let listed =
        whole.expect_session(|session| session["peer"]["port"] == port && session["state"] == "closed");
    assert_eq!(listed["escalated_to"], 0, "{listed:#}");
    let line = whole.console.wait_for(LIMIT, |line| line.text.contains("GAINED").then(|| line.text.clone()));
    assert!(line.is_some_and(|line| line.contains("alice (uid 5001) became root (uid 0) by /usr/bin/sudo")));
}

/// Whichever role is killed while somebody is in: every login and every end is told, once.
fn killed_roles_come_back(scene: &mut Scene<'_>) {
    let whole = Whole::start();
    for round in 1..=3 {
        let clients: Vec<Client> = [ALICE, BOB].map(|account| scene.site.plain.login(account).start()).into();
        let sessions: Vec<_> = clients.iter().map(|client| scene.opened(client)).collect();
        // Durable before it is killed: what is on its way in these milliseconds is the kernel's to keep.
        for client in &clients {
            let port = client.login.peer.port();
            whole.expect_session(|session| session["peer"]["port"] == port);
        }
        whole.kill_role("trace");
        whole.kill_role("notify");
        for (mut client, session) in clients.into_iter().zip(sessions) {
            client.leave();
            scene.closed(session, &client, "logout");
            let port = client.login.peer.port();
            let closed = |session: &Value| session["peer"]["port"] == port && session["state"] == "closed";
            let session = whole.expect_session(closed);
            assert_eq!(session["end"], "logout", "its end was seen, not guessed");
        }
        for name in [ALICE, BOB].map(|account: Account| account.name) {
            whole.expect_messages(&format!("SSH login: {name} on"), round);
            whole.expect_messages(&format!("SSH session ended: {name} on"), round);
        }
    }
}

fn roles_come_first(_: &mut Scene<'_>) {
    // Kernels before 6.6 show no turns; those before 6.12 would not change them, and are none of ours.
    let shown = |process: &str, key: &str| {
        let sched = fs::read_to_string(format!("/proc/{process}/sched")).ok()?;
        let line = sched.lines().find(|line| line.starts_with(key))?;
        line.rsplit(' ').next()?.parse::<u64>().ok()
    };
    let Some(usual) = shown("self", "se.slice") else { return };
    let whole = Whole::start();
    let [trace, notify] =
        ["trace", "notify"].map(|verb| whole.role(verb).expect("the role runs").to_string());
    // Nanoseconds.
    assert_eq!(shown(&notify, "se.slice"), Some(100_000), "others take {usual}");
    assert_eq!(shown(&notify, "policy"), Some(0), "SCHED_OTHER");
    if may_run_at_once() {
        assert_eq!(shown(&trace, "policy"), Some(2), "SCHED_RR");
    } else {
        assert_eq!(shown(&trace, "se.slice"), Some(100_000), "as root here may do no more");
    }
}

/// Groups of CPU time of a kernel with `RT_GROUP_SCHED` may have none for that, for root neither.
fn may_run_at_once() -> bool {
    let ask = || {
        let parameters = libc::sched_param { sched_priority: 1 };
        // SAFETY: a valid struct that outlives the call; 0 is this thread alone, which ends with the answer.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameters) == 0 }
    };
    std::thread::spawn(ask).join().expect("it only asks")
}

fn roles_end_with_their_supervisor(_: &mut Scene<'_>) {
    let mut whole = Whole::start();
    let roles = ["trace", "notify"].map(|verb| whole.role(verb).expect("the role runs"));
    whole.kill();
    let started = Instant::now();
    while !roles.iter().all(|pid| processes::is_gone(*pid)) {
        assert!(started.elapsed() < LIMIT, "a role lives on without its supervisor");
    }
    whole.restart();
    assert!(whole.stop().success(), "it can be started again, and ends well");
}

fn damaged_sessions_are_set_aside(scene: &mut Scene<'_>) {
    let mut whole = Whole::start();
    scene.follow(scene.site.plain.login(ALICE).start());
    whole.expect_messages("SSH session ended: alice", 1);
    whole.stop();
    let database = whole.state_dir().join("sessions.db");
    // The log too: whole, it would mend the database.
    for path in [database.clone(), whole.state_dir().join("sessions.db-wal")] {
        let file = fs::File::options().write(true).open(path).expect("the file");
        file.write_all_at(&[0x55; 1024], 0).expect("damaged");
    }
    let damaged = fs::read(&database).expect("the database");

    whole.restart();
    let words = "the database is damaged and was set aside; tracing goes on with a new one";
    let told = whole.log.wait_for(LIMIT, |line| line.text.contains(words).then(|| line.text.clone()));
    let told = told.expect("it says so");
    let entries = fs::read_dir(whole.state_dir()).expect("the state directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let is_kept = |name: &String| name.starts_with("sessions.db.damaged-") && name.ends_with('Z');
    let [kept]: [String; 1] = names.filter(is_kept).collect::<Vec<_>>().try_into().expect("one is kept");
    let kept = whole.state_dir().join(kept);
    assert!(told.contains(&kept.display().to_string()), "it says where: {told}");
    assert_eq!(fs::read(&kept).expect("the kept file"), damaged, "nothing of it is lost");

    scene.follow(scene.site.plain.login(BOB).start());
    whole.expect_messages("SSH session ended: bob", 1);
    whole.expect_session(|session| session["user"] == "bob" && session["state"] == "closed");
    whole.expect_messages("SSH login: alice", 1);
}

fn full_disk_loses_no_session(scene: &mut Scene<'_>) {
    let mut whole = Whole::start();
    whole.stop();
    // The same directory, but small.
    let state = whole.state_dir();
    fs::remove_dir_all(&state).expect("emptied");
    fs::create_dir(&state).expect("created");
    let flags = rustix::mount::MountFlags::empty();
    mount_fs("tmpfs", &state.display().to_string(), flags, "size=2m,mode=750").expect("a small disk");
    whole.restart();
    scene.follow(scene.site.plain.login(ALICE).start());
    whole.expect_messages("SSH session ended: alice", 1);

    let filler = state.join("filler");
    let mut file = fs::File::create(&filler).expect("a file");
    // Until there is not one byte left: this fails, and that is the point.
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    let mut clients: Vec<Client> =
        (0..3).map(|_| scene.site.plain.login(BOB).to(Use::Nothing).start()).collect();
    let sessions: Vec<_> = clients.iter().map(|client| scene.opened(client)).collect();
    let words = "sessions are kept in memory until it works again";
    let told = whole.log.wait_for(LIMIT, |line| line.text.contains(words).then_some(()));
    assert!(told.is_some(), "it says that it cannot write");
    let listed = |whole: &Whole| whole.sessions().iter().filter(|session| session["user"] == "bob").count();
    assert!(listed(&whole) < 3, "the disk was full");

    fs::remove_file(&filler).expect("room again");
    for (client, session) in clients.iter_mut().zip(sessions) {
        client.leave();
        scene.closed(session, client, "logout");
    }
    whole.expect_messages("SSH session ended: bob", 3);
    whole.expect_messages("SSH login: bob", 3);
    assert_eq!(listed(&whole), 3);
}

/// The payloads about logins and ends at this place.
fn shown(whole: &Whole, place: &str) -> Vec<Value> {
    let bodies = whole.slack.shown();
    let bodies = bodies.iter().map(|body| serde_json::from_str(body).expect("JSON"));
    bodies.filter(|body: &Value| body["text"].as_str().is_some_and(|text| text.contains(place))).collect()
}
