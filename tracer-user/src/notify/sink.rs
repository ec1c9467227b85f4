//! A sink: one destination, behind one verb.
//!
//! A sink lays a message out for its service, escapes it for that service's markup, sends it once and says what came of
//! it. When to try again is not its business.

pub mod http; // what all sinks over HTTP share
mod markup; // escaping for HTML
mod process; // running programs
pub mod redaction; // what may be said of an exchange

pub mod command;
pub mod console;
pub mod discord;
pub mod email;
pub mod file;
pub mod gotify;
pub mod journald;
pub mod matrix;
pub mod mattermost;
pub mod ntfy;
pub mod pagerduty;
pub mod pushover;
pub mod slack;
pub mod slack_bot;
pub mod syslog;
pub mod teams;
pub mod telegram;
pub mod webhook;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use self::command::Command;
use self::console::Console;
use self::discord::Discord;
use self::email::Email;
use self::file::File;
use self::gotify::Gotify;
use self::http::{Clients, Http};
use self::journald::Journald;
use self::matrix::Matrix;
use self::mattermost::Mattermost;
use self::ntfy::Ntfy;
use self::pagerduty::PagerDuty;
use self::pushover::Pushover;
use self::slack::Slack;
use self::slack_bot::SlackBot;
use self::syslog::Syslog;
use self::teams::Teams;
use self::telegram::Telegram;
use self::webhook::Webhook;
use super::message::Event;
use super::outbox::Delivery;
use super::outcome::Outcome;
use crate::assess::Level;
use crate::config::{PaceChoice, Rate, SinkKind};

/// One destination.
pub trait Sink {
    /// Makes one attempt. Whatever happens is in the report. Dropping it before its end gives the attempt up.
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a>;
}

/// An attempt under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Report> + 'a>>;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    /// HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// The service's own name for the message that it took, where later messages refer to it.
    pub receipt: Option<String>,
    /// What was said, where it can be shown.
    pub exchange: Option<Exchange>,
}

/// What was sent and what came back, word for word except for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub sent: String,
    pub received: String,
}

impl Report {
    /// What came of it, without an answer over HTTP.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, status: None, receipt: None, exchange: None }
    }

    /// Nothing came back: it may work later.
    pub fn no_answer(why: String) -> Self {
        Self::of(Outcome::Retry { after: None, why })
    }

    /// The sink has no use for this message, as it was configured: nothing is left to be done.
    pub fn not_wanted() -> Self {
        Self::of(Outcome::Delivered)
    }

    pub fn with_exchange(self, exchange: Exchange) -> Self {
        Self { exchange: Some(exchange), ..self }
    }
}

/// Opens what is configured.
///
/// # Errors
/// It can never work: no standard output, certificates that cannot be read.
pub fn open(kind: &SinkKind, clients: &Clients) -> anyhow::Result<Rc<dyn Sink>> {
    Ok(match kind {
        SinkKind::Console => Rc::new(Console::stdout()?),
        SinkKind::Discord(config) => Rc::new(Http::new(Discord::new(config), &config.http, clients)?),
        SinkKind::Ntfy(config) => Rc::new(Http::new(Ntfy::new(config), &config.http, clients)?),
        SinkKind::Webhook(config) => Rc::new(Http::new(Webhook::new(config), &config.http, clients)?),
        SinkKind::Telegram(config) => Rc::new(Http::new(Telegram::new(config), &config.http, clients)?),
        SinkKind::Command(config) => Rc::new(Command::new(config)),
        SinkKind::File(config) => Rc::new(File::new(config)),
        SinkKind::Email(config) => Rc::new(Email::new(config)?),
        SinkKind::Syslog(config) => Rc::new(Syslog::new(config)?),
        SinkKind::Gotify(config) => Rc::new(Http::new(Gotify::new(config), &config.http, clients)?),
        SinkKind::Pushover(config) => Rc::new(Http::new(Pushover::new(config), &config.http, clients)?),
        SinkKind::Mattermost(config) => Rc::new(Http::new(Mattermost::new(config), &config.http, clients)?),
        SinkKind::Teams(config) => Rc::new(Http::new(Teams::new(config), &config.http, clients)?),
        SinkKind::SlackBot(config) => Rc::new(Http::new(SlackBot::new(config), &config.http, clients)?),
        SinkKind::Matrix(config) => Rc::new(Http::new(Matrix::new(config), &config.http, clients)?),
        SinkKind::PagerDuty(config) => Rc::new(Http::new(PagerDuty::new(config), &config.http, clients)?),
        SinkKind::Journald(config) => Rc::new(Journald::new(config)),
        SinkKind::Slack(config) => Rc::new(Http::new(Slack::new(config), &config.http, clients)?),
    })
}

/// How fast a sink may be sent to: as configured, or else as its service asks. No rate is no limit.
pub fn pace(kind: &SinkKind, choice: PaceChoice) -> Vec<Rate> {
    let of_service = match kind {
        SinkKind::Slack(_) => slack::PACE,
        SinkKind::SlackBot(_) => slack_bot::PACE,
        SinkKind::Discord(_) => discord::PACE,
        SinkKind::Ntfy(_) => ntfy::PACE,
        SinkKind::Telegram(_) => telegram::PACE,
        SinkKind::Teams(_) => teams::PACE,
        // Their documentation names none, or there is nobody to hurt.
        SinkKind::Console
        | SinkKind::Journald(_)
        | SinkKind::PagerDuty(_)
        | SinkKind::Matrix(_)
        | SinkKind::Mattermost(_)
        | SinkKind::Pushover(_)
        | SinkKind::Gotify(_)
        | SinkKind::Syslog(_)
        | SinkKind::Email(_)
        | SinkKind::File(_)
        | SinkKind::Command(_)
        | SinkKind::Webhook(_) => &[],
    };
    match choice {
        PaceChoice::OfService => of_service.to_vec(),
        PaceChoice::Unlimited => Vec::new(),
        PaceChoice::Own(rate) => vec![rate],
    }
}

/// How many deliveries a sink takes beside each other. More than one only where a program reads them, which tells them
/// apart by their ids: people read in the order in which messages come.
pub fn at_once(kind: &SinkKind) -> usize {
    match kind {
        SinkKind::Webhook(_) => webhook::AT_ONCE,
        SinkKind::Console
        | SinkKind::Discord(_)
        | SinkKind::Slack(_)
        | SinkKind::Journald(_)
        | SinkKind::PagerDuty(_)
        | SinkKind::Matrix(_)
        | SinkKind::SlackBot(_)
        | SinkKind::Teams(_)
        | SinkKind::Mattermost(_)
        | SinkKind::Pushover(_)
        | SinkKind::Gotify(_)
        | SinkKind::Syslog(_)
        | SinkKind::Email(_)
        | SinkKind::File(_)
        | SinkKind::Command(_)
        | SinkKind::Telegram(_)
        | SinkKind::Ntfy(_) => 1,
    }
}

/// Escapes a text for a service's markup and cuts what gets longer than `max_chars` by it, never within an escape.
///
/// `escape` is given what stands before a character, the character and what follows, and returns what takes its place.
fn escape_up_to(text: &str, max_chars: usize, escape: impl Fn(&str, char, &str) -> Option<String>) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = 0;
    for (at, character) in text.char_indices() {
        let (before, rest) = text.split_at(at);
        let piece = escape(before, character, rest.get(character.len_utf8()..).unwrap_or_default())
            .unwrap_or_else(|| character.to_string());
        chars += piece.chars().count();
        // One character is kept free for the sign that something was cut.
        if chars >= max_chars {
            escaped.push('…');
            break;
        }
        escaped.push_str(&piece);
    }
    escaped
}

/// A text of at most `max_bytes`, its end replaced by `…` where something was cut.
fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// A coloured circle, for services without colours.
fn circle(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Low) => "\u{1f7e2}",
        Some(Level::Medium) => "\u{1f7e1}",
        Some(Level::High) => "\u{1f534}",
        Some(Level::Unknown) => "\u{26aa}",
        None => "\u{1f7e0}",
    }
}

/// How loudly a message asks for attention, for services that know more than one tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// To be found when somebody looks.
    Low,
    Normal,
    High,
    /// Somebody should look now.
    Highest,
}

impl Urgency {
    /// By level; that a session ended is never urgent, and a summary never is.
    pub fn of(delivery: &Delivery) -> Self {
        if matches!(delivery.event, Event::Closed { .. } | Event::Summary { .. }) {
            return Self::Low;
        }
        match delivery.message.level {
            Some(Level::Low) => Self::Low,
            Some(Level::Unknown) => Self::Normal,
            Some(Level::Medium) | None => Self::High,
            Some(Level::High) => Self::Highest,
        }
    }
}

/// The colour of a level as 0xRRGGBB; `None` is news of the tracer itself.
pub fn colour(level: Option<Level>) -> u32 {
    match level {
        Some(Level::Low) => 0x02_ff_00,
        Some(Level::Medium) | None => 0xff_e2_00,
        Some(Level::High) => 0xff_00_02,
        Some(Level::Unknown) => 0x9e_9e_9e,
    }
}
