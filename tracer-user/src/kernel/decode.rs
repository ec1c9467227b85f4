//! From the bytes of a record to an event. Bytes are parsed and refused, never trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use tracer_ebpf::{self as contract, Door, Header, Kind};

use crate::event::{BootTime, Escalated, Event, ExitStatus, Fact, Image, Process};

/// Why bytes are not a record.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("a record of {found} bytes is too short: {needed} are needed")]
    TooShort { found: usize, needed: usize },
    #[error("records have no kind {0}")]
    UnknownKind(u32),
    #[error("a connection has the address family {0}, which is neither IPv4 nor IPv6")]
    UnknownFamily(u16),
}

/// Decodes one record of the ring buffer. Longer records than known are accepted: the kernel rounds sizes up.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let header: Header = read(bytes)?;
    let kind = Kind::from_u32(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;
    let fact = match kind {
        Kind::Exec => {
            let record: contract::Exec = read(bytes)?;
            let image = image(bytes)?;
            match Door::of(&record.name) {
                Some(Door::Login | Door::Su | Door::Sudo) => {
                    Fact::Enter { image, tty: terminal(&text(&record.tty)) }
                }
                Some(Door::Ssh | Door::Dropbear) | None => Fact::Exec(image),
            }
        }
        Kind::ForeignExec => Fact::ForeignExec(image(bytes)?),
        Kind::Leave => {
            let record: contract::Leave = read(bytes)?;
            Fact::Leave {
                tty: terminal(&text(&record.tty)),
                path: text(&record.path),
                arguments: arguments(&record.arguments),
                user: (header.uid == record.euid && header.uid == record.suid).then_some(header.uid),
            }
        }
        Kind::Fork => {
            let record: contract::Fork = read(bytes)?;
            Fact::Fork {
                child: Process { pid: record.child_tgid, start: BootTime(record.child_start_boot_ns) },
            }
        }
        Kind::Exit => {
            let record: contract::Exit = read(bytes)?;
            Fact::Exit(ExitStatus::from_wait_status(record.wait_status))
        }
        Kind::TimerDisarmed => {
            let record: contract::TimerDisarmed = read(bytes)?;
            Fact::TimerDisarmed { title: text(&record.title) }
        }
        Kind::Credentials => {
            let record: contract::Credentials = read(bytes)?;
            Fact::Credentials { ruid: record.ruid, euid: record.euid, suid: record.suid }
        }
        Kind::LogLine => {
            let record: contract::LogLine = read(bytes)?;
            Fact::LogLine { text: text(&record.text) }
        }
        Kind::Socket => {
            let record: contract::Socket = read(bytes)?;
            Fact::Socket {
                peer: endpoint(record.family, record.peer, record.peer_port)?,
                local: endpoint(record.family, record.local, record.local_port)?,
            }
        }
        Kind::Escalated => {
            let record: contract::descendant::Escalated = read(bytes)?;
            let path = text(&record.path);
            Fact::Escalated(Escalated {
                root: Process { pid: record.root_tgid, start: BootTime(record.root_start_boot_ns) },
                from: record.from_uid,
                to: record.to_uid,
                is_granted: record.is_granted != 0,
                name: text(&record.name),
                path: (!path.is_empty()).then_some(path),
            })
        }
    };
    Ok(Event {
        at: BootTime(header.boot_ns),
        process: Process { pid: header.tgid, start: BootTime(header.start_boot_ns) },
        parent_pid: header.parent_tgid,
        uid: header.uid,
        fact,
    })
}

fn image(bytes: &[u8]) -> Result<Image, DecodeError> {
    let record: contract::Exec = read(bytes)?;
    Ok(Image {
        name: text(&record.name),
        path: text(&record.path),
        owner_uid: record.owner_uid,
        mode: record.mode & 0o7777,
    })
}

/// A struct of the contract: made of integers and byte arrays, without padding.
///
/// # Safety
/// Any bytes must be a valid value of the type.
unsafe trait Record: Copy {}

// SAFETY: integers and byte arrays only, pinned by the layout tests of the contract.
unsafe impl Record for Header {}
// SAFETY: as above.
unsafe impl Record for contract::Exec {}
// SAFETY: as above.
unsafe impl Record for contract::Leave {}
// SAFETY: as above.
unsafe impl Record for contract::Fork {}
// SAFETY: as above.
unsafe impl Record for contract::Exit {}
// SAFETY: as above.
unsafe impl Record for contract::TimerDisarmed {}
// SAFETY: as above.
unsafe impl Record for contract::Credentials {}
// SAFETY: as above.
unsafe impl Record for contract::Socket {}
// SAFETY: as above.
unsafe impl Record for contract::descendant::Escalated {}
// SAFETY: as above.
unsafe impl Record for contract::LogLine {}

fn read<T: Record>(bytes: &[u8]) -> Result<T, DecodeError> {
    let needed = size_of::<T>();
    if bytes.len() < needed {
        return Err(DecodeError::TooShort { found: bytes.len(), needed });
    }
    // SAFETY: there are enough bytes, any of them are a valid `T` (`Record`), and the read needs no alignment.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The text up to the first NUL; bytes that are not UTF-8 become replacement characters.
fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Texts that end with a NUL each. What was cut off at the end is kept as it is; padding is nothing.
fn arguments(bytes: &[u8]) -> Vec<String> {
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let used = bytes.get(..length).unwrap_or_default();
    if used.is_empty() {
        return Vec::new();
    }
    used.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// `pts0` is `/dev/pts/0`; other terminals have the kernel's name.
fn terminal(name: &str) -> Option<String> {
    match name.strip_prefix("pts") {
        Some(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("pts/{number}"))
        }
        _ if name.is_empty() => None,
        _ => Some(name.to_owned()),
    }
}

/// Shows IPv4 addresses that came in through an IPv6 socket as IPv4.
fn endpoint(family: u16, address: [u8; 16], port: [u8; 2]) -> Result<SocketAddr, DecodeError> {
    let address = match family {
        contract::AF_INET => {
            let [a, b, c, d, ..] = address;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        contract::AF_INET6 => Ipv6Addr::from(address).to_canonical(),
        other => return Err(DecodeError::UnknownFamily(other)),
    };
    Ok(SocketAddr::new(address, u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of<T: Record>(record: &T) -> Vec<u8> {
        // SAFETY: a record has no padding, so all of its bytes are defined.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast(), size_of::<T>()) }.to_vec()
    }

    fn header(kind: u32) -> Header {
        Header { kind, tgid: 10, parent_tgid: 9, uid: 0, boot_ns: 2_000, start_boot_ns: 1_000 }
    }

    #[test]
    fn v4_mapped_addresses_are_shown_as_v4() {
        let mut peer = [0; 16];
        peer[10..].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        let record = contract::Socket {
            header: header(Kind::Socket as u32),
            family: contract::AF_INET6,
            peer_port: [0x30, 0x39],
            local_port: [0, 22],
            reserved: [0; 2],
            peer,
            local: Ipv6Addr::LOCALHOST.octets(),
        };
        let event = decode(&bytes_of(&record)).expect("a record");
        let peer = "192.0.2.1:12345".parse().expect("an address");
        let local = "[::1]:22".parse().expect("an address");
        assert_eq!(event.fact, Fact::Socket { peer, local });
        assert_eq!(event.process, Process { pid: 10, start: BootTime(1_000) });
        let unknown = contract::Socket { family: 1, ..record };
        assert_eq!(decode(&bytes_of(&unknown)), Err(DecodeError::UnknownFamily(1)));
    }

    #[test]
    fn doors_on_this_host_are_told_from_servers() {
        let record = |name: &str| {
            let mut record = contract::Exec {
                header: header(Kind::Exec as u32),
                owner_uid: 0,
                mode: 0o104_755,
                name: [0; contract::NAME_LEN],
                tty: [0; contract::TTY_LEN],
                path: [0; contract::PATH_LEN],
            };
            record.name[..name.len()].copy_from_slice(name.as_bytes());
            record.tty[..4].copy_from_slice(b"pts7");
            decode(&bytes_of(&record)).expect("a record").fact
        };
        for name in ["login", "su", "sudo"] {
            let fact = record(name);
            assert!(
                matches!(&fact, Fact::Enter { image, tty: Some(tty) } if image.name == name && image.mode == 0o4755 && tty == "pts/7"),
                "{fact:?}"
            );
        }
        for name in ["sshd", "sshd-session", "dropbear"] {
            assert!(matches!(record(name), Fact::Exec(image) if image.name == name), "{name}");
        }
    }

    #[test]
    fn a_process_is_one_user_if_all_ids_are_the_same() {
        let user = |euid, suid| {
            let record = contract::Leave {
                header: header(Kind::Leave as u32),
                euid,
                suid,
                tty: [0; contract::TTY_LEN],
                path: [0; contract::PATH_LEN],
                arguments: [0; contract::ARGUMENTS_LEN],
            };
            let Fact::Leave { user, .. } = decode(&bytes_of(&record)).expect("a record").fact else {
                panic!()
            };
            user
        };
        assert_eq!([user(0, 0), user(1, 0), user(0, 1)], [Some(0), None, None]);
    }

    #[test]
    fn text_ends_at_the_first_nul_or_at_the_end() {
        assert_eq!(text(b"sshd: a\0rest"), "sshd: a");
        assert_eq!(text(b"sshd\xff"), "sshd\u{fffd}");
        assert_eq!(text(b""), "");
        assert_eq!(terminal("pts12").as_deref(), Some("pts/12"));
        assert_eq!(terminal("tty1").as_deref(), Some("tty1"));
        assert_eq!(terminal("pts").as_deref(), Some("pts"));
        assert_eq!(terminal(""), None);
    }

    #[test]
    fn arguments_are_told_apart() {
        assert_eq!(arguments(b"sh\0-c\0a b\0\0\0"), ["sh", "-c", "a b"]);
        assert_eq!(arguments(b"\0-c\0"), ["", "-c"]);
        assert_eq!(arguments(b"-bash"), ["-bash"]);
        assert!(arguments(&[0; 8]).is_empty());
        assert!(arguments(b"").is_empty());
    }

    #[test]
    fn short_and_unknown_records_are_refused() {
        assert_eq!(decode(&[0; 8]), Err(DecodeError::TooShort { found: 8, needed: 32 }));
        assert_eq!(decode(&bytes_of(&header(99))), Err(DecodeError::UnknownKind(99)));
        let exit = bytes_of(&header(Kind::Exit as u32));
        assert_eq!(decode(&exit), Err(DecodeError::TooShort { found: 32, needed: 40 }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in 0_u32..20, mut bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            if let Some(place) = bytes.get_mut(..4) {
                place.copy_from_slice(&kind.to_ne_bytes());
            }
            // Whatever it says, it says it without a panic.
            drop(decode(&bytes));
        }
    }
}
