//! Rows of `sessions`, and what each update does to them.
//!
//! Updates are idempotent: opening a known session or closing a closed one changes nothing, so a batch that is
//! written again after a crash leaves no second change.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::types::{ToSql, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use uuid::Uuid;

use super::changes;
use crate::session::{ChangeKind, Closed, End, Opening, Session, SessionKey, Sshd, Update};

/// Which sessions to list. `Filter::default()` is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only sessions that are open.
    pub active: bool,
    /// Only sessions of this account.
    pub user: Option<String>,
    /// Only sessions from this network; an address is a network of one.
    pub network: Option<IpNet>,
    /// Only sessions opened at this time or later.
    pub since: Option<Timestamp>,
    /// Only sessions with an id below this one: where the last page ended.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// An open session and the process that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    pub opening: Opening,
    pub tty: Option<String>,
}

const COLUMNS: &str = "SELECT id, key, host, boot_id, user, uid, peer_address, peer_port, local_address, local_port, \
                       sshd_pid, sshd_start_boot_ns, sshd_exe, tty, opened_us, closed_us, end FROM sessions";

pub(super) fn apply(connection: &Connection, update: &Update) -> rusqlite::Result<()> {
    match update {
        Update::Opened(opening) => open(connection, opening),
        Update::Identified { key, at, user, uid, tty } => {
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET user = coalesce(?2, user), uid = coalesce(?3, uid), tty = coalesce(?4, tty),
                     last_seq = last_seq + 1
                 WHERE key = ?1 AND (coalesce(?2, user) IS NOT user OR coalesce(?3, uid) IS NOT uid
                     OR coalesce(?4, tty) IS NOT tty)
                 RETURNING id, last_seq",
            )?;
            let row = statement.query_row(params![key.0, user, uid, tty], id_and_seq).optional()?;
            record(connection, row, ChangeKind::Identified, *at)
        }
        Update::Closed { key, closed } => {
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET closed_us = ?2, end = ?3, last_seq = last_seq + 1
                 WHERE key = ?1 AND closed_us IS NULL RETURNING id, last_seq",
            )?;
            let values = params![key.0, closed.at.as_microsecond(), closed.end.as_str()];
            let row = statement.query_row(values, id_and_seq).optional()?;
            record(connection, row, ChangeKind::Closed, closed.at)
        }
        Update::EventsLost { at, count } => {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            changes::insert(connection, None, 0, ChangeKind::EventsLost, at.as_microsecond(), Some(count))
        }
    }
}

fn open(connection: &Connection, opening: &Opening) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO sessions (key, host, boot_id, user, uid, peer_address, peer_port, local_address, local_port,
             sshd_pid, sshd_start_boot_ns, sshd_exe, opened_us, last_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 1)
         ON CONFLICT (key) DO NOTHING RETURNING id, last_seq",
    )?;
    let values = params![
        opening.key.0,
        opening.host,
        opening.boot_id,
        opening.user,
        opening.uid,
        opening.peer.map(|peer| address_bytes(peer.ip())),
        opening.peer.map(|peer| peer.port()),
        opening.local.map(|local| address_bytes(local.ip())),
        opening.local.map(|local| local.port()),
        opening.sshd.pid,
        i64::try_from(opening.sshd_start_boot_ns).unwrap_or(i64::MAX),
        opening.sshd.exe,
        opening.at.as_microsecond(),
    ];
    let row = statement.query_row(values, id_and_seq).optional()?;
    record(connection, row, ChangeKind::Opened, opening.at)
}

/// Appends the change for a row that was changed; none was changed when the update said nothing new.
fn record(
    connection: &Connection,
    row: Option<(i64, u32)>,
    kind: ChangeKind,
    at: Timestamp,
) -> rusqlite::Result<()> {
    match row {
        Some((id, seq)) => changes::insert(connection, Some(id), seq, kind, at.as_microsecond(), None),
        None => Ok(()),
    }
}

pub(super) fn select(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Session>> {
    let mut conditions = vec!["TRUE"];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut add = |condition, value: Box<dyn ToSql>| {
        conditions.push(condition);
        values.push(value);
    };
    if let Some(user) = &filter.user {
        add("user = ?", Box::new(user.clone()));
    }
    if let Some(network) = filter.network {
        add("peer_address >= ?", Box::new(address_bytes(network.network())));
        add("peer_address <= ?", Box::new(address_bytes(network.broadcast())));
    }
    if let Some(since) = filter.since {
        add("opened_us >= ?", Box::new(since.as_microsecond()));
    }
    if let Some(before) = filter.before {
        add("id < ?", Box::new(before));
    }
    if filter.active {
        conditions.push("closed_us IS NULL");
    }
    // A negative limit is SQLite's "no limit".
    values.push(Box::new(filter.limit.map_or(-1, i64::from)));
    let query = format!("{COLUMNS} WHERE {} ORDER BY id DESC LIMIT ?", conditions.join(" AND "));
    connection.prepare(&query)?.query_map(params_from_iter(values), decode)?.collect()
}

pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Session> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?.query_row([id], decode)
}

pub(super) fn by_key(connection: &Connection, key: SessionKey) -> rusqlite::Result<Session> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE key = ?1"))?.query_row([key.0], decode)
}

pub(super) fn live(connection: &Connection) -> rusqlite::Result<Vec<LiveSession>> {
    let mut statement = connection.prepare(&format!("{COLUMNS} WHERE closed_us IS NULL ORDER BY id"))?;
    let rows = statement.query_map([], |row| {
        let session = decode(row)?;
        let opening = Opening {
            key: session.key,
            host: session.host,
            boot_id: row.get("boot_id")?,
            user: session.user,
            uid: session.uid,
            peer: session.peer,
            local: session.local,
            sshd: session.sshd,
            sshd_start_boot_ns: row.get::<_, i64>("sshd_start_boot_ns")?.unsigned_abs(),
            at: session.opened_at,
        };
        Ok(LiveSession { opening, tty: session.tty })
    })?;
    rows.collect()
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Session> {
    let closed = match row.get::<_, Option<i64>>("closed_us")? {
        Some(at) => {
            let end: String = row.get("end")?;
            Some(Closed { at: timestamp(at)?, end: End::parse(&end).ok_or_else(|| invalid("end"))? })
        }
        None => None,
    };
    Ok(Session {
        id: row.get("id")?,
        key: SessionKey(row.get::<_, Uuid>("key")?),
        host: row.get("host")?,
        user: row.get("user")?,
        uid: row.get("uid")?,
        peer: endpoint(row, "peer_address", "peer_port")?,
        local: endpoint(row, "local_address", "local_port")?,
        sshd: Sshd { pid: row.get("sshd_pid")?, exe: row.get("sshd_exe")? },
        tty: row.get("tty")?,
        opened_at: timestamp(row.get("opened_us")?)?,
        closed,
    })
}

fn endpoint(row: &Row<'_>, address: &str, port: &str) -> rusqlite::Result<Option<SocketAddr>> {
    let (Some(bytes), Some(port)) =
        (row.get::<_, Option<[u8; 16]>>(address)?, row.get::<_, Option<u16>>(port)?)
    else {
        return Ok(None);
    };
    Ok(Some(SocketAddr::new(Ipv6Addr::from(bytes).to_canonical(), port)))
}

fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn id_and_seq(row: &Row<'_>) -> rusqlite::Result<(i64, u32)> {
    Ok((row.get(0)?, row.get(1)?))
}

pub(super) fn timestamp(microseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(microseconds).map_err(|_| invalid("time"))
}

/// A value that this program never writes.
pub(super) fn invalid(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(0, column.to_owned(), Type::Text)
}
