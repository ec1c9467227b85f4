//! `[enrich]`: where facts about a login are looked up.

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// What is looked up about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrich {
    /// How long a message waits for look-ups before it goes out without them.
    pub deadline: Duration,
    /// Whether the name of an address is asked for, and whether the name has that address.
    pub reverse_dns: bool,
    /// `None`: not configured, never asked; the same for all services.
    pub threat_jammer: Option<ThreatJammer>,
    pub abuseipdb: Option<KeyedService>,
    pub crowdsec: Option<KeyedService>,
    pub greynoise: Option<KeyedService>,
    pub databases: Databases,
    /// In the order of their names.
    pub lists: Vec<List>,
}

impl Default for Enrich {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(3),
            reverse_dns: false,
            threat_jammer: None,
            abuseipdb: None,
            crowdsec: None,
            greynoise: None,
            databases: Databases::default(),
            lists: Vec::new(),
        }
    }
}

/// `[enrich.threat_jammer]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreatJammer {
    /// Without a trailing slash.
    pub base_url: String,
    pub token: Secret,
    /// How long an answer is used again.
    pub cache_ttl: Duration,
    /// Requests allowed per sliding minute; the free plan has 10.
    pub requests_per_minute: u32,
    /// Requests allowed per calendar month (UTC); the free plan has 5,000.
    pub requests_per_month: u32,
}

impl ThreatJammer {
    /// The service's own address.
    pub const DEFAULT_BASE_URL: &'static str = "https://dublin.api.threatjammer.com";
    pub const DEFAULT_CACHE_TTL: Duration = Duration::from_secs(24 * 3600);
    /// What the free plan allows.
    pub const DEFAULT_REQUESTS_PER_MINUTE: u32 = 10;
    /// What the free plan allows.
    pub const DEFAULT_REQUESTS_PER_MONTH: u32 = 5_000;
}

/// A service that takes a key and one request for an address: AbuseIPDB, CrowdSec, GreyNoise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedService {
    /// Without a trailing slash.
    pub base_url: String,
    pub key: Secret,
    /// How long an answer is used again.
    pub cache_ttl: Duration,
    /// Requests allowed in the period that the service counts by: a day, or a week (UTC).
    pub requests: u32,
}

impl KeyedService {
    pub const ABUSEIPDB_URL: &'static str = "https://api.abuseipdb.com";
    pub const CROWDSEC_URL: &'static str = "https://cti.api.crowdsec.net";
    pub const GREYNOISE_URL: &'static str = "https://api.greynoise.io";
    pub const DEFAULT_CACHE_TTL: Duration = Duration::from_secs(24 * 3600);
    /// Checks a day of AbuseIPDB's free plan.
    pub const ABUSEIPDB_REQUESTS: u32 = 1_000;
    /// Requests a day of CrowdSec's community keys.
    pub const CROWDSEC_REQUESTS: u32 = 50;
    /// Look-ups a week of GreyNoise's community keys.
    pub const GREYNOISE_REQUESTS: u32 = 50;
}

/// `[enrich.databases]`: files in MaxMind's format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Databases {
    pub city: Option<PathBuf>,
    pub country: Option<PathBuf>,
    pub asn: Option<PathBuf>,
}

/// `[enrich.lists.NAME]`: addresses and networks that make a login risky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    pub name: String,
    pub path: PathBuf,
    /// What a login from there gets; `None`: what the rule `listed` weighs.
    pub points: Option<u8>,
}
