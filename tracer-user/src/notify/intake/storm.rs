//! Attempts on their way: which are told, one by one or many together.
//!
//! Each attempt is looked at by itself, since routes may ask for its address or user; those that go to the same sinks are
//! told together. What is to be told of a storm is read from `sessions.db` when it is due: the outbox keeps only where
//! it begins, so nothing of it is lost with the process.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::pace::{Pace, Turn};
use super::{Event, Intake, NewAnnouncement, Source, batch};
use crate::notify::announce::Name;
use crate::notify::route::{Beginning, Verdict};
use crate::notify::storm::{Members, Tally};
use crate::session::{Attempt, Change, ChangeKind};
use crate::store::{AttemptFilter, Reader, StoreError};

/// How many changes are looked at before others get their turn.
const PAGE: i64 = 2_000;

/// The attempt of a change, if it is to be told now and by itself.
pub(super) fn attempted(
    intake: &Intake,
    change: &Change,
    reader: &Reader,
    pace: &mut Pace,
) -> Result<Option<Event>, StoreError> {
    let now = Timestamp::now();
    let Some(attempt) = reader.attempt_of_change(change.id)? else { return Ok(None) };
    let event = event_of(attempt);
    // What goes nowhere takes nobody's turn.
    if destinations(intake, &event, now).sinks.is_empty() {
        return Ok(None);
    }
    Ok(match pace.next(change.id, now) {
        Turn::Now => Some(event),
        Turn::Later => None,
    })
}

/// The part of a storm that goes to the same sinks.
struct Part {
    /// About the first of them, and so about all.
    verdict: Verdict,
    host: String,
    tally: Tally,
    members: Members,
    /// Which of all attempts of the storm the last of them was, counted from 1.
    last: u64,
}

impl Part {
    fn new(verdict: Verdict, host: String) -> Self {
        Self { verdict, host, tally: Tally::default(), members: Members::default(), last: 0 }
    }
}

/// Tells the storm that is on, if it is due.
pub(super) async fn tell(intake: &Intake, source: &mut Source) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let mut pace = intake.pace.borrow().clone();
    let Some(storm) = pace.storm().filter(|_| pace.wait(now).is_some_and(|wait| wait.is_zero())) else {
        return Ok(());
    };
    // By the sinks that they go to.
    let mut parts: BTreeMap<Vec<String>, Part> = BTreeMap::new();
    let (mut seen, mut after) = (0, storm.after);
    while after < source.cursor {
        let until = after.saturating_add(PAGE).min(source.cursor);
        let filter = AttemptFilter { changes: Some((after, until)), ..AttemptFilter::default() };
        source.reader.for_each_attempt_change(&filter, |change, attempt| {
            seen += 1;
            let host = attempt.host.clone();
            let event = event_of(attempt);
            let verdict = destinations(intake, &event, now);
            let sinks: Vec<_> = verdict.sinks.iter().map(|to| to.sink.clone()).collect();
            if let (Event::Attempted { attempt }, false) = (&event, sinks.is_empty()) {
                let part = parts.entry(sinks).or_insert_with(|| Part::new(verdict, host));
                part.tally.add(attempt);
                part.members.add(change, part.last + 1 == seen);
                part.last = seen;
            }
        })?;
        after = until;
        tokio::task::yield_now().await;
    }
    let mut taken = batch(source.store_id, source.cursor);
    for (seq, Part { verdict, host, tally, members, .. }) in (1..).zip(parts.into_values()) {
        let Some((at, until)) = tally.times() else { continue };
        let event = Event::Stormed { host, at, until, storm: Box::new(tally.storm()), members };
        let subject = format!("{}/{}-{}", source.store_id, storm.after + 1, source.cursor);
        let kind = ChangeKind::Attempt;
        let finished = intake.announcer.finish_by(verdict, Name { subject: &subject, kind, seq }, &event);
        let finished = Some(finished);
        taken.announcements.push(NewAnnouncement { session: None, subject, kind, seq, event, finished });
    }
    intake.outbox.borrow_mut().take_in(&taken, now)?;
    pace.told(now);
    intake.pace.replace(pace);
    (source.written, source.untold_after) = (source.cursor, None);
    tracing::info!(after = storm.after, until = source.cursor, "attempts were told together");
    intake.taken();
    Ok(())
}

/// People type passwords where a name is asked for: what is no account is not kept once more.
fn event_of(mut attempt: Attempt) -> Event {
    attempt.tried.users.iter_mut().filter(|user| !user.is_known).for_each(|user| user.name.clear());
    Event::Attempted { attempt: Box::new(attempt) }
}

fn destinations(intake: &Intake, event: &Event, now: Timestamp) -> Verdict {
    intake.announcer.verdict(event, None, &Beginning::Undecided, now)
}
