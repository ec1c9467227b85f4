//! Strangers' text on its way to a terminal, a log or a message.
//!
//! User names, host names, terminals, executables, PTR records and network names are chosen by whoever connects.
//! What comes out of here moves no cursor, changes no colour, starts no new line, turns no text around and hides
//! nothing: every such character is replaced by U+FFFD. It is replaced and not dropped, so that `ro<U+200B>ot` never
//! reads as `root`. Escaping for one service's own markup is that sink's task and comes after this.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

/// Stands for every character that must not come out.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Shows that a text was cut.
const CUT: char = '…';

/// One line of at most `max_chars` characters, the last of which is `…` where something was cut.
///
/// Nothing comes out for `max_chars` of zero.
pub fn text(input: &str, max_chars: usize) -> String {
    let mut output: String = input.chars().take(max_chars).map(harmless).collect();
    if input.chars().nth(max_chars).is_some() && output.pop().is_some() {
        output.push(CUT);
    }
    output
}

/// One line of any length: for text whose length somebody else bounds, such as an error or a log line.
pub fn line(input: &str) -> String {
    input.chars().map(harmless).collect()
}

/// A text that no program takes for an address to be opened: `https[://]evil.example`, `www[.]evil.example`. For
/// services that make links of what looks like one and have no markup to escape it.
pub fn unlinked(input: &str) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(character) = rest.chars().next() {
        let (length, piece) = if rest.starts_with("://") {
            (3, "[://]")
        } else if rest.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www.")) {
            output.push_str(&rest[..3]);
            (4, "[.]")
        } else {
            (character.len_utf8(), &rest[..character.len_utf8()])
        };
        output.push_str(piece);
        rest = &rest[length..];
    }
    output
}

/// Compact JSON whose texts are complete and harmless: every hostile character is written as `\uXXXX`.
pub struct HarmlessJson;

impl Formatter for HarmlessJson {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) = rest.char_indices().find(|(_, c)| is_hostile(*c)) {
            CompactFormatter.write_string_fragment(writer, &rest[..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// A value as [`HarmlessJson`], in one line without its end.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut line = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut line, HarmlessJson))?;
    // JSON is UTF-8; nothing is replaced.
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Whether a character can change how the text around it is shown.
pub fn is_hostile(character: char) -> bool {
    // C0, DEL and C1: escape sequences, line breaks, tabs that break tables.
    character.is_control()
        // Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt): invisible, among them the marks, embeddings,
        // overrides and isolates of bidirectional text, joiners, variation selectors and tags.
        || matches!(character,
            '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
        // Line and paragraph separator, interlinear annotation.
        || matches!(character, '\u{2028}'..='\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

fn harmless(character: char) -> char {
    if is_hostile(character) { REPLACEMENT } else { character }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_what_people_are_called() {
        for name in ["root", "José", "Zoë", "名前", "пользователь", "o'brien", "a.b-c_d@corp", "🦀"]
        {
            assert_eq!(text(name, 64), name);
            assert_eq!(line(name), name);
        }
    }

    #[test]
    fn replaces_what_moves_hides_or_turns() {
        let cases = [
            ("\u{1b}[2J\u{1b}]0;pwned\u{7}", "�[2J�]0;pwned�"),
            ("a\r\nb\tc", "a��b�c"),
            ("\u{9b}31m", "�31m"),
            ("\u{7f}", "�"),
            ("a\u{2028}b\u{2029}c\u{85}d", "a�b�c�d"),
            ("\u{202e}toor\u{202c}", "�toor�"),
            ("\u{2066}x\u{2069}\u{200e}\u{200f}\u{61c}", "�x����"),
            ("ro\u{200b}o\u{200d}t\u{feff}\u{2060}", "ro�o�t��"),
            ("r\u{e0072}oot\u{fe0f}", "r�oot�"),
        ];
        for (input, expected) in cases {
            assert_eq!(line(input), expected, "{input:?}");
        }
    }

    #[test]
    fn cuts_with_a_mark_that_counts() {
        assert_eq!(text("abcdef", 6), "abcdef");
        assert_eq!(text("abcdef", 5), "abcd…");
        assert_eq!(text("名前名前", 3), "名前…");
        assert_eq!(text("ab", 1), "…");
        assert_eq!(text("ab", 0), "");
        assert_eq!(text("", 0), "");
    }

    #[test]
    fn nothing_is_left_to_open() {
        for (input, expected) in [
            ("see https://evil.example/x", "see https[://]evil.example/x"),
            ("HTTP://a WWW.b www.c", "HTTP[://]a WWW[.]b www[.]c"),
            ("ww.w :/ / é", "ww.w :/ / é"),
            ("www.://", "www[.][://]"),
        ] {
            assert_eq!(unlinked(input), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_hostile_comes_out(input in hostile_text(), max_chars in 0usize..40) {
            prop_assert!(!line(&input).chars().any(is_hostile));
            let output = text(&input, max_chars);
            prop_assert!(!output.chars().any(is_hostile));
            prop_assert!(output.chars().count() <= max_chars);
        }

        #[test]
        fn a_second_time_changes_nothing(input in hostile_text(), max_chars in 0usize..40) {
            let once = text(&input, max_chars);
            prop_assert_eq!(text(&once, max_chars), once.as_str());
            prop_assert_eq!(line(&once), once);
        }

        #[test]
        fn short_text_keeps_its_length(input in hostile_text()) {
            let length = input.chars().count();
            prop_assert_eq!(line(&input).chars().count(), length);
            prop_assert_eq!(text(&input, length), line(&input));
        }
    }

    /// Any text, with far more control and format characters than chance would give.
    fn hostile_text() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            any::<char>(),
            prop::char::range('\0', '\u{ff}'),
            prop::char::range('\u{2000}', '\u{206f}'),
            prop::char::range('\u{e0000}', '\u{e01ff}'),
        ];
        prop::collection::vec(character, 0..60).prop_map(String::from_iter)
    }
}
