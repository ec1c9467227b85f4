//! What can be learned about the address that a session came from.
//!
//! Promises:
//! - A look-up never holds a message longer than the configured deadline. What is not there by then is a stated
//!   [`Fact::Unknown`]; an answer that comes later is kept for the next time.
//! - Whatever a service answers, or does not, ends as a value: nothing in here panics or returns an error.
//! - Only public addresses leave this machine, and never more often than the quotas allow.

pub mod address;
pub mod quota;
pub mod retry_after;
pub mod threat_jammer;

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::address::Scope;
use self::quota::{Limits, Refusal};
use self::threat_jammer::ThreatJammer;

/// One thing that is known about a session, or why it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    Known(T),
    Unknown { why: Why },
}

impl<T> Fact<T> {
    pub const fn unknown(why: Why) -> Self {
        Self::Unknown { why }
    }

    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }
}

/// Why something is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No service is configured.
    NotConfigured,
    /// The session has no peer address.
    NoAddress,
    /// The user was on this host already.
    Local,
    /// The address means nothing outside of its own network.
    NotPublic(Scope),
    /// The service had not answered when the message had to go.
    Deadline,
    /// The service could not be reached, or the connection broke.
    Unreachable,
    /// Our own limit of requests.
    Quota(Refusal),
    /// The service says that its limit of requests is reached.
    Throttled,
    /// The service does not accept the token.
    Denied,
    /// The service answered with this HTTP status.
    Status(u16),
    /// The answer is not what the service documents.
    Garbled,
    /// The service has no data on it.
    NoData,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no look-up is configured"),
            Self::NoAddress => f.write_str("the session has no address"),
            Self::Local => f.write_str("on this host itself, no address to judge by"),
            Self::NotPublic(scope) => write!(f, "{scope}, not looked up"),
            Self::Deadline => f.write_str("the look-up did not answer in time"),
            Self::Unreachable => f.write_str("the look-up could not be reached"),
            Self::Quota(refusal) => write!(f, "not looked up: {refusal}"),
            Self::Throttled => f.write_str("the look-up's limit of requests is reached"),
            Self::Denied => f.write_str("the look-up refuses the token"),
            Self::Status(status) => write!(f, "the look-up answered with status {status}"),
            Self::Garbled => f.write_str("the look-up's answer is not understood"),
            Self::NoData => f.write_str("the look-up has no data on it"),
        }
    }
}

/// What is known about one session. Texts in it come from services and, through them, from strangers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub reputation: Fact<Reputation>,
    pub network: Fact<Network>,
    pub place: Fact<Place>,
}

impl Facts {
    /// Nothing is known, for one and the same reason.
    pub const fn unknown(why: Why) -> Self {
        Self { reputation: Fact::unknown(why), network: Fact::unknown(why), place: Fact::unknown(why) }
    }
}

/// What a reputation service thinks of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reputation {
    /// 0 (nothing known against it) to 100.
    pub score: u8,
    /// The service's reason, if it gave one.
    pub reason: Option<String>,
    /// Number of the autonomous system that announces the address.
    pub asn: Option<u32>,
}

/// The autonomous system of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub asn: u32,
    pub name: Option<String>,
    pub description: Option<String>,
}

/// Where an address is thought to be. At least one of the three is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub city: Option<String>,
    pub region: Option<String>,
    /// ISO 3166-1, two letters.
    pub country_code: Option<String>,
}

/// What must be remembered between look-ups, and between runs. A ledger that fails says so in the log itself.
pub trait Ledger {
    /// An answer that has not expired.
    fn answer(&self, source: &str, subject: &str, now: Timestamp) -> Option<String>;
    /// Keeps an answer.
    fn remember(&self, source: &str, subject: &str, answer: &str, expires: Timestamp);
    /// Writes down one more request, if the limits allow it. Where it cannot be written down, it is not allowed.
    fn spend(&self, source: &str, limits: Limits, now: Timestamp) -> Result<(), Refusal>;
}

/// Finds the facts of an address.
pub struct Enricher {
    deadline: Duration,
    threat_jammer: Option<Rc<ThreatJammer>>,
}

impl Enricher {
    /// Without a service every public address stays unknown.
    pub fn new(deadline: Duration, threat_jammer: Option<ThreatJammer>) -> Self {
        Self { deadline, threat_jammer: threat_jammer.map(Rc::new) }
    }

    /// The facts of an address as far as they need nobody to be asked; `None` where somebody must be.
    pub fn at_hand(&self, address: Option<IpAddr>, now: Timestamp) -> Option<Facts> {
        let Some(address) = address else { return Some(Facts::unknown(Why::NoAddress)) };
        let scope = Scope::of(address);
        if scope != Scope::Public {
            return Some(Facts::unknown(Why::NotPublic(scope)));
        }
        match &self.threat_jammer {
            None => Some(Facts::unknown(Why::NotConfigured)),
            Some(threat_jammer) => threat_jammer.at_hand(address.to_canonical(), now),
        }
    }

    /// The facts of a public address, asked for, within the deadline. Needs a `LocalSet` around it: what is late goes
    /// on in its own task.
    pub async fn ask(&self, address: IpAddr) -> Facts {
        let Some(threat_jammer) = self.threat_jammer.clone() else {
            return Facts::unknown(Why::NotConfigured);
        };
        let facts = Rc::new(RefCell::new(Facts::unknown(Why::Deadline)));
        let found = Rc::clone(&facts);
        let asking = tokio::task::spawn_local(async move {
            threat_jammer.ask(address.to_canonical(), &found).await;
        });
        match tokio::time::timeout(self.deadline, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a look-up broke off"),
            Err(_) => tracing::info!(%address, "look-ups did not answer within the deadline"),
        }
        facts.borrow().clone()
    }
}
