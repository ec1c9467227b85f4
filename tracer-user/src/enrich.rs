//! What can be learned about the address that a session came from.
//!
//! Promises:
//! - A look-up never holds a message longer than the configured deadline. What is not there by then is a stated
//!   [`Fact::Unknown`]; an answer that comes later is kept for the next time.
//! - Whatever a service answers, or does not, ends as a value: nothing in here panics or returns an error.
//! - Only public addresses leave this machine, and never more often than the quotas allow.

pub mod account; // what this host says of a user
pub mod address; // which addresses mean something to others
pub mod history; // what earlier sessions say; pure
pub mod place;

mod enricher; // all sources of an address, within the deadline
pub mod local; // files that are read again when they change
pub mod remote; // what all services over HTTP have in common

pub mod keyed; // what those have in common that take a key and one request

pub mod abuseipdb;
pub mod crowdsec;
pub mod greynoise;
pub mod reverse_dns;
pub mod threat_jammer;

pub mod quota;
pub mod retry_after;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::account::Account;
use self::address::Scope;
pub use self::enricher::{Enricher, Found, Late, Source, renewed};
use self::history::History;
use self::quota::{Limits, Refusal};
use self::reverse_dns::ReverseName;

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
    /// Nobody asked.
    NotAsked,
    /// A file or database of this host cannot be read.
    Unreadable,
    /// This host does not know the account: its users come from somewhere else.
    NoAccount,
    /// The sshd runs in a container, with accounts of its own.
    InContainer,
}

impl Why {
    /// Whether somebody who was asked could not answer. Such a login is never green.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Deadline
            | Self::Unreachable
            | Self::Quota(_)
            | Self::Throttled
            | Self::Denied
            | Self::Status(_)
            | Self::Garbled
            | Self::Unreadable => true,
            Self::NotConfigured
            | Self::NoAddress
            | Self::Local
            | Self::NotPublic(_)
            | Self::NoData
            | Self::NotAsked
            | Self::NoAccount
            | Self::InContainer => false,
        }
    }
}

/// What is known about one session. Texts in it come from services and, through them, from strangers.
///
/// It is stored as JSON: what an earlier version did not know of is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The worst that a reputation service says.
    pub reputation: Fact<Reputation>,
    pub network: Fact<Network>,
    pub place: Fact<Place>,
    /// What each reputation service says.
    #[serde(default)]
    pub opinions: Vec<Opinion>,
    /// The owner's lists that name the address.
    #[serde(default)]
    pub listings: Vec<Listing>,
    /// Files of the owner's that could not be asked, by their names here: `list drop`, `city database`.
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// Which contents of the owner's files were asked, see [`local::Local::edition`]; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    #[serde(default = "not_asked")]
    pub reverse_name: Fact<ReverseName>,
    #[serde(default = "not_asked")]
    pub account: Fact<Account>,
    #[serde(default = "not_asked")]
    pub history: Fact<History>,
}

const fn not_asked<T>() -> Fact<T> {
    Fact::unknown(Why::NotAsked)
}

impl Facts {
    /// Nothing is known of the address, for one and the same reason; nothing else was asked.
    pub const fn unknown(why: Why) -> Self {
        Self {
            reputation: Fact::unknown(why),
            network: Fact::unknown(why),
            place: Fact::unknown(why),
            opinions: Vec::new(),
            listings: Vec::new(),
            unreadable: Vec::new(),
            edition: None,
            reverse_name: not_asked(),
            account: not_asked(),
            history: not_asked(),
        }
    }

    /// Whether somebody who was asked about the address had not answered when these were needed.
    pub fn are_incomplete(&self) -> bool {
        fn is_late<T>(fact: &Fact<T>) -> bool {
            matches!(fact, Fact::Unknown { why: Why::Deadline })
        }
        is_late(&self.network)
            || is_late(&self.place)
            || is_late(&self.reverse_name)
            || self.opinions.iter().any(|opinion| is_late(&opinion.answer))
    }
}

/// What one reputation service says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// Name of the service, for people.
    pub source: String,
    pub answer: Fact<Reputation>,
}

/// A list that names an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Name of the list, as the owner gave it.
    pub list: String,
    /// The entry: the smallest network that holds the address.
    pub entry: String,
    /// What this list gives instead of the usual points.
    pub points: Option<u8>,
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
