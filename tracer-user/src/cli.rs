//! The command line. What is written here in `///` is the help that people read.

mod queue;
mod risk;

use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use uuid::Uuid;

pub use self::queue::*;
pub use self::risk::{AssessArgs, ExplainArgs, RulesArgs};
use crate::assess::Level;
use crate::config::{DEFAULT_PATH, DEFAULT_STATE_DIR};
use crate::notify::outbox::DeliveryRef;
use crate::session::{Service, SessionKey};

/// Watches SSH logins from the kernel: who came, from where, how risky, until when
///
/// `login-tracer run` watches and announces, `login-tracer sessions` lists what was seen.
/// No PAM, sshd, shell or log configuration is needed.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Configuration file [default: /etc/login-tracer/config.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Directory of the databases
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    pub state_dir: PathBuf,

    /// What is logged to standard error: error, warn, info, debug, trace, or a filter
    ///
    /// A filter names modules, such as info,login_tracer::kernel=debug. The default is info;
    /// on a terminal, where the messages themselves are to be seen, it is warn.
    #[arg(long, global = true, value_name = "FILTER", env = "LOGIN_TRACER_LOG", hide_env_values = true)]
    #[arg(verbatim_doc_comment)]
    pub log: Option<String>,
}

impl Global {
    /// The file that is read when there is no `--config`.
    pub fn config_path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_PATH))
    }

    /// What is logged when there is no `--log`.
    pub fn log_filter(&self) -> &str {
        let default = if std::io::stderr().is_terminal() { "warn" } else { "info" };
        self.log.as_deref().unwrap_or(default)
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch and announce logins: both roles below under one supervisor (needs root)
    Run,
    /// The role that watches the kernel and records sessions (needs root)
    Trace(TraceArgs),
    /// The role that looks up, rates and announces sessions (drops root)
    Notify,
    /// Send an example through every sink, or one, and show what was said
    NotifyTest(NotifyTestArgs),
    /// List sessions, newest first
    Sessions(SessionsArgs),
    /// Show everything about one session
    Show(ShowArgs),
    /// Explain the risk of a session: what is known, and what each rule made of it
    Explain(ExplainArgs),
    /// Rate an address by hand, or see what today's rules would make of the sessions that were rated
    Assess(AssessArgs),
    /// List the rules of risk with what they weigh
    Rules(RulesArgs),
    /// Explain where the changes of a session went, and why
    Route(RouteArgs),
    /// List connections that led to no session, by address
    Attempts(AttemptsArgs),
    /// Summarize what happened lately, as scheduled summaries tell it
    Summary(SummaryArgs),
    /// List SSH servers that were started and are not this host's, newest first
    ///
    /// Run by another user than root, from a file that is not root's or that others may write to, or from an unusual
    /// place. Their logins are not recorded as sessions.
    Findings(FindingsArgs),
    /// Show and change what waits to be delivered (changes need root)
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Show what a recording of `trace --record` means, without a kernel and without root
    Replay(ReplayArgs),
    /// Check kernel, permissions, configuration and databases, and say what to do
    Check,
    /// Remove from the kernel what goes on recording while nothing runs (needs root)
    Unload,
}

#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Also append every kernel event to this file, as lines of JSON: for a bug report
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// In the recording, put others in the place of all names, addresses, keys and arguments
    #[arg(long, requires = "record")]
    pub mask: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// What `trace --record` wrote
    #[arg(value_name = "FILE")]
    pub recording: PathBuf,

    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct NotifyTestArgs {
    /// Name of the sink in the configuration; without it, all of them
    ///
    /// What is sent is marked as an example. Secrets are left out of what is shown.
    #[arg(value_name = "SINK")]
    pub sink: Option<String>,
}

#[derive(Debug, Args)]
pub struct SessionsArgs {
    /// Only sessions that are open
    #[arg(long)]
    pub active: bool,

    /// Only sessions of this account
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Only sessions through this door
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<ServiceArg>,

    /// Only sessions from this address or network, such as 192.0.2.7 or 2001:db8::/32
    #[arg(long, value_name = "IP|CIDR", value_parser = network)]
    pub address: Option<IpNet>,

    /// Only sessions opened since then: 2h or 7d ago, 2026-11-20, or "2026-11-20 18:30"
    ///
    /// Dates and times are in this host's time zone, unless they name another one: RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    pub since: Option<Since>,

    /// Only sessions of this risk level
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<LevelArg>,

    /// At most so many sessions; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u64,

    /// One JSON object a line, times in UTC
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The number in the table, or the `session` of the JSON
    #[arg(value_name = "ID", value_parser = SessionRef::parse)]
    pub session: SessionRef,

    /// One JSON object: that of `sessions --json` with its changes and deliveries
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RouteArgs {
    /// The session: the number in the table, or the `session` of the JSON
    #[arg(long, value_name = "ID", value_parser = SessionRef::parse)]
    pub explain: SessionRef,

    /// Also what the configuration of today would decide at this moment
    #[arg(long)]
    pub now: bool,

    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct FindingsArgs {
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,

    /// One JSON object a line, times in UTC
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AttemptsArgs {
    /// Only attempts that ended since then: as for `sessions`
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    pub since: Option<Since>,

    /// Only attempts from this address or network
    #[arg(long, value_name = "IP|CIDR", value_parser = network)]
    pub address: Option<IpNet>,

    /// Show names that are no accounts of this host: people type passwords there
    #[arg(long)]
    pub show_names: bool,

    /// Each attempt in a line of its own, the newest first, with the messages that told it
    #[arg(long)]
    pub each: bool,

    /// Only attempts that this delivery told, by itself or together: its id, or its first digits
    #[arg(long, value_name = "ID", value_parser = DeliveryRef::parse)]
    pub told_by: Option<DeliveryRef>,

    /// At most so many addresses, or attempts; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u64,

    /// One JSON object a line for each address, or attempt, times in UTC
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SummaryArgs {
    /// What happened since then, at most 31 days ago: as for `sessions`
    #[arg(long, value_name = "TIME", value_parser = Since::parse, default_value = "24h")]
    pub since: Since,

    /// As one JSON object, times in UTC
    #[arg(long)]
    pub json: bool,
}

/// [`Level`] as a word of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    Low,
    Medium,
    High,
    /// Not rated, or not enough known to rate it
    Unknown,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Low => Self::Low,
            LevelArg::Medium => Self::Medium,
            LevelArg::High => Self::High,
            LevelArg::Unknown => Self::Unknown,
        }
    }
}

/// [`Service`] as a word of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServiceArg {
    Ssh,
    Dropbear,
    /// At a terminal of this host
    Login,
    /// From outside of any session
    Su,
    /// From outside of any session
    Sudo,
}

impl From<ServiceArg> for Service {
    fn from(service: ServiceArg) -> Self {
        match service {
            ServiceArg::Ssh => Self::Ssh,
            ServiceArg::Dropbear => Self::Dropbear,
            ServiceArg::Login => Self::Login,
            ServiceArg::Su => Self::Su,
            ServiceArg::Sudo => Self::Sudo,
        }
    }
}

/// How a session is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionRef {
    /// Row number.
    Id(i64),
    Key(SessionKey),
}

impl SessionRef {
    fn parse(text: &str) -> Result<Self, String> {
        let id = text.strip_prefix('#').unwrap_or(text).parse().ok().filter(|id| *id > 0).map(Self::Id);
        id.or_else(|| Uuid::try_parse(text).ok().map(|uuid| Self::Key(SessionKey(uuid))))
            .ok_or_else(|| "expected a number such as 12, or a UUID".to_owned())
    }
}

/// A point in time as it was typed; what it means depends on now and on the time zone.
#[derive(Debug, Clone)]
pub enum Since {
    At(Timestamp),
    Local(DateTime),
    Ago(Box<Span>),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        if let Ok(local) = text.parse() {
            return Ok(Self::Local(local));
        }
        let ago = text.parse::<Span>().map(|span| Self::Ago(Box::new(span.abs())));
        ago.map_err(|_| "expected a time such as 2h, 7d, 2026-11-20 or 2026-11-20T18:30:00Z".to_owned())
    }

    /// The time that is meant; `None` outside of the calendar.
    pub fn resolve(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(*at),
            Self::Local(local) => zone.to_timestamp(*local).ok(),
            Self::Ago(span) => Some(now.to_zoned(zone.clone()).checked_sub(**span).ok()?.timestamp()),
        }
    }
}

/// A stretch of time; a day has 24 hours.
fn age(text: &str) -> Result<SignedDuration, String> {
    let span = text.parse::<Span>().ok();
    span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .filter(|age| !age.is_negative())
        .ok_or_else(|| "expected a time such as 30s, 12h or 7d".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text
            .parse()
            .map_err(|_| "expected an address such as 192.0.2.7, or a network such as 2001:db8::/32")?,
    };
    Ok(network)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn since_means_what_people_mean() {
        let now: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Madrid").unwrap();
        let cases = [
            ("2h", "2026-11-21T07:00:00Z"),
            ("7d", "2026-11-14T09:00:00Z"),
            ("1w 1d", "2026-11-13T09:00:00Z"),
            ("90m ago", "2026-11-21T07:30:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20 18:30", "2026-11-20T17:30:00Z"),
            ("2026-11-20T18:30:00Z", "2026-11-20T18:30:00Z"),
            ("2026-11-20T18:30:00+02:00", "2026-11-20T16:30:00Z"),
        ];
        for (text, expected) in cases {
            let resolved = Since::parse(text).unwrap().resolve(now, &zone).unwrap();
            assert_eq!(resolved.to_string(), expected, "{text}");
        }
        // Over the change of the clocks, days are calendar days.
        let autumn: Timestamp = "2026-10-26T09:00:00Z".parse().unwrap();
        let resolved = Since::parse("2d").unwrap().resolve(autumn, &zone).unwrap();
        assert_eq!(resolved.to_string(), "2026-10-24T08:00:00Z");
        assert!(Since::parse("yesterday-ish").is_err());
        assert_eq!(Since::parse("19000y").unwrap().resolve(now, &zone), None);
    }

    #[test]
    fn addresses_are_networks_of_one() {
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("::ffff:192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        assert!(network("example.org").is_err());
    }

    #[test]
    fn sessions_are_named_by_number_or_uuid() {
        assert_eq!(SessionRef::parse("12"), Ok(SessionRef::Id(12)));
        assert_eq!(SessionRef::parse("#12"), Ok(SessionRef::Id(12)));
        let key = SessionKey::new("m", "b", 1, 2);
        assert_eq!(SessionRef::parse(&key.to_string()), Ok(SessionRef::Key(key)));
        for wrong in ["0", "-1", "", "x", "1 2"] {
            assert!(SessionRef::parse(wrong).is_err(), "{wrong}");
        }
    }
}
