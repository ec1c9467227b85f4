//! Words of one's own: templates in the language of Jinja, applied to the finished message.
//!
//! Promises:
//! - A template sees what the built-in message says, and that went through [`crate::sanitize`]: no name begins a line, and
//!   what comes out is made harmless and cut once more. A sink escapes it like any message.
//! - It is bounded: by steps, by the size of what it writes and by depth.
//! - It is tried with examples when the configuration is read. If it fails later nevertheless, the built-in words are told
//!   and the log says so: no message is lost for it.

mod examples;

use std::collections::BTreeMap;
use std::io::{self, Write};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::message::{Label, Line, Message};
use crate::config::{Covers, Kind, Template};
use crate::sanitize;

/// Steps of a template, in the units of minijinja: some thousand times what a message needs.
const FUEL: u64 = 100_000;
/// How deep macros may call each other.
const DEPTH: usize = 50;
/// Bytes that a template may write.
const MAX_BYTES: usize = 16 << 10;
/// Characters of a summary, and of a detail.
const SUMMARY_CHARS: usize = 300;
const TEXT_CHARS: usize = 500;
/// Characters of a line of a template that are shown with an error.
const EXCERPT_CHARS: usize = 60;

/// The message in other words, if a template has some for this sink.
pub fn apply(
    templates: &[Template],
    kind: Kind,
    sink: &str,
    message: &Message,
    score: Option<u8>,
) -> Option<Message> {
    let is_for = |template: &&Template| {
        (template.kinds.is_empty() || template.kinds.contains(&kind))
            && (template.sinks.is_empty() || template.sinks.iter().any(|name| name == sink))
    };
    let template = templates.iter().find(is_for)?;
    match render(template, kind, sink, message, score) {
        Ok(message) => Some(message),
        Err(why) => {
            tracing::error!(template = template.number, sink, %why, "a template fails; the built-in words are told");
            None
        }
    }
}

/// Tries a template with an example of each kind that it is for; says what is wrong with it.
pub fn check(template: &Template) -> Result<(), String> {
    for (kind, message, score) in examples::all() {
        if !template.kinds.is_empty() && !template.kinds.contains(&kind) {
            continue;
        }
        let sink = template.sinks.first().map_or("console", String::as_str);
        render(template, kind, sink, &message, score)
            .map_err(|why| format!("{why} (tried with an example of kind {})", kind.as_str()))?;
    }
    Ok(())
}

fn render(
    template: &Template,
    kind: Kind,
    sink: &str,
    message: &Message,
    score: Option<u8>,
) -> Result<Message, String> {
    let mut output = Bounded(Vec::new());
    let environment = environment();
    let context = context(kind, sink, message, score);
    environment
        .template_from_str(&template.source)
        .and_then(|compiled| compiled.render_captured_to(context, &mut output).map(drop))
        .map_err(|error| explain(template, &error))?;
    let text = String::from_utf8_lossy(&output.0);
    match template.covers {
        Covers::Summary => {
            let words: Vec<_> = text.split_whitespace().collect();
            let summary = summary(&words.join(" "))?;
            Ok(Message { summary, is_reworded: true, ..message.clone() })
        }
        Covers::Message => {
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let summary = summary(lines.next().unwrap_or_default())?;
            Ok(Message { summary, level: message.level, lines: details(lines), is_reworded: true })
        }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    // What is not known is nothing, and not the word "none".
    environment.set_formatter(|output, state, value| {
        if value.is_none() { Ok(()) } else { minijinja::escape_formatter(output, state, value) }
    });
    environment
}

/// The variables; README and configuration list them.
fn context(kind: Kind, sink: &str, message: &Message, score: Option<u8>) -> BTreeMap<String, Value> {
    let mut context: BTreeMap<String, Value> = Label::ALL
        .into_iter()
        .map(|label| (variable(label), message.get(label).map_or(Value::from(()), Value::from)))
        .collect();
    let detail = |line: &Line| {
        let parts = [("label", line.label.as_str()), ("text", line.text.as_str())];
        Value::from_iter(parts)
    };
    let level = message.level.map_or(Value::from(()), |level| Value::from(level.as_str()));
    context.extend([
        ("kind".to_owned(), Value::from(kind.as_str())),
        ("receiver".to_owned(), Value::from(sink)),
        ("summary".to_owned(), Value::from(message.summary.as_str())),
        ("level".to_owned(), level),
        ("score".to_owned(), score.map_or(Value::from(()), Value::from)),
        ("details".to_owned(), message.lines.iter().map(detail).collect()),
    ]);
    context
}

/// The name of what a label is about.
fn variable(label: Label) -> String {
    label.as_str().to_ascii_lowercase().replace(' ', "_")
}

fn summary(text: &str) -> Result<String, String> {
    let text = sanitize::text(text.trim(), SUMMARY_CHARS);
    if text.is_empty() { Err("it says nothing".to_owned()) } else { Ok(text) }
}

/// Lines that begin with a label are about that; all others are one remark. What comes twice is put together.
fn details<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Line> {
    let mut details: Vec<Line> = Vec::new();
    for line in lines {
        let labelled = line.split_once(':').and_then(|(word, text)| {
            let label =
                Label::ALL.into_iter().find(|label| word.trim().eq_ignore_ascii_case(label.as_str()))?;
            Some((label, text.trim()))
        });
        let (label, text) = labelled.unwrap_or((Label::Note, line));
        if text.is_empty() {
            continue;
        }
        match details.iter_mut().find(|detail| detail.label == label) {
            Some(detail) => detail.text = sanitize::text(&format!("{}; {text}", detail.text), TEXT_CHARS),
            None => details.push(Line { label, text: sanitize::text(text, TEXT_CHARS), known: true }),
        }
    }
    details
}

/// What is wrong, and where: `line 2: undefined value: {{ usr }}`.
fn explain(template: &Template, error: &minijinja::Error) -> String {
    let kind = error.kind();
    let what = if kind == ErrorKind::OutOfFuel {
        "it takes too many steps".to_owned()
    } else if kind == ErrorKind::WriteFailure {
        format!("it writes more than {} KiB", MAX_BYTES >> 10)
    } else if kind == ErrorKind::UndefinedError {
        "it uses what is not defined".to_owned()
    } else {
        error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"))
    };
    let file = template.file.as_ref().map_or(String::new(), |file| format!("{}:", file.display()));
    let place = match (error.line(), file.is_empty()) {
        (Some(line), true) => format!("line {line}: "),
        (Some(line), false) => format!("{file}{line}: "),
        (None, _) => file,
    };
    let line = error.line().and_then(|line| template.source.lines().nth(line.checked_sub(1)?));
    let excerpt = line.map_or(String::new(), |line| format!(": `{}`", line.trim()));
    format!("{}{what}{}", sanitize::line(&place), sanitize::text(&excerpt, EXCERPT_CHARS))
}

/// Refuses what would be too much.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_BYTES {
            return Err(io::Error::other("too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::assess::Level;

    #[test]
    fn every_line_has_its_label_or_is_a_remark() {
        let source = "{{ user }} is on {{ host }}\n\n\
                      Risk: {{ level|upper }} ({{ score }})\nADDRESS: {{ address }}\nNetwork: {{ network }}\n\
                      call somebody: 112\nand wait\nGained: {{ gained }}\n";
        let words =
            apply(&[template(Covers::Message, source)], Kind::Opened, "ops", &message("alice"), Some(7));
        let words = words.unwrap();
        assert_eq!((words.summary.as_str(), words.level), ("alice is on web-1", Some(Level::High)));
        let lines: Vec<_> = words.lines.iter().map(|line| (line.label, line.text.as_str())).collect();
        assert_eq!(
            lines,
            [
                (Label::Risk, "HIGH (7)"),
                (Label::Address, "192.0.2.7"),
                (Label::Note, "call somebody: 112; and wait"),
            ]
        );
    }

    #[test]
    fn a_summary_leaves_the_details() {
        let source = "{% if level == \"high\" %}RED{% endif %}\n {{ summary }}";
        let built_in = message("alice");
        let words =
            apply(&[template(Covers::Summary, source)], Kind::Opened, "ops", &built_in, None).unwrap();
        assert_eq!(words.summary, "RED SSH login: alice");
        assert_eq!(words.lines, built_in.lines);
    }

    #[test]
    fn the_first_for_kind_and_sink_is_taken() {
        let of = |kinds: &[Kind], sinks: &[&str], source: &str| Template {
            kinds: kinds.to_vec(),
            sinks: sinks.iter().map(|sink| (*sink).to_owned()).collect(),
            ..template(Covers::Summary, source)
        };
        let templates = [
            of(&[Kind::Closed], &[], "closed"),
            of(&[], &["ops"], "ops"),
            of(&[Kind::Opened], &["ops", "b"], "b"),
        ];
        let summary = |kind, sink| {
            apply(&templates, kind, sink, &message("alice"), None).map(|message| message.summary)
        };
        assert_eq!(summary(Kind::Closed, "x").as_deref(), Some("closed"));
        assert_eq!(summary(Kind::Opened, "ops").as_deref(), Some("ops"));
        assert_eq!(summary(Kind::Opened, "b").as_deref(), Some("b"));
        assert_eq!(summary(Kind::Loss, "b"), None);
    }

    #[test]
    fn what_fails_is_told_in_the_built_in_words() {
        for source in [
            "{{ missing }}",
            "{{ user.name.first }}",
            "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
            "{% for a in range(5000) %}{{ user }}{% endfor %}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{% include \"/etc/passwd\" %}",
            "  \n ",
            "{% if %}",
        ] {
            let template = template(Covers::Message, source);
            assert!(check(&template).is_err(), "{source}");
            assert_eq!(apply(&[template], Kind::Opened, "ops", &message("alice"), None), None, "{source}");
        }
    }

    #[test]
    fn problems_name_line_and_words() {
        let why = |source: &str| check(&template(Covers::Message, source)).unwrap_err();
        let example = " (tried with an example of kind opened)";
        assert_eq!(
            why("ok\n{{ usr }}"),
            format!("line 2: it uses what is not defined: `{{{{ usr }}}}`{example}")
        );
        assert!(why("a\nb\n{% fro x in y %}").starts_with("line 3: syntax error: unknown statement fro"));
        let file = Template { file: Some("/etc/x.j2".into()), ..template(Covers::Message, "{{ usr }}") };
        assert!(check(&file).unwrap_err().starts_with("/etc/x.j2:1: it uses"));
    }

    proptest! {
        /// Whoever chose the name: no line and no label comes of it, and nothing hostile comes out.
        #[test]
        fn no_name_makes_a_line(name in "\\PC{0,80}|[\n\r\u{202e}:{}% a-z]{0,40}") {
            let name = sanitize::text(&name, 64);
            prop_assume!(!name.trim().is_empty());
            let source = "by {{ user }}\nUser: {{ user }}\nwho {{ user }}";
            let words =
                apply(&[template(Covers::Message, source)], Kind::Opened, "ops", &message(&name), None).unwrap();
            prop_assert_eq!(words.lines.len(), 2);
            prop_assert_eq!(&words.lines[0].text, name.trim());
            prop_assert!(words.summary.starts_with("by "));
            prop_assert!(!words.summary.chars().chain(words.lines[1].text.chars()).any(sanitize::is_hostile));
        }
    }

    fn template(covers: Covers, source: &str) -> Template {
        Template {
            number: 1,
            kinds: Vec::new(),
            sinks: Vec::new(),
            covers,
            source: source.to_owned(),
            file: None,
        }
    }

    fn message(user: &str) -> Message {
        let line = |label, text: &str| Line { label, text: text.to_owned(), known: true };
        Message {
            summary: format!("SSH login: {user}"),
            level: Some(Level::High),
            lines: vec![
                line(Label::User, user),
                line(Label::Host, "web-1"),
                line(Label::Address, "192.0.2.7"),
            ],
            is_reworded: false,
        }
    }
}
