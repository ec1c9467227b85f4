//! The connection of a process, from `/proc`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::tracker::Connection;

/// Descriptors that are looked at, as in the kernel programs.
const DESCRIPTORS: u32 = 32;

/// The first connected TCP socket among the open files of a process.
pub(super) fn connection(pid: u32) -> Option<Connection> {
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")));
    (0..DESCRIPTORS).find_map(|number| {
        let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        tables.iter().flatten().find_map(|table| find(table, inode))
    })
}

/// Looks a socket up in a table of `/proc/net/tcp` or `tcp6`, whose columns are number, local, remote, state ... inode (the
/// tenth).
fn find(table: &str, inode: &str) -> Option<Connection> {
    /// `TCP_ESTABLISHED` and `TCP_CLOSE_WAIT` of `include/net/tcp_states.h`.
    const CONNECTED: [&str; 2] = ["01", "08"];
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, local, peer, state, ..] = fields[..] else { return None };
        if fields.get(9) != Some(&inode) || !CONNECTED.contains(&state) {
            return None;
        }
        Some(Connection { peer: endpoint(peer)?, local: endpoint(local)? })
    })
}

/// `0100007F:0016`: words of the address as the machine reads them, the port as a number.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() || !address.len().is_multiple_of(8) {
        return None;
    }
    let mut bytes = Vec::with_capacity(16);
    for start in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn tables_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 x 100\n\
            \x20  1: 0100007F:0016 0200007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 78 1 x 100\n";
        let connection = find(table, "78").unwrap();
        assert_eq!(connection.peer, "127.0.0.2:40000".parse().unwrap());
        assert_eq!(connection.local, "127.0.0.1:22".parse().unwrap());
        assert_eq!(find(table, "77"), None, "it listens");
        assert_eq!(find(table, "7"), None);
        let mapped = endpoint("0000000000000000FFFF00000200007F:9C40").unwrap();
        assert_eq!(mapped, "127.0.0.2:40000".parse().unwrap());
        let loopback = endpoint("00000000000000000000000001000000:0016").unwrap();
        assert_eq!(loopback, "[::1]:22".parse().unwrap());
        for wrong in ["", ":", "x:1", "0100007F", "0100007F:99999", "01000:1", "éééé:1"] {
            assert_eq!(endpoint(wrong), None, "{wrong}");
        }
    }
}
