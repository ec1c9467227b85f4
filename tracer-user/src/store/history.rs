//! What earlier rows say about a login.
//!
//! Each question is answered by a range of an index, and no more rows are read than a fixed number: a million sessions
//! make no difference. What is beyond such a limit is not counted.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::sessions::{address_bytes, address_of, timestamp};
use crate::config::Learning;
use crate::session::{Reason, Tried};

/// So many of the last logins of a user are looked at.
const VISITS: u32 = 200;
/// So many of the last logins from an address are looked at.
const VISITORS: u32 = 100;
/// So many refused connections are looked at.
const ATTEMPTS: u32 = 1_000;

/// How far back refused tries from the address of a login count.
const FAILURES_FROM_ADDRESS: SignedDuration = SignedDuration::from_hours(24);
/// The same for those that wanted to be the user. Shorter: everybody tries to be root, always.
const FAILURES_OF_USER: SignedDuration = SignedDuration::from_hours(1);
/// How long after a login refused tries from its address count.
const FAILURES_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// How long before a login lost events count.
const LOSSES: SignedDuration = SignedDuration::from_mins(10);

/// The login that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Only sessions with a row number below this one count; `i64::MAX` for all.
    pub before: i64,
    pub user: Option<&'a str>,
    pub address: Option<IpAddr>,
    /// Fingerprint of the key.
    pub key: Option<&'a str>,
    pub at: Timestamp,
}

/// One earlier login of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub at: Timestamp,
    pub address: Option<IpAddr>,
}

/// What was recorded before a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Logins of anybody, counted up to [`Learning::MOST_LOGINS`].
    pub host_logins: u16,
    pub host_first_at: Option<Timestamp>,
    /// The same of the user.
    pub user_logins: u16,
    pub user_first_at: Option<Timestamp>,
    /// The last logins of the user, newest first.
    pub visits: Vec<Visit>,
    /// Whether the user came from there before; `None` where that cannot be asked.
    pub address_seen: Option<bool>,
    /// The same for the network of the address: /24, or /48 of IPv6.
    pub network_seen: Option<bool>,
    pub key_seen: Option<bool>,
    /// The last logins from the address, newest first: when, and who.
    pub visitors: Vec<(Timestamp, String)>,
    /// Refused tries before the login, and from its address after it.
    pub failures_from_address: u32,
    pub failures_of_user: u32,
    pub failures_after: u32,
    pub events_lost: u64,
}

pub(super) fn recorded(connection: &Connection, question: &Question<'_>) -> rusqlite::Result<Recorded> {
    let mut recorded = Recorded::default();
    let at = question.at.as_microsecond();
    host(connection, question, &mut recorded)?;
    if let Some(user) = question.user {
        of_user(connection, question, user, &mut recorded)?;
        let since = (question.at - FAILURES_OF_USER).as_microsecond();
        recorded.failures_of_user = failures(
            connection,
            "ended_us BETWEEN ?1 AND ?2 ORDER BY ended_us DESC",
            params![since, at, ATTEMPTS],
            |tried| tried.users.iter().any(|tried| tried.name == user),
        )?;
    }
    if let Some(address) = question.address {
        recorded.visitors = visitors(connection, question, address)?;
        let from_address = "peer_address = ?4 AND ended_us BETWEEN ?1 AND ?2 ORDER BY ended_us DESC";
        let bytes = address_bytes(address);
        let since = (question.at - FAILURES_FROM_ADDRESS).as_microsecond();
        recorded.failures_from_address =
            failures(connection, from_address, params![since, at, ATTEMPTS, bytes], |_| true)?;
        let until = (question.at + FAILURES_AFTER).as_microsecond();
        recorded.failures_after =
            failures(connection, from_address, params![at + 1, until, ATTEMPTS, bytes], |_| true)?;
    }
    let lost: Option<i64> = connection
        .prepare_cached(
            "SELECT sum(count) FROM changes WHERE kind = 'events lost' AND at_us BETWEEN ?1 AND ?2",
        )?
        .query_row([(question.at - LOSSES).as_microsecond(), at], |row| row.get(0))?;
    recorded.events_lost = lost.unwrap_or(0).unsigned_abs();
    Ok(recorded)
}

fn host(connection: &Connection, question: &Question<'_>, recorded: &mut Recorded) -> rusqlite::Result<()> {
    recorded.host_logins = connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM sessions WHERE id < ?1 LIMIT ?2)")?
        .query_row(params![question.before, Learning::MOST_LOGINS], |row| row.get(0))?;
    let first: Option<i64> = connection
        .prepare_cached("SELECT opened_us FROM sessions WHERE id < ?1 ORDER BY id LIMIT 1")?
        .query_row([question.before], |row| row.get(0))
        .optional()?;
    recorded.host_first_at = first.map(timestamp).transpose()?;
    Ok(())
}

fn of_user(
    connection: &Connection,
    question: &Question<'_>,
    user: &str,
    recorded: &mut Recorded,
) -> rusqlite::Result<()> {
    let before = question.before;
    recorded.user_logins = connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM sessions WHERE user = ?1 AND id < ?2 LIMIT ?3)")?
        .query_row(params![user, before, Learning::MOST_LOGINS], |row| row.get(0))?;
    let first: Option<i64> = connection
        .prepare_cached("SELECT opened_us FROM sessions WHERE user = ?1 AND id < ?2 ORDER BY id LIMIT 1")?
        .query_row(params![user, before], |row| row.get(0))
        .optional()?;
    recorded.user_first_at = first.map(timestamp).transpose()?;
    let mut visits = connection.prepare_cached(
        "SELECT opened_us, peer_address FROM sessions WHERE user = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    recorded.visits = visits
        .query_map(params![user, before, VISITS], |row| {
            let address: Option<[u8; 16]> = row.get(1)?;
            Ok(Visit { at: timestamp(row.get(0)?)?, address: address.map(address_of) })
        })?
        .collect::<rusqlite::Result<_>>()?;
    if let Some(address) = question.address {
        // SQLite uses no index for what has a plus before it: the address narrows more than the row number.
        let mut seen = connection.prepare_cached(
            "SELECT 1 FROM sessions WHERE user = ?1 AND peer_address BETWEEN ?2 AND ?3 AND +id < ?4 LIMIT 1",
        )?;
        let bytes = address_bytes(address);
        recorded.address_seen = Some(seen.exists(params![user, bytes, bytes, before])?);
        let (first, last) = network_of(address);
        recorded.network_seen = Some(seen.exists(params![user, first, last, before])?);
    }
    if let Some(key) = question.key {
        let mut seen = connection.prepare_cached(
            "SELECT 1 FROM sessions WHERE user = ?1 AND json_extract(auth, '$.key.fingerprint') = ?2 AND id < ?3
             LIMIT 1",
        )?;
        recorded.key_seen = Some(seen.exists(params![user, key, before])?);
    }
    Ok(())
}

fn visitors(
    connection: &Connection,
    question: &Question<'_>,
    address: IpAddr,
) -> rusqlite::Result<Vec<(Timestamp, String)>> {
    let mut visitors = connection.prepare_cached(
        "SELECT opened_us, user FROM sessions WHERE peer_address = ?1 AND id < ?2 AND user IS NOT NULL
         ORDER BY id DESC LIMIT ?3",
    )?;
    let visitors = visitors.query_map(params![address_bytes(address), question.before, VISITORS], |row| {
        Ok((timestamp(row.get(0)?)?, row.get(1)?))
    })?;
    visitors.collect()
}

/// How many credentials were refused on the connections that match.
fn failures(
    connection: &Connection,
    condition: &str,
    values: impl rusqlite::Params,
    is_meant: impl Fn(&Tried) -> bool,
) -> rusqlite::Result<u32> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT tried, reason FROM attempts WHERE {condition} LIMIT ?3"))?;
    let mut rows = statement.query(values)?;
    let mut count: u32 = 0;
    while let Some(row) = rows.next()? {
        let reason: String = row.get(1)?;
        if !Reason::parse(&reason).is_some_and(is_failure) {
            continue;
        }
        let tried: String = row.get(0)?;
        let tried: Tried = serde_json::from_str(&tried).unwrap_or_default();
        if is_meant(&tried) {
            // A connection that was refused tried once at least, whatever the log says of it.
            count = count.saturating_add(tried.failures.max(1));
        }
    }
    Ok(count)
}

/// Whether somebody tried to get in. Scanners that only look, and broken connections, did not.
fn is_failure(reason: Reason) -> bool {
    match reason {
        Reason::WrongPassword
        | Reason::WrongKey
        | Reason::Refused
        | Reason::UnknownUser
        | Reason::NotAllowed
        | Reason::TooMany => true,
        Reason::TimedOut
        | Reason::NoAuthentication
        | Reason::ProtocolError
        | Reason::DroppedMaxStartups
        | Reason::DroppedPenalty
        | Reason::Other => false,
    }
}

/// First and last address of the network: what one subscriber or one office usually has.
fn network_of(address: IpAddr) -> ([u8; 16], [u8; 16]) {
    let fixed = if address.is_ipv4() { 15 } else { 6 };
    let (mut first, mut last) = (address_bytes(address), address_bytes(address));
    first[fixed..].fill(0);
    last[fixed..].fill(0xff);
    (first, last)
}

/// The sessions from an address that were not over at a time, newest first; of the last `limit` from there.
pub(super) fn open_from(
    connection: &Connection,
    address: IpAddr,
    at: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM (SELECT id, closed_us FROM sessions WHERE peer_address = ?1 ORDER BY id DESC LIMIT ?2)
         WHERE closed_us IS NULL OR closed_us >= ?3 ORDER BY id DESC",
    )?;
    let values = params![address_bytes(address), limit, at.as_microsecond()];
    statement.query_map(values, |row| row.get(0))?.collect()
}

/// The address of the attempt that a change tells of, if it was kept and somebody tried to get in.
pub(super) fn failed_from(connection: &Connection, change: i64) -> rusqlite::Result<Option<IpAddr>> {
    let mut statement =
        connection.prepare_cached("SELECT peer_address, reason FROM attempts WHERE change_id = ?1")?;
    let found: Option<([u8; 16], String)> =
        statement.query_row([change], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found
        .filter(|(_, reason)| Reason::parse(reason).is_some_and(is_failure))
        .map(|(address, _)| address_of(address)))
}
