//! The tree's own rules, for what no compiler checks: file sizes, stray white space, names that belong to one machine
//! or one registry, sentences outside of their one file, and a word about each dependency in ARCHITECTURE.md.

mod sentences;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{command, say, workspace};

/// Past this, a second noun is waiting for its own file.
const MOST_LINES: usize = 500;
/// The one file that may be longer, up to its own limit: the sentences of messages. A translation is a copy of it, so it
/// is not split.
const CATALOGUE: (&str, usize) = ("tracer-user/src/words.rs", 900);
/// Written by people, so that sizes and white space are theirs to keep; recordings and expected outputs are not.
const WRITTEN: [&str; 6] = ["md", "rs", "service", "sh", "toml", "yml"];
/// Names that break on another machine or behind another mirror; in two halves, so that this file may hold them.
const FOREIGN: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("deb.debian", ".org"),
    concat!("py", "pi"),
    concat!("static.rust-lang", ".org"),
    concat!("/wo", "rk/"),
];

/// Looks at every tracked file.
///
/// # Errors
/// Lists every breach.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let mut breaches = Vec::new();
    let mut manifests = Vec::new();
    for path in tracked(&root)? {
        // Deleted but not yet committed, or not text.
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        breaches.extend(breaches_in(&path, &text));
        if path.file_name().is_some_and(|name| name == "Cargo.toml") {
            manifests.push(text);
        }
    }
    match fs::read_to_string(root.join("ARCHITECTURE.md")) {
        Ok(architecture) => breaches.extend(unexplained(&manifests, &architecture)),
        Err(_) => say("no ARCHITECTURE.md yet: its list of dependencies was not checked"),
    }
    if !breaches.is_empty() {
        bail!("the tree is not tidy:\n  {}", breaches.join("\n  "));
    }
    Ok(())
}

fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    // Root may look at a user's checkout.
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "ls-files", "-z"]).current_dir(root);
    let list = command::capture(&mut git).context("cannot list the tracked files")?;
    Ok(list.split_terminator('\0').map(PathBuf::from).collect())
}

fn breaches_in(path: &Path, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let name = path.display();
    if path.file_name().is_some_and(|file| file == "Cargo.lock") {
        return breaches; // written by cargo
    }
    let written = path.extension().is_some_and(|found| WRITTEN.iter().any(|known| found == *known));
    let lines = text.lines().count();
    let most = if path == Path::new(CATALOGUE.0) { CATALOGUE.1 } else { MOST_LINES };
    if written && lines > most {
        breaches.push(format!("{name}: {lines} lines, more than {most}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if written && line.ends_with([' ', '\t']) {
            breaches.push(format!("{name}:{number}: white space at the end"));
        }
        for foreign in FOREIGN.iter().filter(|foreign| line.contains(*foreign)) {
            breaches.push(format!("{name}:{number}: names {foreign}"));
        }
    }
    let astray = sentences::astray(path, text).into_iter();
    breaches.extend(astray.map(|text| format!("{name}: \"{text}\" belongs into {}", CATALOGUE.0)));
    breaches
}

/// Dependencies that ARCHITECTURE.md does not name in backticks.
fn unexplained(manifests: &[String], architecture: &str) -> Vec<String> {
    let mut names: Vec<&str> = manifests.iter().flat_map(|manifest| dependencies(manifest)).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !architecture.contains(&format!("`{name}`")));
    names.into_iter().map(|name| format!("ARCHITECTURE.md: no word about the dependency `{name}`")).collect()
}

/// The keys of a manifest's dependency tables, without the workspace's own packages.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut in_table = false;
    manifest.lines().filter_map(move |line| {
        if let Some(header) = line.strip_prefix('[') {
            in_table = header.trim_end().ends_with("dependencies]");
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let name = key.split('.').next()?.trim();
        let ours = name.starts_with("tracer-") || value.contains("path =");
        (in_table && !ours && !name.starts_with('#')).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_trailing_white_space_are_found_where_people_write() {
        let long = "x\n".repeat(MOST_LINES + 1);
        assert_eq!(breaches_in(Path::new("a.rs"), &long), ["a.rs: 501 lines, more than 500"]);
        assert!(breaches_in(Path::new("a.rs"), &"x\n".repeat(MOST_LINES)).is_empty());
        assert!(breaches_in(Path::new("tests/traces/a.jsonl"), &long).is_empty());
        assert_eq!(breaches_in(Path::new("a.md"), "a\nb \n"), ["a.md:2: white space at the end"]);
        assert!(breaches_in(Path::new("tests/golden.out"), "USER  \n").is_empty());
    }

    #[test]
    fn the_catalogue_alone_may_be_longer_up_to_its_own_limit() {
        let (catalogue, most) = CATALOGUE;
        let long = "x\n".repeat(most);
        assert!(breaches_in(Path::new(catalogue), &long).is_empty());
        let too_long = format!("{long}x\n");
        assert_eq!(
            breaches_in(Path::new(catalogue), &too_long),
            [format!("{catalogue}: {} lines, more than {most}", most + 1)]
        );
        for other in ["words.rs", "tracer-user/src/assess/words.rs", "tracer-user/src/words/risk.rs"] {
            assert_eq!(
                breaches_in(Path::new(other), &long),
                [format!("{other}: {most} lines, more than {MOST_LINES}")]
            );
        }
    }

    #[test]
    fn sentences_stand_in_the_catalogue() {
        let path = Path::new("tracer-user/src/notify/message/inside.rs");
        assert_eq!(
            breaches_in(path, "format!(\"{who} came\")\n"),
            [format!("{}: \"{{who}} came\" belongs into {}", path.display(), CATALOGUE.0)]
        );
    }

    #[test]
    fn foreign_names_are_found_everywhere_but_in_the_lock_file() {
        for foreign in FOREIGN {
            let text = format!("fine\nsee {foreign}x\n");
            assert_eq!(
                breaches_in(Path::new("docs/x.txt"), &text),
                [format!("docs/x.txt:2: names {foreign}")]
            );
            assert!(breaches_in(Path::new("Cargo.lock"), &text).is_empty());
        }
    }

    #[test]
    fn dependencies_are_read_from_every_kind_of_table() {
        let manifest = "[package]\nname = \"x\"\n[workspace.dependencies]\nanyhow = \"1\"\n\
            tracer-ebpf = { path = \"tracer-ebpf\" }\n[dependencies]\nclap.workspace = true\n# note = 1\n\
            [target.'cfg(target_arch = \"bpf\")'.dependencies]\naya-ebpf = \"0.2\"\n[dev-dependencies]\n\
            tempfile = { version = \"3\" }\n[lints]\nworkspace = true\n";
        let names: Vec<_> = dependencies(manifest).collect();
        assert_eq!(names, ["anyhow", "clap", "aya-ebpf", "tempfile"]);
    }

    #[test]
    fn a_dependency_needs_its_own_mention() {
        let manifest = "[dependencies]\nlog = \"1\"\ntoml = \"1\"\n".to_owned();
        let found = unexplained(&[manifest], "`log` writes logs; config.toml is parsed");
        assert_eq!(found, ["ARCHITECTURE.md: no word about the dependency `toml`"]);
    }
}
