//! What the kernel programs report: records of any bytes, and events in any order.

use std::sync::LazyLock;

use login_tracer::event::Event;
use login_tracer::kernel::decode;
use login_tracer::tracker::Tracker;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::edit::{edited, edits};
use crate::recorded_lines;

static EVENTS: LazyLock<Vec<Event>> =
    LazyLock::new(|| recorded_lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect());

/// The events go through one tracker; what it finds is bounded by what it was told.
fn track(events: impl IntoIterator<Item = Event>) -> Result<(), TestCaseError> {
    let (mut tracker, mut told, mut found) = (Tracker::default(), 0_usize, 0_usize);
    for event in events {
        tracker.handle(&event);
        told += 1;
        found += std::iter::from_fn(|| tracker.next_finding()).count();
    }
    prop_assert!(found <= 8 * told, "{found} findings in {told} events");
    Ok(())
}

proptest! {
    #[test]
    fn records(
        kind in 0_u32..16,
        body in proptest::collection::vec(any::<u8>(), 0..64),
        text in "[ -~\\x00]{0,600}",
    ) {
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend(body);
        bytes.extend(text.bytes());
        track(decode(&bytes).ok())?;
    }

    /// A piece of a real recording, with the text of one event damaged.
    #[test]
    fn events(start in any::<Index>(), length in 1_usize..40, victim in any::<Index>(), edits in edits()) {
        let start = start.index(EVENTS.len());
        let mut events: Vec<Event> = EVENTS.iter().skip(start).take(length).cloned().collect();
        let victim = victim.index(events.len());
        let text = serde_json::to_vec(&events[victim]).unwrap();
        if let Ok(event) = serde_json::from_slice(&edited(&text, &edits)) {
            events[victim] = event;
        }
        track(events)?;
    }
}
