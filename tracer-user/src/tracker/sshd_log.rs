//! What sshd says in its log lines. Pure, and careful: every line holds text that strangers chose.
//!
//! A line is `<PRI>Mon DD HH:MM:SS ident[pid]: TEXT`. Rules that keep strangers from being heard as sshd:
//! - A text means something only by how it begins; sshd never begins a line with strangers' text.
//! - A name ends where the last address begins: what looks like an address in a name is part of the name. Of `Accepted`
//!   it is the first address, since the account exists while a certificate at the end may say what its author likes.
//! - `Accepted` counts only as the monitor's own word: not with ` [preauth]` at its end, which marks what the
//!   unprivileged child wants logged, and not in a line so long that this may have been cut off.
//! - The caller compares the process id and the address with those of the connection.
//!
//! Texts are those of OpenSSH 8.0 to 10.x (`auth.c`, `auth2*.c`, `auth-pam.c`, `monitor.c`, `packet.c`, `kex.c`, `sshd.c`).

mod accepted;

use std::net::{IpAddr, SocketAddr};

use crate::session::Auth;

/// `"%.500s"` of `do_log` in `log.c`.
const CUT_AT: usize = 500;

/// A line, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The process that wrote it, as it says.
    pub(super) pid: u32,
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for anything that does not have the shape of a line that syslog(3) makes.
    pub(super) fn parse(datagram: &'a str) -> Option<Self> {
        /// `Nov 21 07:12:28 `, in English whatever the locale.
        const TIME: usize = 16;
        let (priority, rest) = datagram.strip_prefix('<')?.split_once('>')?;
        if priority.is_empty() || priority.len() > 3 || !is_number(priority) {
            return None;
        }
        let (_, rest) = rest.split_at_checked(TIME).filter(|(time, _)| time.ends_with(' '))?;
        let (head, text) = rest.split_once("]: ")?;
        let (ident, pid) = head.rsplit_once('[')?;
        if ident.contains(' ') || !is_number(pid) {
            return None;
        }
        Some(Self { pid: pid.parse().ok()?, text })
    }
}

/// A name that somebody gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) name: &'a str,
    /// sshd does not call it invalid: the account exists.
    pub(super) is_known: bool,
}

/// What a line says, as far as it matters. Addresses are `None` where sshd has none (`UNKNOWN`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// A user was let in.
    Accepted { user: &'a str, origin: Option<SocketAddr>, auth: Auth },
    /// A credential was refused.
    Failed { method: &'a str, user: Name<'a>, origin: Option<SocketAddr> },
    /// PAM refused an answer.
    PamFailed { user: Name<'a> },
    /// There is no such account.
    InvalidUser { name: &'a str, origin: Option<SocketAddr> },
    /// There is no such account, and the name is not told. Dropbear's.
    UnknownUser,
    /// A connection is served. Dropbear's.
    Greeted { origin: Option<SocketAddr> },
    /// The account exists and may not log in. `None`: root.
    NotAllowed { name: Option<&'a str> },
    /// The last try was one too many.
    TooMany { user: Option<Name<'a>> },
    /// `LoginGraceTime` is over.
    TimedOut,
    /// The connection ended; by then it was about this user.
    Ended { user: Option<Name<'a>>, origin: Option<SocketAddr> },
    /// The client's words were no SSH, or none that this sshd speaks.
    ProtocolError,
    /// The listener accepted a connection and closed it.
    Dropped { peer: SocketAddr, local: SocketAddr, is_penalty: bool },
}

/// What a text says; `None` if nothing that matters.
pub(super) fn parse(text: &str) -> Option<Said<'_>> {
    if let Some(rest) = text.strip_prefix("Accepted ") {
        let is_cut = text.len() >= CUT_AT;
        return if is_cut || text.ends_with(" [preauth]") { None } else { accepted::parse(rest) };
    }
    let text = text.strip_suffix(" [preauth]").unwrap_or(text);
    let text = text.strip_prefix("error: ").or_else(|| text.strip_prefix("fatal: ")).unwrap_or(text);
    refusal(text).or_else(|| ending(text)).or_else(|| dropped(text))
}

/// What strangers chose in a line, so that it can be masked: names, and what an authority wrote into a certificate. `None`
/// for a line that is not understood, in which anything may be.
pub(crate) fn strangers_words(datagram: &str) -> Option<Vec<String>> {
    let text = Line::parse(datagram)?.text;
    let said = parse(text).or_else(|| super::dropbear_log::parse(text))?;
    let words = match said {
        Said::Accepted { user, auth, .. } => {
            let certificate = auth.certificate.map(|certificate| certificate.id);
            std::iter::once(user.to_owned()).chain(certificate).collect()
        }
        Said::Failed { user, .. } | Said::PamFailed { user } => vec![user.name.to_owned()],
        Said::InvalidUser { name, .. } => vec![name.to_owned()],
        Said::NotAllowed { name } => name.map(str::to_owned).into_iter().collect(),
        Said::TooMany { user } | Said::Ended { user, .. } => {
            user.map(|user| user.name.to_owned()).into_iter().collect()
        }
        Said::UnknownUser
        | Said::Greeted { .. }
        | Said::TimedOut
        | Said::ProtocolError
        | Said::Dropped { .. } => Vec::new(),
    };
    Some(words)
}

/// Lines about what a client tried.
fn refusal(text: &str) -> Option<Said<'_>> {
    if let Some(rest) = text.strip_prefix("Failed ") {
        let (method, rest) = rest.split_once(" for ").filter(|(method, _)| !method.contains(' '))?;
        let (user, origin, _) = from_the_right(rest, is_end_or_extra)?;
        return Some(Said::Failed { method, user: Name::of(user), origin });
    }
    if let Some(rest) = text.strip_prefix("maximum authentication attempts exceeded for ") {
        let (user, ..) = from_the_right(rest, str::is_empty)?;
        return Some(Said::TooMany { user: Some(Name::of(user)) });
    }
    if let Some(rest) = text.strip_prefix("Invalid user ") {
        let (name, rest) = rest.rsplit_once(" from ")?;
        let (origin, rest) = address_port(rest)?;
        return rest.is_empty().then_some(Said::InvalidUser { name, origin });
    }
    if let Some(rest) = text.strip_prefix("PAM: ") {
        // Whether the password was wrong or the account is gone, in PAM's own words.
        let (_, rest) = rest.split_once(" for ")?;
        let (user, _) = rest.rsplit_once(" from ")?;
        let user = match user.strip_prefix("illegal user ") {
            Some(name) => Name { name, is_known: false },
            None => Name { name: user, is_known: true },
        };
        return Some(Said::PamFailed { user });
    }
    if text.starts_with("ROOT LOGIN REFUSED FROM ") {
        return Some(Said::NotAllowed { name: None });
    }
    if let Some(rest) = text.strip_prefix("User ") {
        let (name, _) = rest.split_once(" not allowed because ")?;
        let name = match name.rsplit_once(" from ") {
            Some((name, _)) => name,
            None => name,
        };
        return Some(Said::NotAllowed { name: Some(name) });
    }
    if let Some(rest) = text.strip_prefix("Access denied for user ") {
        let name = rest.strip_suffix(" by PAM account configuration")?;
        return Some(Said::NotAllowed { name: Some(name) });
    }
    let name = text.strip_prefix("Account ")?.strip_suffix(" has expired")?;
    Some(Said::NotAllowed { name: Some(name) })
}

/// Lines about how a connection came to its end.
fn ending(text: &str) -> Option<Said<'_>> {
    const ENDS: [&str; 3] = ["Connection closed by ", "Connection reset by ", "Disconnected from "];
    if let Some(rest) = ENDS.iter().find_map(|beginning| text.strip_prefix(beginning)) {
        let (user, origin) = connection(rest)?;
        return Some(Said::Ended { user, origin });
    }
    if let Some(rest) = text.strip_prefix("Connection from ") {
        let (user, origin) = connection(rest.strip_suffix(" timed out")?)?;
        return Some(Said::Ended { user, origin });
    }
    if let Some(rest) = text.strip_prefix("Received disconnect from ") {
        let (origin, _) = address_port(rest)?;
        return Some(Said::Ended { user: None, origin });
    }
    if let Some(rest) = text.strip_prefix("Disconnecting ") {
        if let Some(rest) = rest.strip_suffix(": Too many authentication failures") {
            return Some(Said::TooMany { user: connection(rest).and_then(|(user, _)| user) });
        }
        let (rest, _) = rest.rsplit_once(": ")?;
        let (user, origin) = connection(rest)?;
        return Some(Said::Ended { user, origin });
    }
    if text.starts_with("Timeout before authentication for ") {
        return Some(Said::TimedOut);
    }
    protocol_error(text).then_some(Said::ProtocolError)
}

fn protocol_error(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix("kex_exchange_identification: ") {
        // The client left, which is no error of the protocol.
        return !["Connection closed by remote host", "read: "].iter().any(|end| rest.starts_with(end));
    }
    const ERRORS: [&str; 8] = [
        "Unable to negotiate with ",
        "banner exchange: Connection from ",
        "ssh_dispatch_run_fatal: Connection from ",
        "Bad packet length ",
        "Bad protocol version identification ",
        "Protocol major versions differ",
        "Corrupted MAC on input",
        "padding error: ",
    ];
    ERRORS.iter().any(|beginning| text.starts_with(beginning))
}

/// `drop connection #1 from [IP]:PORT on [IP]:PORT past MaxStartups`; since 9.8 with another reason for penalties.
fn dropped(text: &str) -> Option<Said<'_>> {
    let (number, rest) = text.strip_prefix("drop connection #")?.split_once(" from ")?;
    let (peer, rest) = rest.split_once(" on ")?;
    let (local, reason) = rest.split_once(' ')?;
    if !is_number(number) {
        return None;
    }
    let is_penalty = reason.to_ascii_lowercase().contains("penalt");
    Some(Said::Dropped { peer: bracketed(peer)?, local: bracketed(local)?, is_penalty })
}

impl<'a> Name<'a> {
    /// A name as lines give it, behind `invalid user ` if there is no such account.
    fn of(text: &'a str) -> Self {
        match text.strip_prefix("invalid user ") {
            Some(name) => Self { name, is_known: false },
            None => Self { name: text, is_known: true },
        }
    }
}

/// `NAME from ADDRESS port N ssh2REST` at the last place where it can be read like this and `accepts(REST)`.
fn from_the_right(text: &str, accepts: fn(&str) -> bool) -> Option<(&str, Option<SocketAddr>, &str)> {
    text.rmatch_indices(" from ").find_map(|(at, separator)| {
        let (origin, rest) = address_port(&text[at + separator.len()..])?;
        let rest = rest.strip_prefix(" ssh2")?;
        accepts(rest).then_some((&text[..at], origin, rest))
    })
}

/// The end of a line, or the key that was refused.
fn is_end_or_extra(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(": ")
}

/// `[authenticating user NAME |invalid user NAME |user NAME ]ADDRESS port N`, to the end.
fn connection(text: &str) -> Option<(Option<Name<'_>>, Option<SocketAddr>)> {
    let (rest, port) = text.rsplit_once(" port ")?;
    let (before, address) = match rest.rsplit_once(' ') {
        Some((before, address)) => (before, address),
        None => ("", rest),
    };
    let origin = origin(address, port)?;
    let known = |name| Name { name, is_known: true };
    let user = match before {
        "" => None,
        _ => Some(
            before
                .strip_prefix("invalid user ")
                .map(|name| Name { name, is_known: false })
                .or_else(|| before.strip_prefix("authenticating user ").map(known))
                .or_else(|| before.strip_prefix("user ").map(known))?,
        ),
    };
    Some((user, origin))
}

/// `ADDRESS port N` and what follows.
fn address_port(text: &str) -> Option<(Option<SocketAddr>, &str)> {
    let (address, rest) = text.split_once(" port ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (port, rest) = rest.split_at(digits);
    Some((origin(address, port)?, rest))
}

/// `None` for what is no address and port; `Some(None)` where sshd knows none.
#[expect(
    clippy::option_option,
    reason = "a place that is unknown is another thing than a text that is no place"
)]
fn origin(address: &str, port: &str) -> Option<Option<SocketAddr>> {
    let port: u16 = is_number(port).then(|| port.parse().ok())??;
    Some(address_of(address)?.map(|address| SocketAddr::new(address, port)))
}

/// An address, without the zone that sshd adds to link-local ones. sshd without a socket says `UNKNOWN`.
#[expect(clippy::option_option, reason = "as above")]
pub(super) fn address_of(text: &str) -> Option<Option<IpAddr>> {
    if text == "UNKNOWN" {
        return Some(None);
    }
    let address = text.split('%').next().unwrap_or(text);
    address.parse::<IpAddr>().ok().map(|address| Some(address.to_canonical()))
}

/// `[ADDRESS]:PORT`
fn bracketed(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.strip_prefix('[')?.rsplit_once("]:")?;
    origin(address, port)?
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
