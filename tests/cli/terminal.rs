//! Colours: on a terminal, unless the person does not want them, and nowhere else.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::Stdio;

use crate::fixture::State;

const ESCAPE: char = '\u{1b}';

#[test]
fn colours_are_for_terminals() {
    let state = State::with_examples();
    assert!(on_terminal(&state, None).contains(ESCAPE));
    assert!(on_terminal(&state, Some("")).contains(ESCAPE));
    assert!(!on_terminal(&state, Some("1")).contains(ESCAPE));
    assert!(!state.run(&["sessions"]).stdout().contains(ESCAPE));
}

fn on_terminal(state: &State, no_color: Option<&str>) -> String {
    let (master, slave) = terminal();
    let mut command = state.command(&["sessions", "--user", "alice"]);
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    assert!(command.stdout(Stdio::from(slave)).status().unwrap().success());
    // The command holds the other end, which must be closed before this one ends.
    drop(command);
    let mut shown = Vec::new();
    // Linux ends the reading of a terminal without writers with an error.
    File::from(master).read_to_end(&mut shown).unwrap_or_default();
    String::from_utf8(shown).unwrap()
}

fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: both pointers are valid for one number each; the others may be null.
    let result = unsafe { libc::openpty(&raw mut master, &raw mut slave, none, none.cast(), none.cast()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both were opened just now and belong to nobody else.
    unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) }
}
