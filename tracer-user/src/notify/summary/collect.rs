//! Reads what happened within a time, from both databases. It may take a second: it is for a thread of its own.
//!
//! What is only named by strangers is counted under names that are made harmless; what does not fit is counted as others.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Bar, Levels, Messages, Risky, Summary, schedule};
use crate::assess::{Assessment, Level};
use crate::notify::message::{Counts, Subject, user_of};
use crate::notify::outbox;
use crate::notify::storm::Tally;
use crate::session::Session;
use crate::store::{AttemptFilter, Happened, Reader, StoreError};

/// How many users and addresses are named.
const NAMED: usize = 5;
/// How many logins are named that somebody should look at.
const RISKIEST: usize = 5;

/// What happened from `from` on and before `until` on the host of this name.
///
/// # Errors
/// A database cannot be read. One that is missing is empty: nothing ran yet.
pub fn collect(
    state_dir: &Path,
    host: &str,
    from: Timestamp,
    until: Timestamp,
    zone: &TimeZone,
) -> Result<Summary, StoreError> {
    let (reader, ratings) =
        (missing_is_none(Reader::open(state_dir))?, missing_is_none(outbox::Reader::open(state_dir))?);
    let mut logins = Logins::new(from, until, zone);
    let (mut tally, mut happened) = (Tally::default(), Happened::default());
    if let Some(reader) = &reader {
        let mut failed = None;
        reader.for_each_session(from, until, |session| {
            let rated = ratings.as_ref().map(|ratings| ratings.assessment(session.key)).transpose();
            match rated {
                Ok(rated) => logins.add(&session, rated.flatten()),
                Err(error) => failed = Some(error),
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let filter = AttemptFilter { since: Some(from), until: Some(until), ..AttemptFilter::default() };
        reader.for_each_attempt(&filter, |attempt| tally.add(&attempt))?;
        happened = reader.happened(from, until)?;
    }
    let messages = ratings.map_or(Ok(Messages::default()), |outbox| outbox.fates(from, until))?;
    Ok(Summary {
        host: host.to_owned(),
        from,
        until,
        logins: logins.levels,
        users: logins.users.ranking(NAMED),
        addresses: logins.addresses.ranking(NAMED),
        riskiest: logins.riskiest,
        open: happened.open,
        gained: happened.gained,
        findings: happened.findings,
        events_lost: happened.events_lost,
        attempts: tally.storm(),
        messages,
        bars: logins.bars,
    })
}

fn missing_is_none<T>(opened: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Logins on their way into a summary.
struct Logins {
    levels: Levels,
    users: Counts,
    addresses: Counts,
    riskiest: Vec<Risky>,
    bars: Vec<Bar>,
}

impl Logins {
    fn new(from: Timestamp, until: Timestamp, zone: &TimeZone) -> Self {
        let bars = schedule::bars(from, until, zone);
        let bar = |(from, label)| Bar { from, label, logins: Levels::default() };
        Self {
            levels: Levels::default(),
            users: Counts::default(),
            addresses: Counts::default(),
            riskiest: Vec::new(),
            bars: bars.into_iter().map(bar).collect(),
        }
    }

    fn add(&mut self, session: &Session, assessment: Option<Assessment>) {
        let subject = Subject::of(session);
        let (level, score) =
            assessment.map_or((Level::Unknown, None), |assessment| (assessment.level, assessment.score));
        let (user, address) =
            (user_of(&subject), session.peer.map(|peer| peer.ip().to_canonical().to_string()));
        self.levels.add(level);
        self.users.add(&user);
        address.iter().for_each(|address| self.addresses.add(address));
        let bar = self.bars.partition_point(|bar| bar.from <= session.opened_at).checked_sub(1);
        if let Some(bar) = bar.and_then(|bar| self.bars.get_mut(bar)) {
            bar.logins.add(level);
        }
        if level != Level::Low {
            let at = session.opened_at;
            self.riskiest.push(Risky { user, address, at, level, score });
            // Stable: of those that are as risky as each other, the first stay.
            self.riskiest.sort_by_key(|risky| std::cmp::Reverse(badness(risky)));
            self.riskiest.truncate(RISKIEST);
        }
    }
}

fn badness(risky: &Risky) -> (u8, u8) {
    let level = match risky.level {
        Level::Low => 0,
        Level::Unknown => 1,
        Level::Medium => 2,
        Level::High => 3,
    };
    (level, risky.score.unwrap_or(0))
}
