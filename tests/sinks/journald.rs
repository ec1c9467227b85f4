//! The journal, as its native protocol is specified.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;

use expect_test::expect_file;
use login_tracer::config;
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::journald::{Journald, encoded, fields};
use login_tracer::sanitize::{self, is_hostile};
use proptest::prelude::*;

use crate::over_http::Then;
use crate::scene::{Strangers, host_of, hostile_message, messages, opened, send, user_of};

/// Reads an entry as journald does: `NAME=value\n`, or `NAME\n`, 64 bits of length, value, line feed.
fn parse(mut entry: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let mut fields = BTreeMap::new();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| *byte == b'\n').ok_or("no end of line")?;
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        let (name, value, rest) = match line.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&line[..equals], &line[equals + 1..], rest),
            None => {
                let length = rest.get(..8).ok_or("no length")?;
                let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
                let value = rest.get(8..8 + length).ok_or("a value that is too short")?;
                if rest.get(8 + length) != Some(&b'\n') {
                    return Err("no line feed after a value".to_owned());
                }
                (line, value, &rest[9 + length..])
            }
        };
        let is_name = name.first().is_some_and(u8::is_ascii_uppercase)
            && name.len() <= 64
            && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
        if !is_name {
            return Err(format!("name {:?}", String::from_utf8_lossy(name)));
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        if fields.insert(text(name), text(value)).is_some() {
            return Err("a field twice".to_owned());
        }
        entry = rest;
    }
    Ok(fields)
}

#[test]
fn messages_as_they_are_sent() {
    let mut golden = String::new();
    for (title, delivery) in messages() {
        golden.push_str(&format!("## {title}\n"));
        for (name, value) in parse(&encoded(&fields(&delivery))).unwrap() {
            golden.push_str(&format!("{name}={value}\n"));
        }
        golden.push('\n');
    }
    expect_file![format!("{}/../tests/goldens/sinks/journald.txt", env!("CARGO_MANIFEST_DIR"))]
        .assert_eq(&golden);
}

#[test]
fn an_entry_is_one_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let sink = Journald::new(&config::Journald { socket: path.clone() });
    let delivery = opened(&Strangers::polite(), 91);
    assert_eq!(Then::from(&send(&sink, &delivery).outcome), Then::Again(None));
    let socket = UnixDatagram::bind(&path).unwrap();
    assert_eq!(send(&sink, &delivery).outcome, Outcome::Delivered);
    let mut buffer = [0; 65_536];
    let length = socket.recv(&mut buffer).unwrap();
    let entry = parse(&buffer[..length]).unwrap();
    assert_eq!((entry["PRIORITY"].as_str(), entry["LOGIN_TRACER_USER"].as_str()), ("2", "alice"));
}

proptest! {
    #[test]
    fn no_name_makes_a_field(delivery in hostile_message()) {
        let entry = parse(&encoded(&fields(&delivery))).map_err(TestCaseError::fail)?;
        let text = |text| sanitize::text(text, 1000);
        prop_assert_eq!(entry.get("LOGIN_TRACER_USER").cloned(), user_of(&delivery).map(text));
        prop_assert_eq!(&entry["LOGIN_TRACER_HOST"], &text(host_of(&delivery.event)));
        prop_assert_eq!(&entry["MESSAGE"], &delivery.message.summary);
        prop_assert!(entry.values().all(|value| !value.chars().any(is_hostile)));
        let ours = ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"];
        prop_assert!(entry.keys().all(|name| ours.contains(&name.as_str()) || name.starts_with("LOGIN_TRACER_")));
    }
}
