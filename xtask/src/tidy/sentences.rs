//! Message English outside of the catalogue: text literals of two words or more, where messages and reasons are made.
//!
//! It looks only into files whose every literal would be told. Sinks, look-ups and the queue are left out: what stands there
//! is protocol, or said in logs and errors.

use std::path::Path;

/// Where messages, lines of the console and reasons of ratings are put together; a folder ends with a slash.
const ROOMS: [&str; 9] = [
    "tracer-user/src/assess.rs",
    "tracer-user/src/assess/",
    "tracer-user/src/notify/message.rs",
    "tracer-user/src/notify/message/",
    "tracer-user/src/notify/sink/console/",
    "tracer-user/src/notify/storm.rs",
    "tracer-user/src/notify/summary.rs",
    "tracer-user/src/notify/summary/schedule.rs",
    "tracer-user/src/notify/template/examples.rs",
];

/// The literals of a file that are sentences and should stand in the catalogue; none outside of the rooms.
pub(super) fn astray(path: &Path, source: &str) -> Vec<String> {
    let name = path.to_string_lossy();
    let is_in = |room: &str| if room.ends_with('/') { name.starts_with(room) } else { name == room };
    if !ROOMS.into_iter().any(is_in) {
        return Vec::new();
    }
    literals(source).into_iter().filter(|literal| is_sentence(literal)).collect()
}

/// The text literals of Rust source as they are written, without those of comments and of tests, which come last.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut literals = Vec::new();
    let mut rest = code.chars().peekable();
    let mut before = ' ';
    while let Some(character) = rest.next() {
        match character {
            '/' if rest.peek() == Some(&'/') => while rest.next_if(|next| *next != '\n').is_some() {},
            // A quotation mark as a character.
            '"' if before == '\'' => {}
            '"' => {
                let mut literal = String::new();
                while let Some(next) = rest.next_if(|next| *next != '"') {
                    literal.push(next);
                    if next == '\\' {
                        literal.extend(rest.next());
                    }
                }
                rest.next();
                literals.push(literal);
            }
            _ => {}
        }
        before = character;
    }
    literals
}

/// Whether a word stands beside another word or a value: ` by {program}`, but not `AS{}`, ` - {}` or `%Y-%m-%d %H:%M`.
fn is_sentence(literal: &str) -> bool {
    let mut text = String::new();
    let mut depth = 0_u32;
    for character in literal.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(character),
            _ => {}
        }
    }
    let is_word = |part: &str| part.chars().filter(|character| character.is_alphabetic()).count() >= 2;
    text.contains(char::is_whitespace)
        && text.split(|character: char| !character.is_alphabetic()).any(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "tracer-user/src/notify/message/inside.rs";

    #[test]
    fn sentences_are_found_where_messages_are_made() {
        let source = "fn f() -> String {\n    format!(\"{who} on {host}\") + \", and so on\" + \" by \" + \"SSH login\"\n}\n";
        let found = ["{who} on {host}", ", and so on", " by ", "SSH login"];
        assert_eq!(astray(Path::new(ROOM), source), found);
        assert_eq!(astray(Path::new("tracer-user/src/assess.rs"), source), found);
        for elsewhere in
            ["tracer-user/src/words.rs", "tracer-user/src/notify/worker.rs", "tests/messages/main.rs"]
        {
            assert!(astray(Path::new(elsewhere), source).is_empty(), "{elsewhere}");
        }
    }

    #[test]
    fn punctuation_formats_data_comments_and_tests_are_none() {
        let source = "// \"a comment\" on a line\n//! of \"a file\"\nlet a = ' '; let quote = '\"'; // \"another one\"\n\
            f(\"{} - {}\", \"{name} ({code})\", \"AS{}\", \"%Y-%m-%d %H:%M:%S %Z\", \"password\", \"/usr/bin/\", \"\\\" \\\\\");\n\
            #[cfg(test)]\nmod tests { const A: &str = \"of a test\"; }\n";
        assert!(astray(Path::new(ROOM), source).is_empty(), "{:?}", astray(Path::new(ROOM), source));
        assert_eq!(literals(source).len(), 7, "{:?}", literals(source));
    }

    #[test]
    fn the_rooms_are_there() {
        let root = crate::workspace::root();
        for room in ROOMS {
            assert!(root.join(room).exists(), "{room}");
        }
    }
}
