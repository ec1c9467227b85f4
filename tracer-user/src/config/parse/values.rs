//! What single values may be. Each function says what is wrong, and what would be right; pure.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use reqwest::Url;

use super::section::nearest;
use crate::config::{PaceChoice, Rate};
use crate::sanitize;

/// How long something may be waited for.
pub(super) const WAIT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(120);

/// How long an answer may be used again: up to a year.
pub(super) const CACHE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(365 * 24 * 3600);

/// How long messages may be kept: an hour to ten years.
pub(super) const KEEP: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(3650 * 24 * 3600);

/// How long attempts may be gathered.
pub(super) const GATHER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// How long changes may wait for others.
pub(super) const GROUP: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// The stretch of time that a pace may speak of.
const PER: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

/// How many messages a pace may allow in its time.
const PACE: RangeInclusive<u32> = 1..=1000;

/// The ring buffer's limits: one page, which the kernel demands, and more than any storm of logins needs.
const SIZE: RangeInclusive<u64> = 4096..=64 << 20;
pub(super) const SIZE_LIMITS: &str = "must be from 4 KiB to 64 MiB";

/// How often Pushover repeats an emergency: what it takes at least, and its longest time to expire.
pub(super) const PUSHOVER_RETRY: RangeInclusive<Duration> =
    Duration::from_secs(30)..=Duration::from_secs(10_800);

/// How long Pushover repeats an emergency at most.
pub(super) const PUSHOVER_EXPIRE: RangeInclusive<Duration> =
    Duration::from_secs(30)..=Duration::from_secs(10_800);

/// When a file is full: not after every line, and not never.
pub(super) const FILE_SIZE: RangeInclusive<u64> = 4096..=1 << 40;

const NO_URL: &str = "must be an address that begins with https:// (http:// only for this host itself)";

/// Characters shown of a wrong value.
const VALUE_CHARS: usize = 60;

/// One of a few words.
pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
    let listed: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let hint = nearest(text, &words).map_or(String::new(), |word| format!("; did you mean \"{word}\"?"));
    Err(format!("{} is none of {}{hint}", quoted(text), listed.join(", ")))
}

/// A name that is shown in tables and messages.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty; remove the key to use the machine's own name".to_owned());
    }
    if text.chars().count() > 253 || text.chars().any(sanitize::is_hostile) {
        return Err("must be at most 253 visible characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The account of the notify role.
pub(super) fn account(text: &str) -> Result<String, String> {
    if text == "root" {
        return Err("must not be root: the role that talks to the network must not be privileged".to_owned());
    }
    let is_name_character =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    if text.is_empty()
        || text.len() > 32
        || text.starts_with(['-', '.'])
        || text.bytes().all(|byte| byte.is_ascii_digit())
        || !text.chars().all(is_name_character)
    {
        return Err(format!("{} is no account name", quoted(text)));
    }
    Ok(text.to_owned())
}

pub(super) fn sink_name(text: &str) -> Result<(), String> {
    let is_good = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_good {
        Ok(())
    } else {
        Err("the name of a sink must be 1 to 32 letters, digits, - and _".to_owned())
    }
}

/// The name of something that the owner names.
pub(super) fn given_name(text: &str) -> Result<(), String> {
    sink_name(text).map_err(|_| "a name must be 1 to 32 letters, digits, - and _".to_owned())
}

/// An address, or a network in CIDR notation.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network = address.or_else(|_| text.parse::<IpNet>().map(|network| network.trunc()));
    network.map_err(|_| {
        format!("{} is no address or network; write it as \"192.0.2.7\" or \"2001:db8::/32\"", quoted(text))
    })
}

/// The name of an account that logs in: whatever a host may call its users.
pub(super) fn login_user(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 255 || text.chars().any(|sign| sign.is_control() || sign == ':') {
        return Err(format!("{} is no account name", quoted(text)));
    }
    Ok(text.to_owned())
}

/// The fingerprint of a key, as `ssh-keygen -l` shows it.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let is_sha256 = text.strip_prefix("SHA256:").is_some_and(|hash| {
        hash.len() == 43
            && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    });
    if is_sha256 {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is no fingerprint; write it as `ssh-keygen -lf KEY.pub` shows it: \"SHA256:...\"",
        quoted(text)
    ))
}

/// A duration such as `3s`, `10m`, `1h 30m`.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|signed| Duration::try_from(signed).ok());
    let Some(duration) = parsed else {
        return Err(format!("{} is no duration; write it as \"3s\", \"10m\" or \"24h\"", quoted(text)));
    };
    if range.contains(&duration) {
        return Ok(duration);
    }
    let show = |bound: &Duration| {
        SignedDuration::try_from(*bound).map_or_else(|_| String::new(), |d| format!("{d:#}"))
    };
    Err(format!("must be from {} to {}", show(range.start()), show(range.end())))
}

/// A duration such as `30d` or `2w`; a day has 24 hours.
pub(super) fn days(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok();
    let signed = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let Some(duration) = signed.and_then(|signed| Duration::try_from(signed).ok()) else {
        return Err(format!("{} is no duration; write it as \"12h\", \"7d\" or \"2w\"", quoted(text)));
    };
    if range.contains(&duration) {
        return Ok(duration);
    }
    let show = |bound: &Duration| match bound.as_secs() {
        seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds => format!("{}h", seconds / 3600),
    };
    Err(format!("must be from {} to {}", show(range.start()), show(range.end())))
}

/// A pace such as `1/s`, `30/min`, `5/2s` or `none`.
pub(super) fn pace(text: &str) -> Result<PaceChoice, String> {
    if text == "none" {
        return Ok(PaceChoice::Unlimited);
    }
    let wrong =
        || format!("{} is no pace; write it as \"1/s\", \"30/min\", \"5/2s\" or \"none\"", quoted(text));
    let (count, per) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.trim().parse::<u32>().map_err(|_| wrong())?;
    let per = per.trim();
    // "1/s" means one in one second.
    let per = if per.starts_with(|first: char| first.is_ascii_digit()) {
        per.to_owned()
    } else {
        format!("1{per}")
    };
    let per =
        per.parse::<SignedDuration>().ok().and_then(|per| Duration::try_from(per).ok()).ok_or_else(wrong)?;
    if !PACE.contains(&count) || !PER.contains(&per) {
        return Err("must allow 1 to 1000 messages in a time of up to 24 hours".to_owned());
    }
    Ok(PaceChoice::Own(Rate::new(count, per)))
}

/// A size of the ring buffer as a text such as `1 MiB`.
pub(super) fn size_text(text: &str) -> Result<u32, String> {
    size(number_of_bytes(text)?)
}

/// A number of bytes within limits.
pub(super) fn bytes(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let bytes = number_of_bytes(text)?;
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("must be from {} to {}", show_size(*range.start()), show_size(*range.end())))
}

fn number_of_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let factor = match text[digits.len()..].trim() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    let bytes =
        digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes.ok_or_else(|| format!("{} is no size; write it as \"512 KiB\" or \"1 MiB\"", quoted(text)))
}

/// A size of the ring buffer in bytes.
pub(super) fn size(bytes: u64) -> Result<u32, String> {
    if !SIZE.contains(&bytes) {
        return Err(SIZE_LIMITS.to_owned());
    }
    if !bytes.is_power_of_two() {
        let above = bytes.next_power_of_two();
        let (below, above) = (show_size(above / 2), show_size(above));
        return Err(format!("must be a power of two, such as {below} or {above}"));
    }
    u32::try_from(bytes).map_err(|_| SIZE_LIMITS.to_owned())
}

/// The address of a service, without the slash at its end.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| NO_URL.to_owned())?;
    require_https(&url)?;
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(NO_URL.to_owned());
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("must be an address alone, without user, password, ? or #".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The address of a Slack incoming webhook. It is a secret: nothing of it may be repeated.
pub(super) fn webhook(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|_| NO_URL.to_owned())?;
    require_https(&url)
}

/// What can be sent in an `Authorization` header.
pub(super) fn token(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err("must be a token: letters, digits and signs without spaces".to_owned())
}

/// The name of a topic, as the server's own rule has it.
pub(super) fn ntfy_topic(text: &str) -> Result<(), String> {
    let is_good = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_good { Ok(()) } else { Err("must be 1 to 64 letters, digits, - and _".to_owned()) }
}

/// The name of an account at a service.
pub(super) fn user(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 255 || text.chars().any(sanitize::is_hostile) {
        return Err("must be a name of 1 to 255 visible characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The password of an account at a service.
pub(super) fn password(text: &str) -> Result<(), String> {
    if !text.is_empty() && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err("must be a password without line breaks".to_owned())
}

/// A secret that requests are signed with.
pub(super) fn signing_secret(text: &str) -> Result<(), String> {
    let wrong =
        || "must be whsec_ and 24 to 64 bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes it";
    let key = crate::notify::sink::webhook::signing_key(text).ok_or_else(wrong)?;
    if (24..=64).contains(&key.len()) { Ok(()) } else { Err(wrong().to_owned()) }
}

/// The token of a Telegram bot: it becomes part of an address.
pub(super) fn telegram_token(text: &str) -> Result<(), String> {
    let is_good = text.split_once(':').is_some_and(|(bot, secret)| {
        !bot.is_empty()
            && bot.bytes().all(|byte| byte.is_ascii_digit())
            && !secret.is_empty()
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    if is_good { Ok(()) } else { Err("must be a bot's token, such as 123456:letters-and-digits".to_owned()) }
}

/// Where a Telegram bot writes to.
pub(super) fn telegram_chat(text: &str) -> Result<String, String> {
    let is_name = text.strip_prefix('@').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if is_name || text.parse::<i64>().is_ok_and(|number| number != 0) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is neither the number of a chat nor the @name of a channel", quoted(text)))
}

/// An argument of a program.
pub(super) fn argument(text: &str) -> Result<String, String> {
    if text.contains('\0') {
        return Err("must not hold the character NUL".to_owned());
    }
    Ok(text.to_owned())
}

/// A mail address, perhaps with a name.
pub(super) fn mailbox(text: &str) -> Result<String, String> {
    let parsed =
        text.parse::<lettre::message::Mailbox>().ok().filter(|_| !text.chars().any(sanitize::is_hostile));
    match parsed {
        Some(mailbox) => Ok(mailbox.to_string()),
        None => Err(format!(
            "{} is no mail address; write \"ops@example.org\" or \"Name <ops@example.org>\"",
            quoted(text)
        )),
    }
}

/// The name or address of a server.
pub(super) fn server(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if is_name || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!("{} is no name of a server; write it without scheme and port", quoted(text)))
}

/// Whether a server's name means this host, so that what it is told crosses no network.
pub(super) fn is_this_host(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A token or key of Pushover: 30 letters and digits.
pub(super) fn pushover_key(text: &str) -> Result<(), String> {
    if text.len() == 30 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err("must be 30 letters and digits".to_owned())
}

/// The id of a Slack channel; names are ambiguous and change.
pub(super) fn slack_channel(text: &str) -> Result<String, String> {
    let is_id = text.starts_with(['C', 'G', 'D'])
        && (8..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if is_id {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is no channel's id, such as C0123456789", quoted(text)))
    }
}

/// The id of a Matrix room.
pub(super) fn matrix_room(text: &str) -> Result<String, String> {
    let is_id = text.strip_prefix('!').is_some_and(|rest| !rest.is_empty())
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_id {
        return Ok(text.to_owned());
    }
    Err(format!("{} is no room's id; it begins with ! (an alias, with #, may move)", quoted(text)))
}

/// The integration key of a PagerDuty service.
pub(super) fn routing_key(text: &str) -> Result<(), String> {
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err("must be an integration key: 32 letters and digits".to_owned())
}

/// Nothing secret may cross a network in the clear; within the host, tests and proxies may use http.
fn require_https(url: &Url) -> Result<(), String> {
    let is_loopback = url.host_str().is_some_and(is_this_host);
    match url.scheme() {
        "https" if url.host_str().is_some() => Ok(()),
        "http" if is_loopback => Ok(()),
        _ => Err(NO_URL.to_owned()),
    }
}

fn show_size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", sanitize::text(text, VALUE_CHARS))
}
