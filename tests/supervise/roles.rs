//! Roles that behave, die, give up or do not listen, and a supervisor that is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use login_tracer::commands::Exit;
use login_tracer::supervise::Role;
use login_tracer::supervise::ready::ReadySocket;
use login_tracer::supervise::roles::{GRACE, Start, Stop, keep};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::process;
use crate::root::is_root_or_skip;

/// Generous: the machine may be busy.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn it_is_ready_when_both_roles_are_and_ends_them_together() {
    let kept = Kept::start("good", "good");
    kept.until(|kept| kept.readies() == 1).await;
    kept.stop(Stop::Gently);
    let started = Instant::now();
    let (result, scene) = kept.end().await;
    result.unwrap();
    assert!(started.elapsed() < GRACE / 2, "{:?}", started.elapsed());
    assert_eq!(scene.readies(), 1);
    let left: Vec<_> = scene.files().into_iter().filter(|name| name.ends_with(".ready")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn one_ready_role_is_not_enough() {
    let kept = Kept::start("good", "die");
    kept.until(|kept| kept.starts(Role::Trace) == 1 && kept.starts(Role::Notify) >= 2).await;
    assert_eq!(kept.readies(), 0);
    kept.stop(Stop::Gently);
    kept.end().await.0.unwrap();
}

#[tokio::test]
async fn a_role_that_dies_is_started_again_and_the_other_goes_on() {
    let kept = Kept::start("good", "ready-then-die");
    kept.until(|kept| kept.starts(Role::Notify) >= 3).await;
    assert_eq!(kept.starts(Role::Trace), 1);
    assert_eq!(kept.readies(), 1);
    kept.stop(Stop::Gently);
    kept.end().await.0.unwrap();
}

#[tokio::test]
async fn a_role_that_can_never_work_ends_all() {
    let kept = Kept::start("good", "give-up");
    let (result, scene) = kept.end().await;
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "the notify role cannot work; it has said why above");
    assert_eq!(Exit::of(&error), Exit::Permanent);
    assert_eq!(scene.starts(Role::Notify), 1);
}

#[tokio::test]
async fn a_role_that_worked_once_may_work_again() {
    let kept = Kept::start("ready-then-give-up", "good");
    kept.until(|kept| kept.starts(Role::Trace) >= 2).await;
    kept.stop(Stop::Gently);
    kept.end().await.0.unwrap();
}

#[tokio::test]
async fn a_role_that_does_not_listen_is_killed_when_asked_twice() {
    let kept = Kept::start("stubborn", "good");
    kept.until(|kept| kept.readies() == 1).await;
    kept.stop(Stop::Gently);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!kept.task.is_finished(), "it was given no time");
    kept.stop(Stop::Now);
    let started = Instant::now();
    kept.end().await.0.unwrap();
    assert!(started.elapsed() < GRACE / 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn it_ends_while_a_role_waits_for_its_next_start() {
    let kept = Kept::start("die", "die");
    kept.until(|kept| kept.starts(Role::Trace) >= 4).await;
    kept.stop(Stop::Gently);
    let started = Instant::now();
    kept.end().await.0.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn roles_hear_no_terminal_and_come_first() {
    let kept = Kept::start("tied", "tied");
    kept.until(|kept| kept.readies() == 1 && Role::ALL.iter().all(|role| kept.starts(*role) == 1)).await;
    for role in Role::ALL {
        let pid = fs::read_to_string(kept.trace(role)).unwrap();
        let pid = pid.trim();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // From the third field on, `proc_pid_stat(5)`: the sixth is the session, the nineteenth what is nice.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_eq!(fields[6 - 3], pid, "a session of its own");
        if is_root_or_skip("roles_hear_no_terminal_and_come_first, priority") {
            assert_eq!(fields[19 - 3], "-10");
            if let Ok(session) = fs::read_to_string(format!("/proc/{pid}/autogroup")) {
                assert!(session.trim().ends_with(" nice -10"), "{session}");
            }
        }
    }
    kept.stop(Stop::Gently);
    kept.end().await.0.unwrap();
}

#[test]
fn a_killed_supervisor_takes_its_roles_along() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("supervisor");
    let mut supervisor = Command::new(std::env::current_exe().unwrap())
        .args(process::arguments("supervise", &trace))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let scene = Scene::of(dir);
    wait_until(|| scene.starts(Role::Trace) == 1 && scene.starts(Role::Notify) == 1);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    for role in Role::ALL {
        let pid = fs::read_to_string(scene.trace(role)).unwrap();
        wait_until(|| !is_alive(pid.trim()));
    }
}

/// The process of the test above: a supervisor with two roles that are tied to it.
pub(crate) fn supervise_until_killed(trace: &Path) {
    let scene =
        Scene { dir: Arc::new(trace.parent().unwrap().to_owned()), _guard: None, readies: Arc::default() };
    let (_stop, stopped) = watch::channel(Stop::No);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let starts = vec![scene.role(Role::Trace, "tied"), scene.role(Role::Notify, "tied")];
        keep(starts, stopped, || ()).await.unwrap();
    });
}

/// Where roles leave their traces.
#[derive(Clone)]
struct Scene {
    dir: Arc<PathBuf>,
    _guard: Option<Arc<TempDir>>,
    readies: Arc<AtomicUsize>,
}

impl Scene {
    fn of(dir: TempDir) -> Self {
        Self { dir: Arc::new(dir.path().to_owned()), _guard: Some(Arc::new(dir)), readies: Arc::default() }
    }

    fn role(&self, role: Role, behaviour: &str) -> Start {
        Start {
            role,
            program: std::env::current_exe().unwrap().into(),
            arguments: process::arguments(behaviour, &self.trace(role)).into_iter().map(Into::into).collect(),
            socket: ReadySocket::bind(&self.dir, role, None).unwrap(),
        }
    }

    fn trace(&self, role: Role) -> PathBuf {
        self.dir.join(role.as_str())
    }

    fn starts(&self, role: Role) -> usize {
        fs::read_to_string(self.trace(role)).map_or(0, |text| text.lines().count())
    }

    fn readies(&self) -> usize {
        self.readies.load(Ordering::SeqCst)
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.as_path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A supervisor at work.
struct Kept {
    scene: Scene,
    stop: watch::Sender<Stop>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl std::ops::Deref for Kept {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl Kept {
    fn start(trace: &str, notify: &str) -> Self {
        let scene = Scene::of(tempfile::tempdir().unwrap());
        let starts = vec![scene.role(Role::Trace, trace), scene.role(Role::Notify, notify)];
        let (stop, stopped) = watch::channel(Stop::No);
        let readies = scene.readies.clone();
        let when_ready = move || {
            readies.fetch_add(1, Ordering::SeqCst);
        };
        let task = tokio::spawn(keep(starts, stopped, when_ready));
        Self { scene, stop, task }
    }

    fn stop(&self, stop: Stop) {
        self.stop.send_replace(stop);
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !condition(self) {
            assert!(started.elapsed() < SOON, "it did not happen");
            assert!(!self.task.is_finished(), "the supervisor ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn end(self) -> (anyhow::Result<()>, Scene) {
        let result = tokio::time::timeout(SOON, self.task).await.expect("it ends").unwrap();
        (result, self.scene)
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < SOON, "it did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process runs; one that only waits to be collected does not.
fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}
