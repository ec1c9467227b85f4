//! `[[templates]]`: each is tried with examples of everything that it is for.

use std::path::Path;

use toml::de::DeTable;

use super::section::{Section, absolute};
use super::{Problems, route};
use crate::config::file::{Secrets, read_text};
use crate::config::{Covers, Template};
use crate::notify::template;

/// All templates.
pub(super) fn templates(table: &DeTable<'_>, problems: &mut Problems<'_>) -> Vec<Template> {
    let sinks = route::sink_names(table);
    let sinks: Vec<&str> = sinks.iter().map(String::as_str).collect();
    let read = |number, section: &mut Section<'_, '_>| one(number, section, &sinks);
    route::each(table, "templates", problems, read).into_iter().flatten().collect()
}

fn one(number: usize, section: &mut Section<'_, '_>, sinks: &[&str]) -> Option<Template> {
    const KEYS: [&str; 3] = ["summary", "template", "template_file"];
    let kinds = section.texts("kind", route::kind).unwrap_or_default();
    let sinks = section.texts("sinks", |text| route::sink(text, sinks)).unwrap_or_default();
    let given: Vec<_> = KEYS.into_iter().filter(|key| section.has(key)).collect();
    let &[key] = given.as_slice() else {
        let needed = "exactly one of summary, template and template_file is needed";
        section.problem_of_section(needed);
        return None;
    };
    let covers = if key == "summary" { Covers::Summary } else { Covers::Message };
    let text = section.text(key, |text| Ok(text.to_owned()))?;
    let (source, file) = match key {
        "template_file" if section.secrets() == Secrets::Skip => return None,
        "template_file" => {
            let path = section.checked(key, absolute(&text).map(Path::to_owned))?;
            (section.checked(key, read_text(&path))?, Some(path))
        }
        _ => (text, None),
    };
    let template = Template { number, kinds, sinks, covers, source, file };
    let checked = template::check(&template);
    section.checked(key, checked).map(|()| template)
}
