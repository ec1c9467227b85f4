//! Root is given up for good, and the state directory gets into the right hands or is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use login_tracer::supervise::Permanent;
use login_tracer::supervise::privileges::{Account, prepare_state_dir};

use crate::process;
use crate::root::is_root_or_skip;

const ROLE: u32 = 54_321;
const GROUP: u32 = 54_322;
const FORMER: u32 = 54_323;

#[test]
fn nothing_is_left_of_root() {
    if !is_root_or_skip("nothing_is_left_of_root") {
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(process::arguments("drop", Path::new("/dev/null")))
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "Uid:\t54321\t54321\t54321\t54321",
        "Gid:\t54322\t54322\t54322\t54322",
        "Groups:\t54322 ",
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Dumpable:\t0",
    ] {
        assert!(stdout.lines().any(|found| found == line), "{line:?} is not in\n{stdout}");
    }
}

#[test]
fn directories_get_owners_and_modes() {
    if !is_root_or_skip("directories_get_owners_and_modes") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("var/lib/login-tracer");
    for _ in 0..2 {
        prepare_state_dir(&state, Some(&role())).unwrap();
        assert_eq!(owner_and_mode(&state), (0, GROUP, 0o750));
        assert_eq!(owner_and_mode(&state.join("notify")), (ROLE, GROUP, 0o750));
        // Whatever happened meanwhile is put right.
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    }
}

#[test]
fn somebody_elses_directory_is_refused() {
    if !is_root_or_skip("somebody_elses_directory_is_refused") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(FORMER), None).unwrap();
    let error = prepare_state_dir(dir.path(), Some(&role())).unwrap_err();
    assert!(
        error.is::<Permanent>() && format!("{error:#}").contains("belongs to user id 54323"),
        "{error:#}"
    );
    assert!(!dir.path().join("notify").exists());
}

#[test]
fn links_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let error = prepare_state_dir(&link, None).unwrap_err();
    assert!(error.is::<Permanent>(), "{error:#}");
    if is_root_or_skip("links_are_refused") {
        symlink("/etc", real.join("notify")).unwrap();
        let error = prepare_state_dir(&real, Some(&role())).unwrap_err();
        assert!(error.is::<Permanent>(), "{error:#}");
        assert_eq!(owner_and_mode(Path::new("/etc")).0, 0);
    }
}

#[test]
fn the_files_of_a_former_account_are_handed_over_and_nothing_else() {
    if !is_root_or_skip("the_files_of_a_former_account_are_handed_over_and_nothing_else") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    prepare_state_dir(&state, Some(&Account { uid: FORMER, ..role() })).unwrap();
    let notify = state.join("notify");
    let file = |name: &str, owner: u32| {
        let path = notify.join(name);
        fs::write(&path, "x").unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        path
    };
    let database = file("delivery.db", FORMER);
    let of_root = file("root", 0);
    let outside = dir.path().join("outside");
    fs::write(&outside, "x").unwrap();
    chown(&outside, Some(FORMER), None).unwrap();
    fs::hard_link(&outside, notify.join("second-name")).unwrap();
    symlink(&outside, notify.join("link")).unwrap();
    prepare_state_dir(&state, Some(&role())).unwrap();
    assert_eq!(owner_and_mode(&notify), (ROLE, GROUP, 0o750));
    let owner = |path: &PathBuf| fs::metadata(path).unwrap().uid();
    assert_eq!((owner(&database), owner(&of_root), owner(&outside)), (ROLE, 0, FORMER));
}

#[test]
fn an_ordinary_account_prepares_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    prepare_state_dir(&state, None).unwrap();
    prepare_state_dir(&state, None).unwrap();
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o750);
    assert!(state.join("notify").is_dir());
}

fn role() -> Account {
    Account { name: "role".to_owned(), uid: ROLE, gid: GROUP, is_fallback: false }
}

fn owner_and_mode(path: &Path) -> (u32, u32, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
}
