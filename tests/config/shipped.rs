//! The file that is shipped: equal to the defaults, complete, and right where it is commented out.

use std::fs;

use login_tracer::config::Config;
use login_tracer::config::parse::SECTIONS;

use crate::{ConfigFile, repository};

/// The places for a secret, of which one is used at a time, as the ends of keys: inline, file, environment variable.
const PLACES: [&str; 3] = ["", "_file", "_env"];

/// Keys of a section, without the end that names a place, of which one group is used at a time.
const CHOICES: &[(&str, [&[&str]; 2])] = &[
    ("sinks.email", [&["host", "port", "tls", "user", "password", "ca"], &["sendmail"]]),
    ("sinks.syslog", [&["transport", "host", "port", "ca"], &["socket"]]),
    ("templates", [&["summary"], &["template"]]),
    ("sinks.ntfy", [&["token"], &["user", "password"]]),
];

#[test]
fn it_equals_the_defaults() {
    assert_eq!(ConfigFile::new(&shipped()).config(), Config::default());
    assert_eq!(ConfigFile::new("").config(), Config::default());
}

#[test]
fn it_shows_every_key_of_every_section() {
    let text = shipped();
    let mut section = String::new();
    let mut shown = Vec::new();
    for line in text.lines().map(|line| line.strip_prefix('#').unwrap_or(line)) {
        if let Some(name) = title(line) {
            section = name.to_owned();
            shown.push(name.to_owned());
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            shown.push(format!("{section}.{key}"));
        }
    }
    for (section, keys) in SECTIONS {
        for key in *keys {
            // Sections that the owner names are shown by an example.
            let (key, example) = (format!("{section}.{key}"), format!("{section}.{key}.example"));
            assert!(shown.contains(&key) || shown.contains(&example), "{key} is not shown");
        }
    }
}

#[test]
fn it_is_right_where_it_is_commented_out() {
    for (place, choice) in [(0, 0), (1, 0), (2, 0), (1, 1)] {
        let mut text = String::new();
        let mut section = String::new();
        for line in shipped().lines() {
            // A setting follows its # at once, a remark after a blank.
            let line = match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => setting,
                Some(_) | None => line,
            };
            if let Some(name) = title(line) {
                section = name.to_owned();
            }
            let key = line.split_once(" = ").map_or("", |(key, _)| key);
            if is_used(&section, key, place, choice) {
                text.push_str(line);
            }
            text.push('\n');
        }
        // Variables and files of the example do not exist here: whatever is said must be about that alone.
        let problems = ConfigFile::new(&text).problems();
        for line in problems.lines() {
            assert!(
                line == "no problem" || line.contains("is not set") || line.contains("cannot read /etc/"),
                "{line}"
            );
        }
    }
}

/// The section that a line begins, or the list of them.
fn title(line: &str) -> Option<&str> {
    let title = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))?;
    Some(title.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(title))
}

/// Whether a line is used with the secrets in this place and this one of the choices made.
fn is_used(section: &str, key: &str, place: usize, choice: usize) -> bool {
    let known = SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, keys)| keys);
    let base = key.trim_end_matches("_file").trim_end_matches("_env");
    let is_secret = known.contains(&format!("{base}_env").as_str());
    let chosen = CHOICES.iter().find(|(name, _)| *name == section).is_none_or(|(_, groups)| {
        !groups.iter().enumerate().any(|(group, keys)| group != choice && keys.contains(&base))
    });
    // Of a text and a file with it, the file.
    let chosen = chosen && (section, key) != ("templates", "template");
    chosen && (!is_secret || key == format!("{base}{}", PLACES[place]))
}

fn shipped() -> String {
    fs::read_to_string(repository().join("config/login-tracer.toml")).unwrap()
}
