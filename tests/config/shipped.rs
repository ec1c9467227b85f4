//! The file that is shipped: equal to the defaults, complete, and right where it is commented out.

use std::fs;

use login_tracer::config::Config;
use login_tracer::config::parse::SECTIONS;

use crate::{ConfigFile, repository};

/// The places for a secret that exclude each other: inline, file, environment variable.
const ALTERNATIVES: [[&str; 2]; 3] =
    [["token", "webhook_url"], ["token_file", "webhook_url_file"], ["token_env", "webhook_url_env"]];

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
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
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
            assert!(shown.contains(&format!("{section}.{key}")), "[{section}] {key} is not shown");
        }
    }
}

#[test]
fn it_is_right_where_it_is_commented_out() {
    for (used, _) in ALTERNATIVES.iter().enumerate() {
        let others: Vec<_> = ALTERNATIVES
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != used)
            .flat_map(|(_, keys)| keys)
            .collect();
        let text: String = shipped()
            .lines()
            // A setting follows its # at once, a remark after a blank.
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => setting,
                Some(_) | None => line,
            })
            .filter(|line| !others.iter().any(|key| line.starts_with(&format!("{key} = "))))
            .map(|line| format!("{line}\n"))
            .collect();
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

fn shipped() -> String {
    fs::read_to_string(repository().join("config/login-tracer.toml")).unwrap()
}
