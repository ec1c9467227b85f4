//! Queues and deliveries, for people and for programs.

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::json::{DeliveryRecord, rfc3339};
use super::session::{NONE, time};
use super::table::{Cell, Table};
use super::{Style, View};
use crate::notify::outbox::{
    AttemptRow, Covered, DeliveryDetail, DeliveryRow, DeliveryState, Hold, QueueRow,
};
use crate::sanitize;

/// Characters shown of a name.
const NAME_CHARS: usize = 40;
/// Characters shown of a reason.
const REASON_CHARS: usize = 200;
/// Digits of an id in a table; what is ambiguous says so.
const ID_CHARS: usize = 12;

/// Writes the queues, and what holds them up.
pub fn write_queues(rows: &[QueueRow], view: &View, output: &mut dyn Write) -> std::io::Result<()> {
    let mut table =
        Table::new(["SINK", "TYPE", "STATE", "WAITING", "QUIET", "OLDEST", "NEXT", "PARKED", "GIVEN UP"])
            .right(&["WAITING", "QUIET", "PARKED", "GIVEN UP"]);
    let cells: Vec<_> = rows.iter().map(|row| cells(view, row)).collect();
    table.write(output, view, &cells)?;
    for row in rows {
        let Some(held) = &row.held else { continue };
        let (sink, why) = (sanitize::text(&row.sink, NAME_CHARS), sanitize::text(&held.why, REASON_CHARS));
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        writeln!(
            output,
            "{sink} is {} since {}{why}; `login-tracer queue resume {sink}` sends again.",
            held.hold.as_str(),
            time(view, held.since)
        )?;
    }
    Ok(())
}

fn cells(view: &View, row: &QueueRow) -> [Cell; 9] {
    let at = |at: Option<Timestamp>| at.map_or_else(|| NONE.to_owned(), |at| time(view, at));
    let next = match row.next {
        _ if row.held.is_some() => NONE.to_owned(),
        Some(next) if next <= view.now => "now".to_owned(),
        next => at(next),
    };
    let given_up = row.expired + row.dropped;
    [
        Cell::new(sanitize::text(&row.sink, NAME_CHARS)),
        Cell::new(
            row.kind.as_deref().map_or_else(|| NONE.to_owned(), |kind| sanitize::text(kind, NAME_CHARS)),
        ),
        state(row),
        Cell::new((row.waiting + row.sending).to_string()),
        Cell::new(row.quiet.to_string()),
        Cell::new(at(row.oldest)),
        Cell::new(next),
        Cell::styled(row.parked.to_string(), if row.parked > 0 { Style::Yellow } else { Style::Plain }),
        Cell::styled(given_up.to_string(), if given_up > 0 { Style::Red } else { Style::Plain }),
    ]
}

fn state(row: &QueueRow) -> Cell {
    match &row.held {
        Some(held) if held.hold == Hold::Suspended => Cell::styled(held.hold.as_str(), Style::Red),
        Some(held) => Cell::styled(held.hold.as_str(), Style::Yellow),
        None if !row.is_configured => Cell::styled("not configured", Style::Yellow),
        None => Cell::new("ready"),
    }
}

/// Writes deliveries of one sink.
pub fn write_deliveries(rows: &[DeliveryRow], view: &View, output: &mut dyn Write) -> std::io::Result<()> {
    let mut table =
        Table::new(["ID", "TELLS", "STATE", "ATTEMPTS", "NEXT", "LAST ERROR"]).right(&["ATTEMPTS"]);
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let next = match row.next_at {
                Some(next) if next <= view.now => "now".to_owned(),
                Some(next) => time(view, next),
                None => NONE.to_owned(),
            };
            let error = row.last_error.as_deref().map(|error| sanitize::text(error, REASON_CHARS));
            [
                Cell::new(short(row.id)),
                Cell::new(row.kind.as_str()),
                Cell::styled(row.state.as_str(), style(row.state)),
                Cell::new(row.attempts.to_string()),
                Cell::new(next),
                Cell::new(error.unwrap_or_else(|| NONE.to_owned())),
            ]
        })
        .collect();
    table.write(output, view, &cells)
}

fn style(state: DeliveryState) -> Style {
    match state {
        DeliveryState::Held | DeliveryState::Queued | DeliveryState::Claimed | DeliveryState::Carried => {
            Style::Plain
        }
        DeliveryState::Delivered => Style::Green,
        DeliveryState::Parked => Style::Yellow,
        DeliveryState::Dropped | DeliveryState::Expired => Style::Red,
    }
}

/// Writes the page about one delivery.
pub fn write_delivery(
    detail: &DeliveryDetail,
    covered: &Covered,
    view: &View,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    let row = &detail.row;
    writeln!(output, "{}", view.styled(Style::Bold, format!("Delivery {}", row.id)))?;
    let at = |at: Option<Timestamp>| at.map_or_else(|| NONE.to_owned(), |at| time(view, at));
    let text =
        |text: Option<&str>| text.map_or_else(|| NONE.to_owned(), |text| sanitize::text(text, REASON_CHARS));
    writeln!(output, "  {:<9} {}", "Sink", sanitize::text(&row.sink, NAME_CHARS))?;
    writeln!(output, "  {:<9} {}", "State", view.styled(style(row.state), row.state.as_str()))?;
    let rows = [
        ("Tells", row.kind.as_str().to_owned()),
        ("Message", text(detail.summary.as_deref())),
        ("Session", detail.session.map_or_else(|| NONE.to_owned(), |session| session.to_string())),
        ("Queued", time(view, detail.queued_at)),
        ("Told by", detail.carried_by.map_or_else(|| NONE.to_owned(), |carrier| carrier.to_string())),
        ("Next", at(row.next_at)),
        ("Ended", at(row.finished_at)),
        ("Reason", text(row.last_error.as_deref())),
    ];
    rows.iter().try_for_each(|(name, value)| writeln!(output, "  {name:<9} {value}"))?;
    if let Some(words) = covers(covered, row, view) {
        writeln!(output, "  {:<9} {words}", "Covers")?;
    }
    writeln!(output, "\n{}", view.styled(Style::Bold, "Attempts"))?;
    if detail.attempts.is_empty() {
        writeln!(output, "  none that came to a result; {} begun", row.attempts)?;
    }
    for attempt in &detail.attempts {
        writeln!(output, "  {}", attempt_line(view, attempt))?;
    }
    Ok(())
}

/// `3 changes; 297 attempts from 2026-11-21 10:00:01 to 2026-11-21 10:59:07`, and who lists them.
fn covers(covered: &Covered, row: &DeliveryRow, view: &View) -> Option<String> {
    let mut words = Vec::new();
    if covered.deliveries > 1 {
        words.push(format!("{} changes in one message", covered.deliveries));
    }
    if let Some((first, last)) = covered.times {
        let (first, last) = (time(view, first), time(view, last));
        let attempts = if covered.attempts == 1 { "attempt" } else { "attempts" };
        let times = if first == last { first } else { format!("{first} to {last}") };
        let list = format!("`login-tracer attempts --each --told-by {}` lists them", short(row.id));
        words.push(format!("{} {attempts}, {times}; {list}", covered.attempts));
    }
    if words.is_empty() { None } else { Some(words.join("; ")) }
}

/// So much of an id as a table shows.
pub fn short(id: Uuid) -> String {
    id.simple().to_string().chars().take(ID_CHARS).collect()
}

/// `2  2026-11-21 10:00:01  failed after 12 ms, HTTP 503: busy`
fn attempt_line(view: &View, attempt: &AttemptRow) -> String {
    let result = sanitize::text(&attempt.result, NAME_CHARS);
    let mut line = format!(
        "{}  {}  {result} after {} ms",
        attempt.number,
        time(view, attempt.started_at),
        attempt.took_us / 1000
    );
    match (&attempt.detail, attempt.status) {
        (Some(detail), _) => line.push_str(&format!(", {}", sanitize::text(detail, REASON_CHARS))),
        (None, Some(status)) => line.push_str(&format!(", HTTP {status}")),
        (None, None) => {}
    }
    line
}

/// One queue for programs.
#[derive(Debug, Serialize)]
pub struct QueueRecord<'a> {
    sink: &'a str,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    /// `ready`, `paused`, `suspended` or `not_configured`.
    state: &'static str,
    held_since: Option<String>,
    held_why: Option<&'a str>,
    waiting: u64,
    sending: u64,
    /// What quiet hours hold.
    quiet: u64,
    oldest_at: Option<String>,
    next_at: Option<String>,
    parked: u64,
    expired: u64,
    dropped: u64,
}

impl<'a> From<&'a QueueRow> for QueueRecord<'a> {
    fn from(row: &'a QueueRow) -> Self {
        let state = match &row.held {
            Some(held) => held.hold.as_str(),
            None if !row.is_configured => "not_configured",
            None => "ready",
        };
        Self {
            sink: &row.sink,
            kind: row.kind.as_deref(),
            state,
            held_since: row.held.as_ref().map(|held| rfc3339(held.since)),
            held_why: row.held.as_ref().map(|held| held.why.as_str()),
            waiting: row.waiting,
            sending: row.sending,
            quiet: row.quiet,
            oldest_at: row.oldest.map(rfc3339),
            next_at: row.next.map(rfc3339),
            parked: row.parked,
            expired: row.expired,
            dropped: row.dropped,
        }
    }
}

/// One delivery with its attempts for programs.
#[derive(Debug, Serialize)]
pub struct DetailRecord<'a> {
    #[serde(flatten)]
    delivery: DeliveryRecord<'a>,
    session: Option<String>,
    /// The delivery that tells it together with others; null where it tells itself.
    carried_by: Option<String>,
    queued_at: String,
    summary: Option<&'a str>,
    /// How many changes its message tells, with those that it carries.
    changes: u64,
    /// The attempts among what it tells; null where there are none.
    covers: Option<CoveredRecord>,
    history: Vec<AttemptRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct CoveredRecord {
    attempts: u64,
    first_at: String,
    last_at: String,
}

#[derive(Debug, Serialize)]
struct AttemptRecord<'a> {
    number: u32,
    started_at: String,
    duration_s: f64,
    result: &'a str,
    status: Option<u16>,
    detail: Option<&'a str>,
}

impl<'a> DetailRecord<'a> {
    pub fn new(detail: &'a DeliveryDetail, covered: &Covered) -> Self {
        let attempt = |attempt: &'a AttemptRow| AttemptRecord {
            number: attempt.number,
            started_at: rfc3339(attempt.started_at),
            duration_s: attempt.took_us as f64 / 1e6,
            result: &attempt.result,
            status: attempt.status,
            detail: attempt.detail.as_deref(),
        };
        Self {
            delivery: DeliveryRecord::from(&detail.row),
            session: detail.session.map(|session| session.to_string()),
            carried_by: detail.carried_by.map(|carrier| carrier.to_string()),
            queued_at: rfc3339(detail.queued_at),
            summary: detail.summary.as_deref(),
            changes: covered.deliveries,
            covers: covered.times.map(|(first, last)| CoveredRecord {
                attempts: covered.attempts,
                first_at: rfc3339(first),
                last_at: rfc3339(last),
            }),
            history: detail.attempts.iter().map(attempt).collect(),
        }
    }
}
