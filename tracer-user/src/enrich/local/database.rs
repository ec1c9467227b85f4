//! A database in MaxMind's format: City, Country or ASN, of GeoLite2, DB-IP or one's own.
//!
//! It is read into memory as a whole: a file that is mapped instead can be cut short under the reader, which ends the
//! process. Records that cannot be read cost their details and are logged.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use maxminddb::Reader;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Content;
use crate::enrich::place::Position;
use crate::enrich::{Network, Place};

/// Longest text that is kept, in characters; messages show less.
const MAX_TEXT_CHARS: usize = 200;
/// Looked up once before a database is used: a file that is damaged throughout is found out.
const SAMPLES: [[u8; 4]; 4] = [[1, 1, 1, 1], [8, 8, 8, 8], [81, 2, 69, 142], [193, 0, 6, 139]];

/// An open database.
pub struct Database(Reader<Vec<u8>>);

impl Database {
    /// Where an address is, as far as the database says.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let record: City = self.find(address)?;
        let place = Place {
            city: record.city.and_then(Names::english),
            region: record.subdivisions.into_iter().next().and_then(Names::english),
            country_code: record.country.and_then(|country| text(country.iso_code)),
        };
        let is_something = place.city.is_some() || place.region.is_some() || place.country_code.is_some();
        is_something.then_some(place)
    }

    pub fn position(&self, address: IpAddr) -> Option<Position> {
        let location = self.find::<City>(address)?.location?;
        Position::new(location.latitude?, location.longitude?)
    }

    pub fn network(&self, address: IpAddr) -> Option<Network> {
        let record: Asn = self.find(address)?;
        let asn = record.autonomous_system_number?;
        Some(Network { asn, name: text(record.autonomous_system_organization), description: None })
    }

    /// Whole days since it was made; 0 for one from the future.
    pub fn age_days(&self, now: Timestamp) -> i64 {
        let built = i64::try_from(self.0.metadata().build_epoch).unwrap_or(i64::MAX);
        (now.as_second().saturating_sub(built) / 86_400).max(0)
    }

    /// `GeoLite2-City, 12 days old`
    pub fn describe(&self, now: Timestamp) -> String {
        let kind =
            text(Some(self.0.metadata().database_type.clone())).unwrap_or_else(|| "nameless".to_owned());
        match self.age_days(now) {
            1 => format!("{kind}, 1 day old"),
            days => format!("{kind}, {days} days old"),
        }
    }

    fn find<T: DeserializeOwned>(&self, address: IpAddr) -> Option<T> {
        // A database of version 4 addresses alone has no others, which is no damage.
        if address.is_ipv6() && self.0.metadata().ip_version == 4 {
            return None;
        }
        let found = self.0.lookup(address).and_then(|found| found.decode());
        found.unwrap_or_else(|error| {
            tracing::warn!(%error, database = %self.0.metadata().database_type, "a record cannot be read");
            None
        })
    }
}

impl Content for Database {
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let reader =
            Reader::from_source(bytes).map_err(|error| format!("it is no such database: {error}"))?;
        for sample in SAMPLES {
            let found = reader.lookup(IpAddr::from(sample));
            found
                .and_then(|found| found.decode::<City>())
                .map_err(|error| format!("it is damaged: {error}"))?;
        }
        Ok(Self(reader))
    }

    /// What was cut off has no metadata, and is refused for that.
    fn is_nothing(&self) -> bool {
        false
    }
}

/// A record of a City or Country database, as far as it is used.
#[derive(Deserialize)]
struct City {
    country: Option<Country>,
    city: Option<Names>,
    #[serde(default)]
    subdivisions: Vec<Names>,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Country {
    iso_code: Option<String>,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    names: BTreeMap<String, String>,
}

impl Names {
    fn english(mut self) -> Option<String> {
        text(self.names.remove("en"))
    }
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

/// A record of an ASN database.
#[derive(Deserialize)]
struct Asn {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
}

fn text(value: Option<String>) -> Option<String> {
    let kept: String = value?.chars().take(MAX_TEXT_CHARS).collect();
    (!kept.trim().is_empty()).then_some(kept)
}
