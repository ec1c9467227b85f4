//! `[[summaries]]`: when, and to whom.

use toml::de::DeTable;

use super::route::{self, Part};
use super::section::Section;
use super::{Problems, values};
use crate::config::{Every, Schedule, Sink, SinkKind};

/// All schedules. `sinks` are those that are configured.
pub(super) fn schedules(table: &DeTable<'_>, sinks: &[Sink], problems: &mut Problems<'_>) -> Vec<Schedule> {
    // Whatever is wrong with a sink, its name is one.
    let names = route::sink_names(table);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let read = |_, section: &mut Section<'_, '_>| one(section, &names, sinks);
    route::each(table, "summaries", problems, read).into_iter().flatten().collect()
}

fn one(section: &mut Section<'_, '_>, names: &[&str], sinks: &[Sink]) -> Option<Schedule> {
    let words = [("day", Every::Day), ("week", Every::Week(Schedule::DEFAULT_WEEKDAY))];
    let every = section.required("every", |text| values::one_of(text, &words));
    let weekday = section.text("weekday", route::weekday);
    let at = section.text("at", |text| route::clock(text, Part::From)).unwrap_or(Schedule::DEFAULT_AT);
    let to = section.texts("sinks", |text| receiver(&route::sink(text, names)?, sinks));
    if !section.has("sinks") {
        section.problem_of_section("sinks is missing; name those that the summary goes to");
    }
    if every == Some(Every::Day) && section.has("weekday") {
        section.problem("weekday", "is for summaries of a week; remove it, or write every = \"week\"");
    }
    let every = match (every?, weekday) {
        (Every::Week(_), Some(day)) => Every::Week(day),
        (every, _) => every,
    };
    let mut sinks = to?;
    sinks.sort();
    sinks.dedup();
    Some(Schedule { every, at, sinks })
}

/// A sink that a summary can go to.
fn receiver(name: &str, sinks: &[Sink]) -> Result<String, String> {
    match sinks.iter().find(|sink| sink.name == name).map(|sink| &sink.kind) {
        Some(SinkKind::PagerDuty(_)) => {
            Err(format!("{name} takes alerts alone, and a summary is none; name another sink"))
        }
        Some(_) | None => Ok(name.to_owned()),
    }
}
