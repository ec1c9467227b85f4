//! Rows of `sessions`, and what each update does to them.
//!
//! Updates are idempotent: opening a known session or closing a closed one changes nothing, so a batch that is
//! written again after a crash leaves no second change.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::types::{ToSql, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{attempts, changes, escalations, foreign};
use crate::session::{
    AccountState, ChangeKind, Closed, Container, End, Identity, Opening, Service, Session, SessionKey, Sshd,
    Update,
};

/// Which sessions to list. `Filter::default()` is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only sessions that are open.
    pub active: bool,
    /// Only sessions through this door.
    pub service: Option<Service>,
    /// Only sessions of this account.
    pub user: Option<String>,
    /// Only sessions from this network; an address is a network of one.
    pub network: Option<IpNet>,
    /// Only sessions opened at this time or later.
    pub since: Option<Timestamp>,
    /// Only these sessions; at most [`FEW`].
    pub keys: Option<Vec<SessionKey>>,
    /// Only sessions with an id below this one: where the last page ended.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: Option<u32>,
}

const COLUMNS: &str = "SELECT id, key, host, boot_id, user, uid, peer_address, peer_port, local_address, local_port, \
                       sshd_pid, sshd_start_boot_ns, sshd_exe, tty, auth, first_command, opened_us, recovered, \
                       closed_us, end, escalated_to, pid_namespace, cgroup, service, by_uid, by_user, account FROM sessions";

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
        Update::Authenticated { key, at, user, auth } => {
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET user = coalesce(user, ?2), auth = ?3, last_seq = last_seq + 1
                 WHERE key = ?1 AND auth IS NULL RETURNING id, last_seq",
            )?;
            let row = statement.query_row(params![key.0, user, json(auth)?], id_and_seq).optional()?;
            record(connection, row, ChangeKind::Identified, *at)
        }
        Update::Began { key, at, first } => {
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET first_command = ?2, last_seq = last_seq + 1
                 WHERE key = ?1 AND first_command IS NULL RETURNING id, last_seq",
            )?;
            let row = statement.query_row(params![key.0, json(first)?], id_and_seq).optional()?;
            record(connection, row, ChangeKind::Identified, *at)
        }
        Update::Account { key, at, account } => {
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET account = ?2, last_seq = last_seq + 1
                 WHERE key = ?1 AND account IS NULL RETURNING id, last_seq",
            )?;
            let row = statement.query_row(params![key.0, account.as_str()], id_and_seq).optional()?;
            record(connection, row, ChangeKind::Identified, *at)
        }
        Update::Attempt(attempt) => attempts::insert(connection, attempt),
        Update::Closed { key, closed } => {
            let mut statement = connection.prepare_cached(
                "UPDATE sessions SET closed_us = ?2, end = ?3, last_seq = last_seq + 1
                 WHERE key = ?1 AND closed_us IS NULL RETURNING id, last_seq",
            )?;
            let values = params![key.0, closed.at.as_microsecond(), closed.end.as_str()];
            let row = statement.query_row(values, id_and_seq).optional()?;
            record(connection, row, ChangeKind::Closed, closed.at)
        }
        Update::Escalated { key, at, boot_ns, escalation, count } => {
            escalations::record(connection, *key, *at, *boot_ns, escalation, *count)
        }
        Update::ForeignSshd { key, at, foreign } => foreign::record(connection, *key, *at, foreign),
        Update::EventsLost { at, count, counter } => {
            if !changes::count_loss(connection, counter)? {
                return Ok(());
            }
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            changes::insert(connection, None, 0, ChangeKind::EventsLost, at.as_microsecond(), Some(count))
        }
    }
}

fn open(connection: &Connection, opening: &Opening) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO sessions (key, host, boot_id, user, uid, peer_address, peer_port, local_address, local_port,
             sshd_pid, sshd_start_boot_ns, sshd_exe, opened_us, tty, recovered, auth, pid_namespace,
             cgroup, service, by_uid, by_user, account, last_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
             ?22, 1)
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
        opening.tty,
        opening.recovered,
        opening.auth.as_ref().map(json).transpose()?,
        opening.container.as_ref().map(|container| container.pid_namespace.cast_signed()),
        opening.container.as_ref().and_then(|container| container.cgroup.as_deref()),
        opening.service.as_str(),
        opening.by.as_ref().map(|by| by.uid),
        opening.by.as_ref().and_then(|by| by.user.as_deref()),
        opening.account.map(AccountState::as_str),
    ];
    let row = statement.query_row(values, id_and_seq).optional()?;
    let kind = if opening.recovered { ChangeKind::Recovered } else { ChangeKind::Opened };
    record(connection, row, kind, opening.at)
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
    let conditions = conditions(filter);
    let mut narrow = None;
    for (position, condition) in conditions.iter().enumerate().filter(|(_, condition)| condition.is_range) {
        if condition.matches_few(connection)? {
            narrow = Some(position);
            break;
        }
    }
    // SQLite uses no index for what has a plus before it.
    let plus = |position: usize| match narrow {
        Some(narrow) => position != narrow,
        None => conditions[position].is_range,
    };
    let mut query = format!("{COLUMNS} WHERE TRUE");
    for (position, condition) in conditions.iter().enumerate() {
        let plus = if plus(position) { "+" } else { "" };
        query += &format!(" AND {plus}{} {}", condition.column, condition.test);
    }
    query += if narrow.is_some() { " ORDER BY +id DESC" } else { " ORDER BY id DESC" };
    query += " LIMIT ?";
    // A negative limit is SQLite's "no limit".
    let limit: Box<dyn ToSql> = Box::new(filter.limit.map_or(-1, i64::from));
    let values = conditions.iter().flat_map(|condition| &condition.values).chain(std::iter::once(&limit));
    connection.prepare_cached(&query)?.query_map(params_from_iter(values), decode)?.collect()
}

/// Hands every session that began within a time to `each`, oldest first.
pub(super) fn for_each_opened(
    connection: &Connection,
    from: Timestamp,
    until: Timestamp,
    mut each: impl FnMut(Session),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE opened_us >= ?1 AND opened_us < ?2 ORDER BY opened_us, id"
    ))?;
    let mut rows = statement.query([from.as_microsecond(), until.as_microsecond()])?;
    while let Some(row) = rows.next()? {
        each(decode(row)?);
    }
    Ok(())
}

/// Up to so many rows of a range of an index are fetched and sorted. Where more match, a page is found sooner by
/// walking from the newest session.
pub const FEW: u32 = 2_000;

/// What a column must be.
struct Condition {
    column: &'static str,
    test: Cow<'static, str>,
    values: Vec<Box<dyn ToSql>>,
    /// Whether rows that match lie together in an index, but not in the order of the list.
    is_range: bool,
}

impl Condition {
    fn matches_few(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let Self { column, test, values, .. } = self;
        let query =
            format!("SELECT count(*) FROM (SELECT 1 FROM sessions WHERE {column} {test} LIMIT {})", FEW + 1);
        let count: u32 =
            connection.prepare_cached(&query)?.query_row(params_from_iter(values), |row| row.get(0))?;
        Ok(count <= FEW)
    }
}

fn conditions(filter: &Filter) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut add = |column, test: &'static str, values, is_range| {
        conditions.push(Condition { column, test: test.into(), values, is_range });
    };
    if let Some(service) = filter.service {
        add("service", "= ?", vec![Box::new(service.as_str()) as Box<dyn ToSql>], false);
        if service != Service::Ssh {
            // What the index of the others is told by.
            add("service", "<> 'ssh'", Vec::new(), false);
        }
    }
    if let Some(user) = &filter.user {
        add("user", "= ?", vec![Box::new(user.clone()) as Box<dyn ToSql>], false);
    }
    if let Some(network) = filter.network {
        let (first, last) = (address_bytes(network.network()), address_bytes(network.broadcast()));
        if first == last {
            add("peer_address", "= ?", vec![Box::new(first)], false);
        } else {
            add("peer_address", "BETWEEN ? AND ?", vec![Box::new(first), Box::new(last)], true);
        }
    }
    if let Some(since) = filter.since {
        add("opened_us", ">= ?", vec![Box::new(since.as_microsecond())], true);
    }
    if let Some(before) = filter.before {
        add("id", "< ?", vec![Box::new(before)], false);
    }
    if filter.active {
        add("closed_us", "IS NULL", Vec::new(), false);
    }
    if let Some(keys) = &filter.keys {
        let test = format!("IN ({})", vec!["?"; keys.len()].join(", ")).into();
        let values = keys.iter().map(|key| Box::new(key.0) as Box<dyn ToSql>).collect();
        // They may be fewer than what another range leaves: asked first.
        conditions.insert(0, Condition { column: "key", test, values, is_range: true });
    }
    conditions
}

pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Session> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?.query_row([id], decode)
}

pub(super) fn by_key(connection: &Connection, key: SessionKey) -> rusqlite::Result<Session> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE key = ?1"))?.query_row([key.0], decode)
}

pub(super) fn live(connection: &Connection) -> rusqlite::Result<Vec<Opening>> {
    let mut statement = connection.prepare(&format!("{COLUMNS} WHERE closed_us IS NULL ORDER BY id"))?;
    let rows = statement.query_map([], |row| {
        let session = decode(row)?;
        let opening = Opening {
            key: session.key,
            host: session.host,
            service: session.service,
            by: session.by,
            boot_id: row.get("boot_id")?,
            user: session.user,
            uid: session.uid,
            peer: session.peer,
            local: session.local,
            auth: session.auth,
            tty: session.tty,
            sshd: session.sshd,
            sshd_start_boot_ns: row.get::<_, i64>("sshd_start_boot_ns")?.unsigned_abs(),
            at: session.opened_at,
            recovered: session.recovered,
            container: session.container,
            account: session.account,
        };
        Ok(opening)
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
        service: service(row)?,
        by: by(row)?,
        user: row.get("user")?,
        uid: row.get("uid")?,
        peer: endpoint(row, "peer_address", "peer_port")?,
        local: endpoint(row, "local_address", "local_port")?,
        auth: from_json(row, "auth")?,
        sshd: Sshd { pid: row.get("sshd_pid")?, exe: row.get("sshd_exe")? },
        tty: row.get("tty")?,
        first_command: from_json(row, "first_command")?,
        opened_at: timestamp(row.get("opened_us")?)?,
        recovered: row.get("recovered")?,
        closed,
        escalated_to: row.get("escalated_to")?,
        container: container(row)?,
        account: account(row)?,
    })
}

fn container(row: &Row<'_>) -> rusqlite::Result<Option<Container>> {
    let number: Option<i64> = row.get("pid_namespace")?;
    let Some(number) = number else { return Ok(None) };
    Ok(Some(Container { pid_namespace: number.cast_unsigned(), cgroup: row.get("cgroup")? }))
}

/// A word of a newer version is none.
fn account(row: &Row<'_>) -> rusqlite::Result<Option<AccountState>> {
    let word: Option<String> = row.get("account")?;
    Ok(word.as_deref().and_then(AccountState::parse))
}

fn service(row: &Row<'_>) -> rusqlite::Result<Service> {
    let word: String = row.get("service")?;
    Service::parse(&word).ok_or_else(|| invalid("service"))
}

fn by(row: &Row<'_>) -> rusqlite::Result<Option<Identity>> {
    let uid: Option<u32> = row.get("by_uid")?;
    let Some(uid) = uid else { return Ok(None) };
    Ok(Some(Identity { uid, user: row.get("by_user")? }))
}

/// A value that is stored as JSON.
fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| invalid(column))).transpose()
}

pub(super) fn endpoint(row: &Row<'_>, address: &str, port: &str) -> rusqlite::Result<Option<SocketAddr>> {
    let (Some(bytes), Some(port)) =
        (row.get::<_, Option<[u8; 16]>>(address)?, row.get::<_, Option<u16>>(port)?)
    else {
        return Ok(None);
    };
    Ok(Some(SocketAddr::new(address_of(bytes), port)))
}

pub(super) fn address_of(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

pub(super) fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

pub(super) fn id_and_seq(row: &Row<'_>) -> rusqlite::Result<(i64, u32)> {
    Ok((row.get(0)?, row.get(1)?))
}

pub(super) fn timestamp(microseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(microseconds).map_err(|_| invalid("time"))
}

/// A value that this program never writes.
pub(super) fn invalid(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(0, column.to_owned(), Type::Text)
}
