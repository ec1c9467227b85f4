//! What is told of a day or a week.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::storm::{reasons, users};
use super::{Label, Line, Message, line, name, span, time};
use crate::assess::Level;
use crate::notify::summary::{Bar, Levels, Risky, Summary};
use crate::words;

/// The bars of a chart in text, from the smallest to the largest that is not zero.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `every` is the word of the schedule; any other one where there is none.
pub(super) fn told(every: &str, summary: &Summary, zone: &TimeZone) -> Message {
    let host = name(Some(&summary.host), words::UNKNOWN_HOST);
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
    tell(Label::Open, some(summary.open, words::open));
    tell(Label::Escalations, some(summary.gained, words::gained_times));
    tell(Label::Attempts, tried(summary));
    tell(Label::Findings, some(summary.findings, words::other_sshds));
    tell(Label::Lost, some(summary.events_lost, words::kernel_events_lost));
    lines.push(messages(summary));
    let worst = summary.logins.worst().map(words::level);
    let told = words::summary(every, &host, logins, attempts.count, worst);
    Message { summary: told, level: Some(summary.level()), lines, is_reworded: false }
}

/// `212: 200 low, 10 medium, 2 unknown`
fn with_levels(logins: Levels) -> String {
    let Levels { low, medium, high, unknown } = logins;
    let counts = [(high, Level::High), (medium, Level::Medium), (unknown, Level::Unknown), (low, Level::Low)];
    let counts: Vec<_> = counts.into_iter().filter(|(count, _)| *count > 0).collect();
    if counts.is_empty() { words::NO_LOGINS.to_owned() } else { words::logins(logins.total(), &counts) }
}

/// `root from 203.0.113.9 at 2026-11-20 03:12:00 CET (85 high)`
fn risky(login: &Risky, zone: &TimeZone) -> String {
    let user = name(Some(&login.user), words::UNKNOWN_USER);
    let at = time(login.at, zone);
    words::risky(&user, login.address.as_deref(), &at, login.score, words::level(login.level))
}

fn tried(summary: &Summary) -> String {
    let storm = &summary.attempts;
    if storm.count == 0 {
        return String::new();
    }
    let distinct = words::addresses(storm.addresses.distinct());
    let users = users(storm);
    words::tried(storm.count, &distinct, &storm.addresses.to_string(), &reasons(storm), users.as_deref())
}

fn messages(summary: &Summary) -> Line {
    let told = &summary.messages;
    line(Label::Messages, words::messages(told.delivered, told.given_up, told.waiting))
}

/// Nothing for zero.
fn some(count: u64, words: impl Fn(u64) -> String) -> String {
    if count == 0 { String::new() } else { words(count) }
}

/// `▁··█▂ most 12 at 2026-11-20 14:00`, nothing without any login.
fn chart(bars: &[Bar], zone: &TimeZone) -> String {
    let most = bars.iter().max_by_key(|bar| bar.logins.total()).filter(|bar| bar.logins.total() > 0);
    let Some(most) = most else { return String::new() };
    let highest = most.logins.total();
    let drawn: String = bars.iter().map(|bar| drawn(bar.logins.total(), highest)).collect();
    format!("{drawn} {}", words::most(highest, &hour(most.from, zone)))
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
