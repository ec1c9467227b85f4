//! What is told of a day or a week.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::storm::{reasons, users};
use super::{Label, Line, Message, counted, line, name, span, time};
use crate::notify::summary::{Bar, Levels, Risky, Summary};

/// The bars of a chart in text, from the smallest to the largest that is not zero.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `every` is the word of the schedule; any other one where there is none.
pub(super) fn told(every: &str, summary: &Summary, zone: &TimeZone) -> Message {
    let host = name(Some(&summary.host), "unknown host");
    let (logins, attempts) = (summary.logins.total(), &summary.attempts);
    let mut lines = vec![
        line(Label::Host, host.clone()),
        line(Label::Time, span(summary.from, summary.until, zone)),
        line(Label::Logins, with_levels(summary.logins)),
    ];
    let mut tell = |label, text: String| {
        if !text.is_empty() {
            lines.push(line(label, text));
        }
    };
    tell(Label::Chart, chart(&summary.bars, zone));
    tell(Label::Users, summary.users.to_string());
    tell(Label::Addresses, summary.addresses.to_string());
    let riskiest: Vec<_> = summary.riskiest.iter().map(|login| risky(login, zone)).collect();
    tell(Label::Riskiest, riskiest.join("; "));
    tell(Label::Open, some(summary.open, "session", "sessions"));
    tell(Label::Escalations, some(summary.gained, "time", "times"));
    tell(Label::Attempts, tried(summary));
    tell(Label::Findings, some(summary.findings, "start of another sshd", "starts of other sshds"));
    tell(Label::Lost, some(summary.events_lost, "kernel event was lost", "kernel events were lost"));
    lines.push(messages(summary));
    let what = match every {
        "day" => "Daily summary",
        "week" => "Weekly summary",
        _ => "Summary",
    };
    let words = format!(
        "{what} of {host}: {}, {}",
        counted(logins, "login", "logins"),
        counted(attempts.count, "attempt", "attempts")
    );
    let summary_words = match summary.logins.worst() {
        Some(worst) => format!("{words}, worst risk {worst}"),
        None => words,
    };
    Message { summary: summary_words, level: Some(summary.level()), lines, is_reworded: false }
}

/// `212: 200 low, 10 medium, 2 unknown`
fn with_levels(logins: Levels) -> String {
    let Levels { low, medium, high, unknown } = logins;
    let parts = [(high, "high"), (medium, "medium"), (unknown, "unknown"), (low, "low")];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, level)| format!("{count} {level}"))
        .collect();
    if parts.is_empty() { "none".to_owned() } else { format!("{}: {}", logins.total(), parts.join(", ")) }
}

/// `root from 203.0.113.9 at 2026-11-20 03:12:00 CET (85 high)`
fn risky(login: &Risky, zone: &TimeZone) -> String {
    let from = login.address.as_ref().map_or(String::new(), |address| format!(" from {address}"));
    let score = login.score.map_or(String::new(), |score| format!("{score} "));
    let user = name(Some(&login.user), "unknown user");
    format!("{user}{from} at {} ({score}{})", time(login.at, zone), login.level)
}

fn tried(summary: &Summary) -> String {
    let storm = &summary.attempts;
    if storm.count == 0 {
        return String::new();
    }
    let addresses = counted(storm.addresses.distinct(), "address", "addresses");
    let mut text = format!("{} from {addresses}: {}; {}", storm.count, storm.addresses, reasons(storm));
    if let Some(users) = users(storm) {
        text.push_str("; for ");
        text.push_str(&users);
    }
    text
}

fn messages(summary: &Summary) -> Line {
    let told = &summary.messages;
    let mut text = format!("{} delivered", told.delivered);
    for (count, words) in [(told.given_up, "given up"), (told.waiting, "waiting")] {
        if count > 0 {
            text.push_str(&format!(", {count} {words}"));
        }
    }
    line(Label::Messages, text)
}

/// Nothing for zero.
fn some(count: u64, one: &str, many: &str) -> String {
    if count == 0 { String::new() } else { counted(count, one, many) }
}

/// `▁··█▂ most 12 at 2026-11-20 14:00`, nothing without any login.
fn chart(bars: &[Bar], zone: &TimeZone) -> String {
    let most = bars.iter().max_by_key(|bar| bar.logins.total()).filter(|bar| bar.logins.total() > 0);
    let Some(most) = most else { return String::new() };
    let highest = most.logins.total();
    let drawn: String = bars.iter().map(|bar| drawn(bar.logins.total(), highest)).collect();
    format!("{drawn} most {highest} at {}", hour(most.from, zone))
}

fn drawn(count: u64, highest: u64) -> char {
    let Some(above) = count.checked_sub(1) else { return '·' };
    // In eight equal steps; the highest is always the last one.
    let step = above.saturating_mul(BARS.len() as u64) / highest.max(1);
    let last = BARS.len() - 1;
    let step = if count == highest { last } else { usize::try_from(step).unwrap_or(last).min(last) };
    BARS.get(step).copied().unwrap_or('█')
}

fn hour(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_the_logins() {
        let drawn = |highest| (0..=highest).map(|count| drawn(count, highest)).collect::<String>();
        assert_eq!(drawn(1), "·█");
        assert_eq!(drawn(3), "·▁▃█");
        assert_eq!(drawn(8), "·▁▂▃▄▅▆▇█");
        assert_eq!(drawn(16), "·▁▁▂▂▃▃▄▄▅▅▆▆▇▇██");
        assert_eq!(super::drawn(u64::MAX, u64::MAX), '█');
    }
}
