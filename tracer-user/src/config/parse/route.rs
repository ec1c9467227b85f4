//! `[[routes]]`, `[quiet_hours]` and `[[allow]]`: which keys they have, and what they may be.

mod values;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use self::values::{Part, clock, kind, sink, weekday};
use super::section::Section;
use super::{Problems, known_keys};
use crate::assess::Level;
use crate::config::{Allow, Conditions, Days, Hours, Quiet, Route, Rules, Take};

/// Levels that can be compared.
const BOUNDS: [(&str, Level); 3] = [("low", Level::Low), ("medium", Level::Medium), ("high", Level::High)];

/// All rules; `take` is the key of `[notify]`.
pub(super) fn rules(table: &DeTable<'_>, take: Take, problems: &mut Problems<'_>) -> Rules {
    let sinks = sink_names(table);
    let sinks: Vec<&str> = sinks.iter().map(String::as_str).collect();
    let routes = each(table, "routes", problems, |number, section| route(number, section, &sinks));
    let quiet = each(table, "quiet_hours", problems, |_, section| quiet_hours(section, &sinks));
    let quiet: Vec<Quiet> = quiet.into_iter().flatten().collect();
    if let (Some(sink), Some(value)) = (values::silenced(&quiet, &sinks), table.get("quiet_hours")) {
        let text = format!("[quiet_hours]: leave no minute of the week in which {sink} is told anything");
        problems.add(value.span().start, &text);
    }
    let allow = each(table, "allow", problems, allow);
    Rules { take, routes, quiet, allow: allow.into_iter().flatten().collect() }
}

/// The names of the sinks. Whatever is wrong with a sink, its name is one.
pub(super) fn sink_names(table: &DeTable<'_>) -> Vec<String> {
    match table.get("sinks").map(Spanned::get_ref) {
        Some(DeValue::Table(entries)) if !entries.is_empty() => {
            entries.keys().map(|name| name.get_ref().to_string()).collect()
        }
        Some(_) | None => vec!["console".to_owned()],
    }
}

/// Reads a list of tables; a single table is a list of one.
pub(super) fn each<T>(
    table: &DeTable<'_>,
    name: &'static str,
    problems: &mut Problems<'_>,
    mut read: impl FnMut(usize, &mut Section<'_, '_>) -> T,
) -> Vec<T> {
    let Some(value) = table.get(name) else { return Vec::new() };
    let entries: Vec<_> = match value.get_ref() {
        DeValue::Array(entries) => entries.iter().collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => vec![value],
    };
    let mut found = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let title = format!("{name} {}", index + 1);
        if let Some(mut section) = Section::open(title, known_keys(name), entry, problems) {
            found.push(read(index + 1, &mut section));
        }
    }
    found
}

fn route(number: usize, section: &mut Section<'_, '_>, sinks: &[&str]) -> Route {
    let name = section.text("name", values::name);
    let sinks = match section.has("sinks") {
        true => section.list("sinks", |text| values::sink(text, sinks)).unwrap_or_default(),
        false => {
            section.problem_of_section(
                "sinks is missing; name those that it goes to, or write sinks = [] to drop what matches",
            );
            Vec::new()
        }
    };
    let bound = |text: &str| super::values::one_of(text, &BOUNDS);
    let at_least = section.text("at_least", bound);
    let at_most = section.text("at_most", bound);
    if let (Some(least), Some(most)) = (at_least, at_most)
        && least > most
    {
        section.problem("at_most", "is below at_least: no level is within them");
    }
    let when = Conditions {
        kinds: section.texts("kind", values::kind).unwrap_or_default(),
        levels: section.texts("level", values::level).unwrap_or_default(),
        at_least,
        at_most,
        users: section.texts("user", super::values::user).unwrap_or_default(),
        groups: section.texts("group", super::values::user).unwrap_or_default(),
        addresses: section.texts("address", values::address).unwrap_or_default(),
        networks: section.texts("network", values::network).unwrap_or_default(),
        hosts: section.texts("host", super::values::host_name).unwrap_or_default(),
        services: section.texts("service", values::service).unwrap_or_default(),
        hours: hours(section),
    };
    Route { name: name.unwrap_or_else(|| number.to_string()), when, sinks }
}

/// `from`, `to` and `weekdays`; `None` where none of them is given.
fn hours(section: &mut Section<'_, '_>) -> Option<Hours> {
    let days = section.texts("weekdays", values::weekdays).map(|days| Days::of(days.into_iter().flatten()));
    let from = section.text("from", |text| values::clock(text, Part::From));
    let to = section.text("to", |text| values::clock(text, Part::To));
    for (one, other) in [("from", "to"), ("to", "from")] {
        if section.has(one) && !section.has(other) {
            section.problem(one, &format!("{other} belongs to it; add it"));
        }
    }
    match (from, to) {
        (Some(from), Some(to)) if from == to => {
            section.problem("to", "is the same as from; for whole days, leave both away");
            None
        }
        (Some(from), Some(to)) => Some(Hours { from, to, days: days.unwrap_or(Days::ALL) }),
        (None, None) => days.map(|days| Hours { from: 0, to: 24 * 60, days }),
        (_, _) => None,
    }
}

fn quiet_hours(section: &mut Section<'_, '_>, sinks: &[&str]) -> Option<Quiet> {
    if !["from", "to", "weekdays"].iter().any(|key| section.has(key)) {
        section.problem_of_section(
            "from and to are missing; add lines such as from = \"22:00\" and to = \"07:00\"",
        );
    }
    let except = section.list("except", values::exception);
    let sinks = section.texts("sinks", |text| values::sink(text, sinks));
    let hours = hours(section)?;
    let high = || vec![crate::config::Exception::AtLeast(Level::High)];
    Some(Quiet { hours, except: except.unwrap_or_else(high), sinks: sinks.unwrap_or_default() })
}

fn allow(number: usize, section: &mut Section<'_, '_>) -> Option<Allow> {
    if !["address", "network", "user", "key"].iter().any(|key| section.has(key)) {
        section.problem_of_section("allows everybody; add address, network, user or key");
    }
    let reason = section.required("reason", values::reason);
    let allow = Allow {
        number,
        reason: reason.clone().unwrap_or_default(),
        addresses: section.texts("address", values::address).unwrap_or_default(),
        networks: section.texts("network", values::network).unwrap_or_default(),
        users: section.texts("user", super::values::user).unwrap_or_default(),
        keys: section.texts("key", values::fingerprint).unwrap_or_default(),
        until: section.date("until", values::until),
    };
    reason.map(|_| allow)
}
