//! `check`: what it finds in configuration and data, and what it says about kernels.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use expect_test::expect_file;
use login_tracer::commands::check::kernel_part;
use login_tracer::kernel::{Requirement, RequirementState, Survey};
use login_tracer::output::findings::{self, Verdict};

use crate::fixture::{State, view};

#[test]
fn a_kernel_is_described_with_what_it_lacks() {
    let requirement = |name, state, found: &str| Requirement { name, state, found: found.to_owned() };
    let survey = Survey {
        release: "6.1.0\u{1b}[2J".to_owned(),
        machine: "x86_64".to_owned(),
        requirements: vec![
            requirement("process hooks", RequirementState::Good, "BTF tracepoints"),
            requirement(
                "credential hooks",
                RequirementState::Degraded {
                    lost: "the key's fingerprint".to_owned(),
                    fix: "boot a kernel with CONFIG_KPROBES=y".to_owned(),
                },
                "syscall tracepoints",
            ),
            requirement(
                "types",
                RequirementState::Missing {
                    why: "there is no /sys/kernel/btf/vmlinux".to_owned(),
                    fix: "boot a kernel with CONFIG_DEBUG_INFO_BTF=y".to_owned(),
                },
                "",
            ),
        ],
    };
    let parts = [kernel_part(&survey)];
    assert_eq!(findings::worst(&parts), Verdict::Problem);
    let mut output = Vec::new();
    findings::write(&parts, &view(false), &mut output).unwrap();
    expect_file!["../goldens/check-kernel.txt"].assert_eq(&String::from_utf8(output).unwrap());
}

#[test]
fn what_is_wrong_is_a_problem_and_says_what_to_do() {
    let state = State::with_examples();
    state.open_to_others(0o777);
    fs::write(state.path().join("sessions.db.damaged-20261120T000000.000000Z"), "").unwrap();
    fs::write(state.path().join("sessions.db.damaged-20261120T000000.000000Z-wal"), "").unwrap();
    let config = state.path().join("config.toml");
    fs::write(&config, "[risk]\nmedium_above = 200\n").unwrap();
    fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
    let run = state.run(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(run.code(), Some(1), "{}", run.shown());
    for expected in [
        "problem  <dir>/config.toml:2: [risk] medium_above: must be from 0 to 100",
        "problem  directory: mode 0777, owner",
        "-> run `chmod 0750 <dir>`",
        "good     sessions.db: readable and whole",
        "good     delivery.db: readable",
        "note     trace role: does not run",
        "note     sessions.db.damaged-20261120T000000.000000Z: was damaged and set aside",
    ] {
        assert!(run.stdout().contains(expected), "{expected}\n{}", run.shown());
    }
    assert!(!run.stdout().contains("-wal:"), "{}", run.shown());
}

#[test]
fn a_damaged_database_is_found() {
    let state = State::empty();
    fs::write(state.path().join("sessions.db"), "this is no database, not even a small one").unwrap();
    let run = state.run(&["check"]);
    assert_eq!(run.code(), Some(1), "{}", run.shown());
    assert!(
        run.stdout().contains("problem  sessions.db: the database <dir>/sessions.db is damaged"),
        "{}",
        run.shown()
    );
}

#[test]
fn a_directory_that_is_not_there_is_no_problem_yet() {
    let state = State::empty();
    let missing = state.path().join("missing");
    let output = crate::fixture::binary().arg("check").arg("--state-dir").arg(missing).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("note     not there: nothing was recorded yet"), "{stdout}");
}

#[test]
fn a_configuration_that_the_notify_unit_cannot_read_is_noted() {
    let state = State::with_examples();
    let config = state.path().join("config.toml");
    // An account that every system has, and that is not the one that writes this.
    fs::write(&config, "[notify]\nuser = \"daemon\"\n").unwrap();
    let check = |mode| {
        fs::set_permissions(&config, Permissions::from_mode(mode)).unwrap();
        state.run(&["check", "--config", config.to_str().unwrap()]).stdout()
    };
    assert!(check(0o600).contains("but daemon may not read it"));
    assert!(check(0o644).contains("good     <dir>/config.toml: no problem"));
}
