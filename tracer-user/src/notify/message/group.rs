//! Many changes in one message: how many of what, by whom, from where, and the worst risk among them.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::{Counts, Event, Label, Message, line, name, span};
use crate::assess::Level;
use crate::words::{self, KINDS};

/// How many users and addresses are named; the others are counted.
const NAMED: usize = 3;

/// Makes one message of several, which are in the order in which they happened. There is at least one.
pub fn group(changes: &[(Event, Message)], zone: &TimeZone) -> (Event, Message) {
    let events = || changes.iter().map(|(event, _)| event);
    let subjects = || events().filter_map(Event::subject);
    let count = u32::try_from(changes.len()).unwrap_or(u32::MAX);
    let host = name(subjects().next().map(|subject| subject.host.as_str()), words::UNKNOWN_HOST);
    let from = events().map(Event::at).min().unwrap_or_default();
    let until = events().map(Event::at).max().unwrap_or_default();
    let kinds = kinds(events());
    let what = kinds
        .iter()
        .map(|(one, many, count)| words::counted(u64::from(*count), one, many))
        .collect::<Vec<_>>()
        .join(", ");
    let (mut users, mut addresses) = (Counts::default(), Counts::default());
    subjects().for_each(|subject| users.add(&super::user_of(subject)));
    subjects().filter_map(|subject| subject.peer).for_each(|peer| addresses.add(&peer.ip().to_string()));
    let (users, addresses) = (users.ranking(NAMED).to_string(), addresses.ranking(NAMED).to_string());
    let worst = changes.iter().map(|(_, message)| message).max_by_key(|message| badness(message.level));
    let level = worst.and_then(|message| message.level);
    let risk = worst.and_then(|message| message.get(Label::Risk));
    let word = words::level(level.unwrap_or(Level::Unknown));
    let summary = words::group(&what, &host, &users, &addresses, word);
    let mut lines = vec![
        line(Label::Host, host.clone()),
        line(Label::Changes, what),
        line(Label::Time, span(from, until, zone)),
        line(Label::Users, users),
    ];
    if !addresses.is_empty() {
        lines.push(line(Label::Addresses, addresses));
    }
    lines.push(line(Label::Worst, risk.unwrap_or(word).to_owned()));
    let event = Event::Group { host, at: from, until, count };
    (event, Message { summary, level: Some(level.unwrap_or(Level::Unknown)), lines, is_reworded: false })
}

/// Unknown is worse than low: it might be anything.
fn badness(level: Option<Level>) -> u8 {
    match level {
        Some(Level::Low) => 0,
        Some(Level::Unknown) | None => 1,
        Some(Level::Medium) => 2,
        Some(Level::High) => 3,
    }
}

/// How many of which kind, in words for one and for many.
fn kinds<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<(&'static str, &'static str, u32)> {
    let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
    for event in events {
        *counts.entry(kind(event)).or_default() += 1;
    }
    counts
        .into_iter()
        .filter_map(|(kind, count)| KINDS.get(kind).map(|(one, many)| (*one, *many, count)))
        .collect()
}

/// Which of [`KINDS`] an event is.
fn kind(event: &Event) -> usize {
    match event {
        Event::Opened(subject) => usize::from(subject.recovered),
        Event::Closed { .. } => 2,
        Event::Escalated { .. } => 3,
        Event::Raised { .. } => 4,
        Event::Attempted { .. } | Event::Stormed { .. } => 5,
        Event::ForeignSshd { .. }
        | Event::EventsLost { .. }
        | Event::SinkSuspended { .. }
        | Event::MessagesLost { .. }
        | Event::Summary { .. }
        | Event::Group { .. } => 6,
    }
}
