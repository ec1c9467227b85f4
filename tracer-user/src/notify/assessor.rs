//! Rates sessions: puts together what was found of the address, what this host says of the account, and what was
//! recorded before.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::outbox::Rating;
use crate::assess::{Login, assess};
use crate::config::Risk;
use crate::enrich::account::{Account, Accounts};
use crate::enrich::history::{Atlas, History, Now};
use crate::enrich::{Enricher, Fact, Facts, Why};
use crate::session::{AccountState, Session, SessionKey};
use crate::store::{Question, Reader, StoreError};

/// Rates sessions of one state directory.
pub struct Assessor {
    state_dir: PathBuf,
    enricher: Rc<Enricher>,
    accounts: Accounts,
    risk: Risk,
    zone: TimeZone,
    /// For those who have no reader of their own.
    reader: RefCell<Option<Reader>>,
}

impl Assessor {
    /// With this host's accounts and time zone.
    pub fn new(state_dir: PathBuf, enricher: Rc<Enricher>, risk: Risk) -> Self {
        let zone = TimeZone::system();
        Self { state_dir, enricher, accounts: Accounts::default(), risk, zone, reader: RefCell::new(None) }
    }

    /// With another time zone than this host's.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self { zone, ..self }
    }

    pub fn enricher(&self) -> &Rc<Enricher> {
        &self.enricher
    }

    pub fn risk(&self) -> &Risk {
        &self.risk
    }

    /// The rating of a session, if nobody needs to be asked for it.
    pub fn at_hand(&self, reader: &Reader, session: &Session, now: Timestamp) -> Option<Rating> {
        if session.service.is_local() {
            return Some(self.rate(reader, session, Facts::unknown(Why::Local)));
        }
        let address = session.peer.as_ref().map(SocketAddr::ip);
        self.enricher.at_hand(address, now).map(|facts| self.rate(reader, session, facts))
    }

    /// The rating of a session with what was found of its address. Whatever fails on the way is a fact.
    pub fn rate(&self, reader: &Reader, session: &Session, facts: Facts) -> Rating {
        let changes = reader.changes_of(session.id).unwrap_or_default();
        let login = Login::of(session, &changes);
        let history = self.history(reader, session.id, &login);
        let account = match &session.container {
            Some(_) => Fact::unknown(Why::InContainer),
            None => with_state(
                self.accounts.find(session.user.as_deref(), session.uid, session.opened_at),
                session.account,
            ),
        };
        let facts = Facts { history, account, ..facts };
        (assess(&login, &facts, &self.risk), facts)
    }

    /// The same for a session that is known by its key. One that is not in the store (any more) is rated by its address.
    pub fn rate_key(&self, key: SessionKey, at: Timestamp, address: Option<IpAddr>, facts: Facts) -> Rating {
        let found = self.with_reader(|reader| {
            let session = reader.session_by_key(key)?;
            Ok(session.map(|session| self.rate(reader, &session, facts.clone())))
        });
        match found {
            Ok(Some(rating)) => rating,
            missing => {
                if let Err(error) = missing {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the history cannot be read");
                }
                let facts = Facts { history: Fact::unknown(Why::Unreadable), ..facts };
                let login = Login { address, ..Login::of_nobody(at) };
                (assess(&login, &facts, &self.risk), facts)
            }
        }
    }

    /// The past of a login; only rows below `before` count.
    pub fn history(&self, reader: &Reader, before: i64, login: &Login) -> Fact<History> {
        let question = Question {
            before,
            user: login.user.as_deref(),
            address: login.address,
            key: login.auth.as_ref().and_then(|auth| Some(auth.key.as_ref()?.fingerprint.as_str())),
            at: login.at,
        };
        match reader.recorded_before(&question) {
            Ok(recorded) => {
                let now = Now { user: login.user.as_deref(), address: login.address, at: login.at };
                let atlas: &dyn Atlas = self.enricher.local();
                Fact::Known(History::of(&recorded, now, atlas, &self.zone))
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the history cannot be read");
                Fact::unknown(Why::Unreadable)
            }
        }
    }

    /// What this host says of an account.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Lends an open store; it is opened where it is not, or was replaced.
    pub(super) fn with_reader<T>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot = self.reader.borrow_mut();
        if slot.as_ref().is_some_and(Reader::is_replaced) {
            *slot = None;
        }
        let reader = match &mut *slot {
            Some(reader) => reader,
            None => slot.insert(Reader::open(&self.state_dir)?),
        };
        read(reader)
    }
}

/// What the trace role found of an account when the session opened comes before what can be read now.
fn with_state(account: Fact<Account>, state: Option<AccountState>) -> Fact<Account> {
    match (account, state) {
        (Fact::Known(account), Some(state)) => Fact::Known(Account { state: Fact::Known(state), ..account }),
        (account, _) => account,
    }
}
