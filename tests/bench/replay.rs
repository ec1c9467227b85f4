//! Recorded kernel events, and what the tracker finds in them.

use login_tracer::event::Event;
use login_tracer::tracker::Tracker;

/// What real logins made the kernel report, with OpenSSH 9.9 and 10.
pub(crate) const LOGINS: [&str; 2] =
    [include_str!("../tracker/traces/openssh-9.9.jsonl"), include_str!("../tracker/traces/openssh-10.jsonl")];

/// The events of a recording: one a line, as JSON.
pub(crate) fn events(recording: &str) -> impl Iterator<Item = Event> {
    recording.lines().map(|line| serde_json::from_str(line).expect("a recording holds events"))
}

/// How much the tracker finds.
pub(crate) fn findings(events: &[Event]) -> usize {
    let mut tracker = Tracker::default();
    let mut found = 0;
    for event in events {
        tracker.handle(event);
        while tracker.next_finding().is_some() {
            found += 1;
        }
    }
    found
}
