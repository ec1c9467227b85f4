//! The connection: found among the open files of the process that holds it, in its own context.
//!
//! No hook of its own: it is looked for when the process forks and when it disarms its timer, and reported once.

use tracer_ebpf::{AF_INET, AF_INET6, Kind, Socket};

use crate::error::{Error, Structure};
use crate::task::{Pointer, Task, offset};
use crate::{emit, maps};

/// Descriptors that are looked at. sshd's connection is among its first: 0 or 1 under inetd, 3 to 7 otherwise.
const DESCRIPTORS: u32 = 32;

/// `S_IFMT` and `S_IFSOCK` of `inode(7)`.
const FILE_TYPE: u16 = 0o170_000;
const SOCKET: u16 = 0o140_000;

/// `IPPROTO_TCP`.
const TCP: u32 = 6;

/// `TCP_ESTABLISHED` and `TCP_CLOSE_WAIT` of `include/net/tcp_states.h`: connected, and the peer has said goodbye.
const CONNECTED: [u8; 2] = [1, 8];

/// Reports the connection of the current process, unless that was done before or there is none.
#[inline(always)]
pub(crate) fn report_once(task: Task, tgid: u32) -> Result<(), Error> {
    if maps::is_socket_reported(tgid) {
        return Ok(());
    }
    let Some(sock) = connection(task) else {
        return Ok(());
    };
    report(task, sock)?;
    maps::set_socket_reported(tgid);
    Ok(())
}

/// The `struct sock` of the first connected TCP socket.
#[inline(always)]
fn connection(task: Task) -> Option<Pointer> {
    let table = task.file_table().ok()?;
    for number in 0..DESCRIPTORS {
        if number >= table.length {
            break;
        }
        if let Some(sock) = task.file(table, number).and_then(connected_socket) {
            return Some(sock);
        }
    }
    None
}

/// The `struct sock` behind a file, if the file is a connected TCP socket.
#[inline(always)]
fn connected_socket(file: Pointer) -> Option<Pointer> {
    let inode = file.follow(offset!(file_inode), Structure::File).ok()?;
    let mode: u16 = inode.read(offset!(inode_mode), Structure::Inode).ok()?;
    if mode & FILE_TYPE != SOCKET {
        return None;
    }
    let socket = file.follow(offset!(file_private_data), Structure::File).ok()?;
    let sock = socket.follow(offset!(socket_sk), Structure::Socket).ok()?;
    let family: u16 = sock.read(offset!(sock_family), Structure::Socket).ok()?;
    let state: u8 = sock.read(offset!(sock_state), Structure::Socket).ok()?;
    let is_connection = (family == AF_INET || family == AF_INET6)
        && CONNECTED.contains(&state)
        && protocol(sock).is_ok_and(|protocol| protocol == TCP);
    is_connection.then_some(sock)
}

/// The field is 8 bits wide before Linux 5.6 and 16 bits since.
#[inline(always)]
fn protocol(sock: Pointer) -> Result<u32, Error> {
    if offset!(sock_protocol_size) == 1 {
        Ok(u32::from(sock.read::<u8>(offset!(sock_protocol), Structure::Socket)?))
    } else {
        Ok(u32::from(sock.read::<u16>(offset!(sock_protocol), Structure::Socket)?))
    }
}

#[inline(always)]
fn report(task: Task, sock: Pointer) -> Result<(), Error> {
    let header = task.header(Kind::Socket)?;
    let family: u16 = sock.read(offset!(sock_family), Structure::Socket)?;
    let peer_port: [u8; 2] = sock.read(offset!(sock_peer_port), Structure::Socket)?;
    // The kernel keeps its own port in its own byte order.
    let local_port: u16 = sock.read(offset!(sock_local_port), Structure::Socket)?;
    let (peer, local) = if family == AF_INET {
        let peer: [u8; 4] = sock.read(offset!(sock_peer_v4), Structure::Socket)?;
        let local: [u8; 4] = sock.read(offset!(sock_local_v4), Structure::Socket)?;
        (wide(peer), wide(local))
    } else {
        (
            sock.read(offset!(sock_peer_v6), Structure::Socket)?,
            sock.read(offset!(sock_local_v6), Structure::Socket)?,
        )
    };
    emit::record(|record: &mut Socket| {
        record.header = header;
        record.family = family;
        record.peer_port = peer_port;
        record.local_port = local_port.to_be_bytes();
        record.peer = peer;
        record.local = local;
    })
}

#[inline(always)]
fn wide([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}
