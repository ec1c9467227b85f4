//! Edits as damage and attackers make them.

use proptest::prelude::*;
use proptest::sample::Index;

/// Longest piece that is cut or repeated.
const PIECE: usize = 40;

/// Words that mean something to one reader or another.
const WORDS: [&[u8]; 16] = [
    b" from ",
    b" port ",
    b" ssh2",
    b": ",
    b"]: ",
    b"Accepted ",
    b" [preauth]",
    b"\n",
    b"\0",
    b"\x1b[2J",
    b"\xff\xfe",
    b"\"",
    b"\\",
    b"18446744073709551615",
    b"-1",
    b"\xe2\x80\xae",
];

#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Set(Index, u8),
    Cut(Index, usize),
    Repeat(Index, usize),
    Insert(Index, &'static [u8]),
}

pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let place = any::<Index>;
    let edit = prop_oneof![
        (place(), any::<u8>()).prop_map(|(place, byte)| Edit::Set(place, byte)),
        (place(), 1..PIECE).prop_map(|(place, length)| Edit::Cut(place, length)),
        (place(), 1..PIECE).prop_map(|(place, length)| Edit::Repeat(place, length)),
        (place(), proptest::sample::select(&WORDS[..])).prop_map(|(place, word)| Edit::Insert(place, word)),
    ];
    proptest::collection::vec(edit, 0..6)
}

/// The input with all edits.
pub(crate) fn edited(input: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for edit in edits {
        let place = |index: &Index, length: usize| index.index(length.max(1));
        match edit {
            Edit::Set(at, byte) => {
                let at = place(at, bytes.len());
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Edit::Cut(at, length) => {
                let start = place(at, bytes.len()).min(bytes.len());
                bytes.drain(start..(start + length).min(bytes.len()));
            }
            Edit::Repeat(at, length) => {
                let start = place(at, bytes.len()).min(bytes.len());
                let piece = bytes[start..(start + length).min(bytes.len())].to_vec();
                bytes.splice(start..start, piece);
            }
            Edit::Insert(at, word) => {
                let start = place(at, bytes.len()).min(bytes.len());
                bytes.splice(start..start, word.iter().copied());
            }
        }
    }
    bytes
}
