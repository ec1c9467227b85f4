//! Files that somebody else may have written: configuration, recordings, checkpoints.

use std::fs;
use std::sync::LazyLock;

use login_tracer::config::file::Source;
use login_tracer::config::{Secrets, parse};
use login_tracer::event::Event;
use login_tracer::tracker::Tracker;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::edit::{edited, edits};
use crate::{project, recorded_lines};

static LINES: LazyLock<Vec<String>> = LazyLock::new(recorded_lines);

/// The configuration that is shipped, with everything that stands there as a comment switched on.
static CONFIG: LazyLock<String> = LazyLock::new(|| {
    let text = fs::read_to_string(project("config/login-tracer.toml")).unwrap();
    let is_setting = |line: &&str| line.starts_with("#[") || line.contains(" = ") && line.starts_with('#');
    text.lines().map(|line| if is_setting(&line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
});

/// Tracker states as checkpoints hold them, at many moments of real logins.
static STATES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut tracker = Tracker::default();
    let mut states = Vec::new();
    for (number, line) in LINES.iter().enumerate() {
        tracker.handle(&serde_json::from_str(line).unwrap());
        if number % 20 == 0 {
            states.push(serde_json::to_vec(&tracker).unwrap());
        }
    }
    states
});

proptest! {
    #[test]
    fn configurations(edits in edits(), is_public in any::<bool>()) {
        if let Ok(text) = String::from_utf8(edited(CONFIG.as_bytes(), &edits)) {
            let length = text.len();
            if let Err(problems) = parse::config(&Source { text, is_public }, Secrets::Skip) {
                prop_assert!(!problems.is_empty() && problems.len() <= length);
                prop_assert!(problems.iter().all(|problem| !problem.text.contains(['\n', '\x1b'])));
            }
        }
    }

    #[test]
    fn recordings(line in any::<Index>(), edits in edits()) {
        let line = LINES[line.index(LINES.len())].as_bytes();
        if let Ok(event) = serde_json::from_slice::<Event>(&edited(line, &edits)) {
            Tracker::default().handle(&event);
        }
    }

    #[test]
    fn checkpoints(state in any::<Index>(), edits in edits(), next in any::<Index>()) {
        let state = &STATES[state.index(STATES.len())];
        if let Ok(mut tracker) = serde_json::from_slice::<Tracker>(&edited(state, &edits)) {
            for line in LINES.iter().skip(next.index(LINES.len())).take(10) {
                tracker.handle(&serde_json::from_str(line).unwrap());
            }
            prop_assert!(std::iter::from_fn(|| tracker.next_finding()).count() < 1000);
        }
    }
}
