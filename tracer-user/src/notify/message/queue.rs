//! News of the queue itself.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Label, Line, Message, REASON_CHARS, line, name, time};
use crate::sanitize;

/// A sink is gone.
pub(super) fn suspended(host: &str, at: Timestamp, sink: &str, why: &str, zone: &TimeZone) -> Message {
    let (host, sink) = (name(Some(host), "unknown host"), name(Some(sink), "unknown sink"));
    let mut lines = about(&host, &sink, at, zone);
    lines.push(line(Label::Doubt, sanitize::text(why, REASON_CHARS)));
    lines.push(line(
        Label::Remedy,
        format!(
            "its messages wait; correct its configuration and restart the notify role, or run: login-tracer queue resume {sink}"
        ),
    ));
    Message {
        summary: format!("Messages to {sink} are held back on {host}: it does not take them any more"),
        level: None,
        lines,
        is_reworded: false,
    }
}

/// Messages were given up: too old, too many.
pub(super) fn lost(
    host: &str,
    at: Timestamp,
    sink: &str,
    (expired, dropped): (u64, u64),
    zone: &TimeZone,
) -> Message {
    let (host, sink) = (name(Some(host), "unknown host"), name(Some(sink), "unknown sink"));
    let mut lines = about(&host, &sink, at, zone);
    let total = expired + dropped;
    let parts: Vec<_> =
        [(expired, "waited longer than max_age"), (dropped, "were more than max_queued, the oldest of them")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| format!("{count} {words}"))
            .collect();
    lines.push(line(Label::Lost, parts.join("; ")));
    lines.push(line(
        Label::Remedy,
        "see login-tracer queue list; what happened is in login-tracer sessions".to_owned(),
    ));
    let noun = if total == 1 { "message" } else { "messages" };
    Message {
        summary: format!("{total} {noun} for {sink} on {host} could not be delivered and were given up"),
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
