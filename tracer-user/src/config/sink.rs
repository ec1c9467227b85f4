//! `[sinks.NAME]`: the destinations, one type for each kind.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Queueing, Secret};

/// `[sinks.NAME]`: one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// The NAME: letters, digits, `-` and `_`.
    pub name: String,
    pub kind: SinkKind,
    pub queue: Queueing,
}

/// What a sink is, with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SinkKind {
    /// Coloured lines on standard output.
    Console,
    Discord(Discord),
    Slack(Slack),
    Journald(Journald),
    PagerDuty(PagerDuty),
    Matrix(Matrix),
    SlackBot(SlackBot),
    Teams(Teams),
    Mattermost(Mattermost),
    Pushover(Pushover),
    Gotify(Gotify),
    Syslog(Syslog),
    Email(Email),
    File(File),
    Command(Command),
    Telegram(Telegram),
    Webhook(Webhook),
    Ntfy(Ntfy),
}

impl SinkKind {
    /// The word after `type =`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Discord(_) => "discord",
            Self::Slack(_) => "slack",
            Self::Journald(_) => "journald",
            Self::PagerDuty(_) => "pagerduty",
            Self::Matrix(_) => "matrix",
            Self::SlackBot(_) => "slack_bot",
            Self::Teams(_) => "teams",
            Self::Mattermost(_) => "mattermost",
            Self::Pushover(_) => "pushover",
            Self::Gotify(_) => "gotify",
            Self::Syslog(_) => "syslog",
            Self::Email(_) => "email",
            Self::File(_) => "file",
            Self::Command(_) => "command",
            Self::Telegram(_) => "telegram",
            Self::Webhook(_) => "webhook",
            Self::Ntfy(_) => "ntfy",
        }
    }
}

/// The keys that all sinks over HTTP have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Http {
    /// How long one request may take.
    pub timeout: Duration,
    /// Who is trusted besides the authorities of the system.
    pub ca: Option<Authority>,
}

impl Http {
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
}

/// Certificates of an own authority.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    pub path: PathBuf,
    /// At least one certificate.
    pub pem: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authority").field(&self.path).finish()
    }
}

/// A Slack incoming webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slack {
    /// The URL is the credential: whoever has it can post.
    pub webhook_url: Secret,
    pub http: Http,
}

/// A Discord webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Discord {
    /// The URL is the credential: whoever has it can post.
    pub webhook_url: Secret,
    pub http: Http,
}

/// A topic of an ntfy server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ntfy {
    /// The server's root, without a trailing slash.
    pub base_url: String,
    /// Where anybody may read, the name of the topic is what keeps others out.
    pub topic: Secret,
    pub access: NtfyAccess,
    pub http: Http,
}

/// How an ntfy server knows us.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NtfyAccess {
    Anybody,
    Token(Secret),
    Password { user: String, password: Secret },
}

impl Ntfy {
    /// The public server.
    pub const DEFAULT_BASE_URL: &'static str = "https://ntfy.sh";
}

/// Any program that takes JSON over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Webhook {
    pub url: Secret,
    /// What requests are signed with.
    pub secret: Option<Secret>,
    pub http: Http,
}

/// A chat of a Telegram bot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Telegram {
    pub token: Secret,
    /// The number of a chat, or `@` and the name of a channel.
    pub chat: String,
    /// The topic within the chat.
    pub thread: Option<i64>,
    /// Of the Bot API, without a trailing slash.
    pub base_url: String,
    pub http: Http,
}

impl Telegram {
    /// Telegram's own server.
    pub const DEFAULT_BASE_URL: &'static str = "https://api.telegram.org";
}

/// A program of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// The program, by its absolute path, and its arguments. No shell reads them.
    pub argv: Vec<String>,
    /// How long it may run; then it and what it started are killed.
    pub timeout: Duration,
}

impl Command {
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
}

/// A file of JSON lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct File {
    pub path: PathBuf,
    /// Size in bytes from which on a new file is begun.
    pub max_size: u64,
    /// How many full files are kept, under the same name with `.1` (the newest), `.2` and so on.
    pub keep: u32,
}

impl File {
    pub const DEFAULT_MAX_SIZE: u64 = 10 << 20;
    pub const DEFAULT_KEEP: u32 = 5;
}

/// Mail to one or more addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email {
    /// One address, perhaps with a name: `login-tracer <root@example.org>`.
    pub from: String,
    /// At least one address.
    pub to: Vec<String>,
    pub relay: MailRelay,
    pub timeout: Duration,
}

/// Who takes mail from us.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MailRelay {
    Smtp(Smtp),
    /// The `sendmail` of this host.
    Sendmail(PathBuf),
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// Name and password.
    pub login: Option<(String, Secret)>,
    /// Who is trusted besides the authorities of the system.
    pub ca: Option<Authority>,
}

/// How mail is kept from others on its way. There is no way that tries TLS and goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmtpTls {
    /// From the first byte, usually at port 465.
    Implicit,
    /// After STARTTLS, which must succeed; usually at port 587.
    StartTls,
    /// Not at all: within this host alone.
    None,
}

impl SmtpTls {
    /// Where servers listen for it.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Implicit => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

impl Email {
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
}

/// A system log, by RFC 5424.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Syslog {
    pub server: SyslogServer,
    /// Number of the facility, 0 to 23.
    pub facility: u8,
    pub timeout: Duration,
}

/// Where a system log listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SyslogServer {
    /// A datagram socket of this host.
    Local(PathBuf),
    Udp {
        host: String,
        port: u16,
    },
    Tcp {
        host: String,
        port: u16,
    },
    Tls {
        host: String,
        port: u16,
        ca: Option<Authority>,
    },
}

impl Syslog {
    /// Where every Linux system has it.
    pub const DEFAULT_SOCKET: &'static str = "/dev/log";
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
    /// `authpriv`: who came and went is not for everybody.
    pub const DEFAULT_FACILITY: u8 = 10;
}

/// An application of a Gotify server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gotify {
    /// Without a trailing slash.
    pub base_url: String,
    pub token: Secret,
    pub http: Http,
}

/// A user or group of Pushover.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pushover {
    /// The application's token.
    pub token: Secret,
    /// The key of the user or group.
    pub user: Secret,
    /// One of the user's devices; `None`: all of them.
    pub device: Option<String>,
    /// Red ones repeat until somebody confirms them.
    pub emergency: Option<Emergency>,
    /// Without a trailing slash.
    pub base_url: String,
    pub http: Http,
}

/// How long an emergency repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Emergency {
    /// From one repetition to the next.
    pub retry: Duration,
    /// Until it gives up.
    pub expire: Duration,
}

impl Pushover {
    /// Pushover's own address.
    pub const DEFAULT_BASE_URL: &'static str = "https://api.pushover.net";
    pub const DEFAULT_RETRY: Duration = Duration::from_secs(60);
    pub const DEFAULT_EXPIRE: Duration = Duration::from_secs(3600);
}

/// A Mattermost incoming webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mattermost {
    /// The URL is the credential: whoever has it can post.
    pub webhook_url: Secret,
    pub http: Http,
}

/// A channel or chat of Microsoft Teams, through a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Teams {
    /// The URL is the credential: whoever has it can post.
    pub webhook_url: Secret,
    pub http: Http,
}

/// A Slack app's bot in one channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SlackBot {
    pub token: Secret,
    /// The channel's id.
    pub channel: String,
    /// Of Slack's Web API, without a trailing slash.
    pub base_url: String,
    pub http: Http,
}

impl SlackBot {
    /// Slack's own address.
    pub const DEFAULT_BASE_URL: &'static str = "https://slack.com/api";
}

/// A room of a Matrix homeserver.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matrix {
    /// The homeserver, without a trailing slash.
    pub base_url: String,
    /// Access token of the account that writes.
    pub token: Secret,
    /// The room's id.
    pub room: String,
    pub http: Http,
}

/// A service of PagerDuty, by its Events API v2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PagerDuty {
    pub routing_key: Secret,
    /// Whether the end of a session resolves its alert; otherwise ends are not told.
    pub resolve: bool,
    /// Without a trailing slash.
    pub base_url: String,
    pub http: Http,
}

impl PagerDuty {
    /// PagerDuty's own address.
    pub const DEFAULT_BASE_URL: &'static str = "https://events.pagerduty.com";
}

/// The journal of this host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Journald {
    pub socket: PathBuf,
}

impl Journald {
    /// Where systemd has it.
    pub const DEFAULT_SOCKET: &'static str = "/run/systemd/journal/socket";
}
