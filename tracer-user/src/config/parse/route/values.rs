//! What single values of rules may be; pure.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use jiff::civil::{Date, DateTime, Weekday};

use crate::assess::Level;
use crate::config::parse::section::nearest;
use crate::config::parse::values::{one_of, quoted};
use crate::config::{Exception, Kind, Quiet, SERVICES, Until, day_word};
use crate::notify::route::hours;
use crate::sanitize;

/// Which end of hours a time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config::parse) enum Part {
    From,
    /// May be `24:00`.
    To,
}

/// The name of a route, as it is shown.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_good = (1..=40).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(sanitize::is_hostile);
    if is_good { Ok(text.to_owned()) } else { Err("must be 1 to 40 visible characters".to_owned()) }
}

/// Why somebody is allowed, as it is shown.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let is_good = (1..=200).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(sanitize::is_hostile);
    if is_good { Ok(text.to_owned()) } else { Err("must be 1 to 200 visible characters".to_owned()) }
}

/// The name of a sink that is configured.
pub(in crate::config::parse) fn sink(text: &str, known: &[&str]) -> Result<String, String> {
    if known.contains(&text) {
        return Ok(text.to_owned());
    }
    let hint = nearest(text, known).map_or_else(
        || format!("configured are {}", known.join(", ")),
        |known| format!("did you mean \"{known}\"?"),
    );
    Err(format!("there is no sink {}; {hint}", quoted(text)))
}

pub(in crate::config::parse) fn kind(text: &str) -> Result<Kind, String> {
    one_of(text, &Kind::ALL.map(|kind| (kind.as_str(), kind)))
}

pub(super) fn service(text: &str) -> Result<String, String> {
    one_of(text, &SERVICES.map(|word| (word, word))).map(str::to_owned)
}

pub(super) fn level(text: &str) -> Result<Level, String> {
    one_of(
        text,
        &[("low", Level::Low), ("medium", Level::Medium), ("high", Level::High), ("unknown", Level::Unknown)],
    )
}

/// A level, from which on, or a kind.
pub(super) fn exception(text: &str) -> Result<Exception, String> {
    let levels = super::BOUNDS.map(|(word, level)| (word, Exception::AtLeast(level)));
    let kinds = Kind::ALL.map(|kind| (kind.as_str(), Exception::Kind(kind)));
    one_of(text, &[&levels[..], &kinds[..]].concat())
}

/// An address, or a network in CIDR notation.
pub(super) fn address(text: &str) -> Result<IpNet, String> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address.to_canonical())),
        Err(_) => network(text),
    }
}

/// A network in CIDR notation. Peers are compared as IPv4 where they are IPv4, however a network is written.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let wrong =
        || format!("{} is no address or network; write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32", quoted(text));
    let network: IpNet = text.parse().map_err(|_| wrong())?;
    let IpNet::V6(mapped) = network else { return Ok(network.trunc()) };
    let as_v4 = mapped
        .addr()
        .to_ipv4_mapped()
        .and_then(|address| Ipv4Net::new(address, mapped.prefix_len().checked_sub(96)?).ok());
    Ok(as_v4.map_or(network, IpNet::V4).trunc())
}

/// A fingerprint as `ssh-keygen -l` and `login-tracer show` print it.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let is_good = text.strip_prefix("SHA256:").is_some_and(|hash| {
        hash.len() == 43
            && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    });
    if is_good {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is no fingerprint; `ssh-keygen -lf KEY.pub` prints it: SHA256:...", quoted(text)))
    }
}

/// Minutes after midnight.
pub(in crate::config::parse) fn clock(text: &str, part: Part) -> Result<u16, String> {
    let wrong = || format!("{} is no time of day; write it as \"07:30\"", quoted(text));
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |digits: &str| {
        let is_number = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| is_number)
    };
    let (hour, minute) = number(hour).zip(number(minute).filter(|_| minute.len() == 2)).ok_or_else(wrong)?;
    match (hour, minute, part) {
        (0, 0, Part::To) | (24, 0, Part::To) => Ok(24 * 60),
        (0..24, 0..60, _) => Ok(hour * 60 + minute),
        _ => Err(wrong()),
    }
}

/// One day of the week.
pub(in crate::config::parse) fn weekday(text: &str) -> Result<Weekday, String> {
    match weekdays(text)?.as_slice() {
        [day] => Ok(*day),
        _ => Err("must be one day; write \"mon\"".to_owned()),
    }
}

/// A day of the week, or several: `mon`, `friday`, `mon-fri`.
pub(super) fn weekdays(text: &str) -> Result<Vec<Weekday>, String> {
    const LONG: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let wrong = || format!("{} is no day of the week; write \"mon\", \"fri\" or \"mon-fri\"", quoted(text));
    let day = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        let mut days = Weekday::Monday.cycle_forward().take(7).zip(LONG);
        days.find(|(day, long)| word == day_word(*day) || word == *long).map(|(day, _)| day).ok_or_else(wrong)
    };
    match text.split_once('-') {
        None => Ok(vec![day(text)?]),
        Some((first, last)) => {
            let (first, last) = (day(first)?, day(last)?);
            let days = usize::from(first.until(last).unsigned_abs());
            Ok(first.cycle_forward().take(days + 1).collect())
        }
    }
}

/// A date, which means all of that day, or a date with a time.
pub(super) fn until(text: &str) -> Result<Until, String> {
    let wrong = || format!("{} is no date; write it as 2026-12-31 or \"2026-12-31 18:00\"", quoted(text));
    let end = if text.contains(':') {
        // An offset would be taken and not heeded.
        let is_local = text.bytes().all(|byte| byte.is_ascii_digit() || b"-: T.".contains(&byte));
        text.parse::<DateTime>().ok().filter(|_| is_local && text.matches('-').count() == 2)
    } else {
        text.parse::<Date>()
            .ok()
            .and_then(|date| date.tomorrow().ok())
            .map(|date| date.to_datetime(Default::default()))
    };
    end.map(|end| Until { end, text: text.to_owned() }).ok_or_else(wrong)
}

/// A sink that is quiet in every minute of a week.
pub(super) fn silenced<'a>(quiet: &[Quiet], sinks: &[&'a str]) -> Option<&'a str> {
    let monday = jiff::civil::date(2026, 11, 16);
    sinks.iter().copied().find(|sink| {
        let hours: Vec<_> = quiet
            .iter()
            .filter(|quiet| quiet.sinks.is_empty() || quiet.sinks.iter().any(|name| name == sink))
            .map(|quiet| &quiet.hours)
            .collect();
        !hours.is_empty()
            && (0..7 * 24 * 60).all(|minute| {
                let at =
                    monday.to_datetime(Default::default()).saturating_add(jiff::Span::new().minutes(minute));
                hours.iter().any(|hours| hours::covers(hours, at))
            })
    })
}
