//! A message in one line, in colour where the output shows it. Pure.

use crate::assess::Level;
use crate::notify::message::{Label, Message};
use crate::words::{self, console};

/// The line of a message, with its line feed.
pub fn line(message: &Message, colour: bool) -> String {
    let paint = |style: &str, text: &str| match colour {
        true => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    if message.is_reworded {
        let lines: Vec<_> = message
            .lines
            .iter()
            .map(|line| format!("  {} {}", paint("2", line.label.as_str()), line.text))
            .collect();
        return format!("{}{}\n", paint(style(message.level), &message.summary), lines.concat());
    }
    let mut parts = Vec::new();
    let get = |label| message.get(label);
    if let Some(time) = get(Label::Ended).or(get(Label::Time)).or(get(Label::Opened)) {
        parts.push(paint("2", time));
    }
    // What is not about one session says it all in its summary.
    let others = [
        (Label::Sink, console::SINK),
        (Label::Changes, console::GROUP),
        (Label::Logins, console::SUMMARY),
        (Label::Attempts, console::STORM),
    ];
    if let Some((_, what)) = others.into_iter().find(|(label, _)| get(*label).is_some()) {
        parts.push(paint(style(message.level), &format!("{what:<6}")));
        parts.push(message.summary.clone());
        parts.extend(
            [Label::Riskiest, Label::Doubt, Label::Lost, Label::Remedy, Label::Refused]
                .into_iter()
                .filter_map(get)
                .map(str::to_owned),
        );
        return parts.join("  ") + "\n";
    }
    // The first that is there. A session that was found open has no time of its own.
    let kinds = [
        (Label::Lost, console::LOST),
        (Label::Doubt, console::FOREIGN),
        (Label::Refused, console::TRIED),
        (Label::Before, console::RAISED),
        (Label::Gained, console::GAINED),
        (Label::Ended, console::LOGOUT),
        (Label::Opened, console::FOUND),
    ];
    let what =
        kinds.into_iter().find(|(label, _)| get(*label).is_some()).map_or(console::LOGIN, |(_, word)| word);
    parts.push(paint(style(message.level), &format!("{what:<6}")));
    match (get(Label::User), get(Label::Host)) {
        (Some(user), Some(host)) => parts.push(words::on_host(&paint("1", user), host)),
        (None, Some(host)) => parts.push(host.to_owned()),
        (_, None) => {}
    }
    if let Some(through) = get(Label::Through) {
        parts.push(console::through(through));
    }
    if let Some(address) = get(Label::Address) {
        parts.push(console::from(&paint("1", address)));
    }
    if let (Some(gained), Some(program)) = (get(Label::Gained), get(Label::Program)) {
        parts.push(console::gained(&paint("1", gained), program));
    }
    if let Some(method) = get(Label::Method) {
        parts.push(console::by(method));
    }
    if let Some(duration) = get(Label::Duration) {
        parts.push(console::after(duration));
    }
    if let (Some(doubt), Some(program)) = (get(Label::Doubt), get(Label::Program)) {
        parts.push(console::runs(program, doubt));
    }
    if let Some(refused) = get(Label::Refused) {
        parts.push(refused.to_owned());
    }
    if let Some(lost) = get(Label::Lost) {
        parts.push(lost.to_owned());
    }
    let mut line = parts.join("  ");
    for (label, word) in [(Label::Network, console::NETWORK), (Label::Place, console::PLACE)] {
        // Why something is not known is said once, with the risk.
        if let Some(text) = message.known(label) {
            line.push_str(&format!("  {} {text}", paint("2", word)));
        }
    }
    if let Some(risk) = get(Label::Risk) {
        line.push_str(&format!("  {} {}", paint("2", console::RISK), paint(style(message.level), risk)));
    }
    line.push('\n');
    line
}

/// The level's colour as SGR parameters.
fn style(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Low) => "1;32",
        Some(Level::Medium) | None => "1;33",
        Some(Level::High) => "1;31",
        Some(Level::Unknown) => "1;90",
    }
}
