//! Recordings that can be given away: names, addresses, keys and arguments are replaced, each by the same everywhere.
//!
//! Root stays root and loopback stays loopback: they tell nothing of anybody. A log line that is not understood is left
//! out, since anything may be in it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::event::{Event, Fact};
use crate::tracker::sshd_log::strangers_words;
use crate::tracker::title::Title;

/// The replacements so far.
#[derive(Debug, Default)]
pub(super) struct Mask {
    names: HashMap<String, String>,
    addresses: HashMap<IpAddr, IpAddr>,
    keys: HashMap<String, String>,
}

impl Mask {
    /// The event with nothing in it that belongs to somebody.
    pub(super) fn event(&mut self, event: &Event) -> Event {
        let mut event = event.clone();
        match &mut event.fact {
            Fact::Socket { peer, local } => {
                *peer = self.endpoint(*peer);
                *local = self.endpoint(*local);
            }
            Fact::TimerDisarmed { title } => *title = self.title(title),
            Fact::LogLine { text } => *text = self.line(text),
            Fact::Leave { path, arguments, .. } => keep_what_names_the_program(path, arguments),
            Fact::Exec(_)
            | Fact::ForeignExec(_)
            | Fact::Enter { .. }
            | Fact::Fork { .. }
            | Fact::Exit(_)
            | Fact::Credentials { .. }
            | Fact::Escalated(_) => {}
        }
        event
    }

    fn name(&mut self, name: &str) -> String {
        if name == "root" || name.is_empty() {
            return name.to_owned();
        }
        let next = format!("user-{}", self.names.len() + 1);
        self.names.entry(name.to_owned()).or_insert(next).clone()
    }

    /// `sshd: NAME [ROLE]` with any role, or `sshd: NAME@TERMINAL`; a command line names nobody.
    fn title(&mut self, title: &str) -> String {
        let Some((program, rest)) = title.split_once(": ").filter(|(program, _)| program.starts_with("sshd"))
        else {
            return title.to_owned();
        };
        let user = match Title::parse(title) {
            Some(Title::Monitor { user, .. } | Title::Session { user, .. }) => user,
            None => match rest.rsplit_once(" [") {
                Some((user, _)) if !user.starts_with('/') => user,
                Some(_) | None => return title.to_owned(),
            },
        };
        format!("{program}: {}", rest.replacen(user, &self.name(user), 1))
    }

    fn line(&mut self, line: &str) -> String {
        let Some((head, text)) = line.split_once("]: ") else { return String::new() };
        // It writes a port behind a colon, of which IPv6 addresses have many.
        let is_dropbear = head.contains(" dropbear[");
        let Some(mut words) = strangers_words(line) else { return format!("{head}]: (not understood)") };
        // A name may hold another one.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let mut pieces = vec![(text.to_owned(), false)];
        for word in words.iter().filter(|word| !word.is_empty()) {
            let replacement = self.name(word);
            pieces = pieces.into_iter().flat_map(|piece| split(piece, word, &replacement)).collect();
        }
        let text: String = pieces
            .into_iter()
            .map(|(piece, is_replaced)| if is_replaced { piece } else { self.words(&piece, is_dropbear) })
            .collect();
        format!("{head}]: {text}")
    }

    /// Addresses and fingerprints between names. A colon and a number behind an address are Dropbear's way to give a port.
    fn words(&mut self, text: &str, is_dropbear: bool) -> String {
        let is_boundary = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | ',' | '"' | '<' | '>');
        text.split_inclusive(is_boundary)
            .map(|word| {
                let bare = word.trim_end_matches(is_boundary);
                let boundary = &word[bare.len()..];
                let end = bare.rsplit_once(':').filter(|_| is_dropbear);
                let address_port = end.and_then(|(address, port)| Some((address.parse().ok()?, port)));
                if let Some((address, port)) = address_port {
                    format!("{}:{port}{boundary}", self.address(address))
                } else if let Ok(address) = bare.parse() {
                    format!("{}{boundary}", self.address(address))
                } else if bare.starts_with("SHA256:") || bare.starts_with("MD5:") {
                    format!("{}{boundary}", self.key(bare))
                } else {
                    word.to_owned()
                }
            })
            .collect()
    }

    /// As long as a fingerprint is.
    fn key(&mut self, fingerprint: &str) -> String {
        let next = format!("SHA256:{:043}", self.keys.len() + 1);
        self.keys.entry(fingerprint.to_owned()).or_insert(next).clone()
    }

    fn endpoint(&mut self, endpoint: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.address(endpoint.ip()), endpoint.port())
    }

    /// From the networks for documentation (RFC 5737, RFC 3849), and where there are too many, from the reserved one.
    fn address(&mut self, address: IpAddr) -> IpAddr {
        if address.is_loopback() || address.is_unspecified() {
            return address;
        }
        let number = self.addresses.len() as u32 + 1;
        let next = match address {
            IpAddr::V4(_) => IpAddr::V4(match number {
                1..=254 => Ipv4Addr::new(192, 0, 2, number as u8),
                _ => Ipv4Addr::from(0xf000_0000 | number),
            }),
            IpAddr::V6(_) => Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(number)).into(),
        };
        *self.addresses.entry(address).or_insert(next)
    }
}

/// Leaves of the arguments what says how a program was started: under its own name or as a login shell, and that a command
/// follows.
fn keep_what_names_the_program(path: &str, arguments: &mut Vec<String>) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_own = |word: &str| word == path || word.strip_prefix('-').unwrap_or(word) == name;
    let length = match arguments.as_slice() {
        [first, flag, ..] if is_own(first) && flag == "-c" => 2,
        [first, ..] if is_own(first) => 1,
        _ => 0,
    };
    arguments.truncate(length);
}

/// Cuts a word out of a piece that was not replaced yet: where it stands by itself, or else wherever it is.
fn split((piece, is_replaced): (String, bool), word: &str, replacement: &str) -> Vec<(String, bool)> {
    if is_replaced {
        return vec![(piece, true)];
    }
    let all: Vec<usize> = piece.match_indices(word).map(|(at, _)| at).collect();
    let is_alone = |at: &usize| {
        let (before, after) = (&piece[..*at], &piece[at + word.len()..]);
        !before.ends_with(|c: char| !c.is_whitespace()) && !after.starts_with(|c: char| !c.is_whitespace())
    };
    let alone: Vec<usize> = all.iter().copied().filter(is_alone).collect();
    let mut pieces = Vec::new();
    let mut rest = 0;
    for at in if alone.is_empty() { all } else { alone } {
        pieces.push((piece[rest..at].to_owned(), false));
        pieces.push((replacement.to_owned(), true));
        rest = at + word.len();
    }
    pieces.push((piece[rest..].to_owned(), false));
    pieces
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::mem::discriminant;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::event::{BootTime, Process};
    use crate::tracker::{Finding, Tracker};

    fn masked(mask: &mut Mask, fact: Fact) -> Fact {
        let process = Process { pid: 7, start: BootTime(1) };
        mask.event(&Event { at: BootTime(2), process, parent_pid: 1, uid: 0, fact }).fact
    }

    fn line(mask: &mut Mask, text: &str) -> String {
        let line = Fact::LogLine { text: format!("<38>Nov 21 07:12:28 sshd[7]: {text}") };
        let Fact::LogLine { text } = masked(mask, line) else { panic!("a line stays a line") };
        text.split_once("]: ").map(|(_, text)| text.to_owned()).unwrap()
    }

    #[test]
    fn the_same_is_the_same_everywhere() {
        let mut mask = Mask::default();
        let socket = Fact::Socket {
            peer: "198.51.100.7:40000".parse().unwrap(),
            local: "127.0.0.1:22".parse().unwrap(),
        };
        let expected =
            Fact::Socket { peer: "192.0.2.1:40000".parse().unwrap(), local: "127.0.0.1:22".parse().unwrap() };
        assert_eq!(masked(&mut mask, socket), expected);
        let title = Fact::TimerDisarmed { title: "sshd: alice [priv]".into() };
        assert_eq!(masked(&mut mask, title), Fact::TimerDisarmed { title: "sshd: user-1 [priv]".into() });
        let key = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI";
        let accepted =
            format!("Accepted publickey for alice from 198.51.100.7 port 40000 ssh2: ED25519 {key}");
        let expected =
            format!("Accepted publickey for user-1 from 192.0.2.1 port 40000 ssh2: ED25519 SHA256:{:043}", 1);
        assert_eq!(line(&mut mask, &accepted), expected);
        assert_eq!(
            line(&mut mask, "Failed password for invalid user hunter2 from 2001:db8:1::7 port 9 ssh2"),
            "Failed password for invalid user user-2 from 2001:db8::2 port 9 ssh2"
        );
        assert_eq!(
            line(&mut mask, "Failed password for root from 198.51.100.7 port 9 ssh2"),
            "Failed password for root from 192.0.2.1 port 9 ssh2"
        );
    }

    /// Whatever was found in a recording is found in the masked one, at the same times.
    #[test]
    fn masked_recordings_mean_the_same() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests/tracker/traces");
        let shape = |events: &[Event]| {
            let mut tracker = Tracker::default();
            events.iter().for_each(|event| tracker.handle(event));
            let findings = std::iter::from_fn(move || tracker.next_finding());
            findings.map(|finding| (discriminant(&finding), time_of(&finding))).collect::<Vec<_>>()
        };
        let mut recordings = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "jsonl") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let events: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let mut mask = Mask::default();
            let masked: Vec<Event> = events.iter().map(|event| mask.event(event)).collect();
            assert_eq!(shape(&masked), shape(&events), "{}", path.display());
            let text = serde_json::to_string(&masked).unwrap();
            for name in mask.names.keys() {
                assert!(!text.contains(&format!(" {name} ")), "{name} in {}", path.display());
            }
            recordings += 1;
        }
        assert!(recordings > 50, "{recordings} recordings");
    }

    fn time_of(finding: &Finding) -> Value {
        let value = serde_json::to_value(finding).unwrap();
        value.as_object().unwrap().values().map(|details| details["at"].clone()).collect()
    }

    #[test]
    fn nothing_is_left_of_what_is_not_understood() {
        let mut mask = Mask::default();
        assert_eq!(line(&mut mask, "banner of alice at 198.51.100.7"), "(not understood)");
        assert_eq!(
            masked(&mut mask, Fact::LogLine { text: "alice".into() }),
            Fact::LogLine { text: String::new() }
        );
        let leave = Fact::Leave {
            tty: None,
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), "secret".into()],
            user: None,
        };
        let expected = Fact::Leave { tty: None, path: "/bin/sh".into(), arguments: Vec::new(), user: None };
        assert_eq!(masked(&mut mask, leave), expected);
        assert_eq!(
            line(&mut mask, "Invalid user for from 198.51.100.7 port 1"),
            "Invalid user user-1 from 192.0.2.1 port 1"
        );
        assert_eq!(
            line(&mut mask, "Failed password for a from 198.51.100.7 port 1 ssh2"),
            "Failed password for user-2 from 192.0.2.1 port 1 ssh2"
        );
    }
}
