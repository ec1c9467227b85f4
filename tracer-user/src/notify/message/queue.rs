//! News of the queue itself.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Label, Line, Message, REASON_CHARS, line, name, time};
use crate::sanitize;
use crate::words;

/// A sink is gone.
pub(super) fn suspended(host: &str, at: Timestamp, sink: &str, why: &str, zone: &TimeZone) -> Message {
    let (host, sink) = (name(Some(host), words::UNKNOWN_HOST), name(Some(sink), words::UNKNOWN_SINK));
    let mut lines = about(&host, &sink, at, zone);
    lines.push(line(Label::Doubt, sanitize::text(why, REASON_CHARS)));
    lines.push(line(Label::Remedy, words::how_to_resume(&sink)));
    Message { summary: words::held_back(&sink, &host), level: None, lines, is_reworded: false }
}

/// Messages were given up: too old, too many.
pub(super) fn lost(
    host: &str,
    at: Timestamp,
    sink: &str,
    (expired, dropped): (u64, u64),
    zone: &TimeZone,
) -> Message {
    let (host, sink) = (name(Some(host), words::UNKNOWN_HOST), name(Some(sink), words::UNKNOWN_SINK));
    let mut lines = about(&host, &sink, at, zone);
    lines.push(line(Label::Lost, words::why_given_up(expired, dropped)));
    lines.push(line(Label::Remedy, words::WHERE_TO_LOOK.to_owned()));
    Message {
        summary: words::given_up(expired + dropped, &sink, &host),
        level: None,
        lines,
        is_reworded: false,
    }
}

fn about(host: &str, sink: &str, at: Timestamp, zone: &TimeZone) -> Vec<Line> {
    vec![
        line(Label::Host, host.to_owned()),
        line(Label::Sink, sink.to_owned()),
        line(Label::Time, time(at, zone)),
    ]
}
