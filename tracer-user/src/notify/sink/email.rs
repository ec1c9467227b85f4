//! Mail, as text and HTML, through a server or the `sendmail` of this host.
//!
//! TLS is there from the first byte or after a STARTTLS that must succeed; nothing goes on without it. The `Message-ID` is
//! made from the delivery, so that a repetition can be told from a second message, and the mail about the end of a
//! session answers the one about its beginning. One mail goes to all recipients; it counts as delivered when the
//! server has taken it for every one of them.

mod chart;

use std::error::Error as _;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use jiff::Timestamp;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};

use super::markup::html;
use super::process::{Job, run};
use super::redaction::Redaction;
use super::{Exchange, Report, Sending, Sink, Urgency, colour};
use crate::config::{self, MailRelay, Smtp, SmtpTls};
use crate::notify::message::{Event, Label, Message};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::Outcome;
use crate::sanitize;

/// Longest reason that is kept, in characters.
const REASON_CHARS: usize = 200;

/// Recipients, and the way to them.
pub struct Email {
    from: Mailbox,
    to: Vec<Mailbox>,
    relay: Relay,
    timeout: Duration,
    redaction: Redaction,
}

enum Relay {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Sendmail(PathBuf),
}

impl Email {
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(config: &config::Email) -> anyhow::Result<Self> {
        let (relay, password) = match &config.relay {
            MailRelay::Smtp(server) => {
                let password = server.login.as_ref().map_or("", |(_, password)| password.expose());
                (Relay::Smtp(transport(server, config.timeout)?), password)
            }
            MailRelay::Sendmail(program) => (Relay::Sendmail(program.clone()), ""),
        };
        let mailbox = |text: &String| text.parse().with_context(|| format!("{text} is no mail address"));
        Ok(Self {
            from: mailbox(&config.from)?,
            to: config.to.iter().map(mailbox).collect::<anyhow::Result<_>>()?,
            relay,
            timeout: config.timeout,
            redaction: Redaction::new([password]),
        })
    }

    /// The mail that delivers a message. `now` is its date.
    ///
    /// # Errors
    /// The mail cannot be built; no name that a stranger chose can be the reason.
    pub fn mail(&self, delivery: &Delivery, now: Timestamp) -> Result<Mail, lettre::error::Error> {
        let message = &delivery.message;
        let mut builder = Mail::builder()
            .from(self.from.clone())
            .date(SystemTime::from(now))
            .message_id(Some(self.message_id(delivery)))
            .subject(message.title());
        for recipient in &self.to {
            builder = builder.to(recipient.clone());
        }
        if let Some(first) = &delivery.first_receipt {
            builder = builder.in_reply_to(first.clone()).references(first.clone());
        }
        // RFC 3834: no vacation notice answers this.
        builder = builder.raw_header(raw("Auto-Submitted", "auto-generated"));
        if Urgency::of(delivery) == Urgency::Highest {
            builder = builder.raw_header(raw("X-Priority", "1 (Highest)"));
        }
        // `=` never stands in encoded text, nor does anybody know the id before: no text can end its part.
        let boundary = format!("=_{}", delivery.id.simple());
        builder.multipart(
            MultiPart::alternative()
                .boundary(boundary)
                .singlepart(SinglePart::plain(format!("{}\n\n{}\n", message.title(), message.text())))
                .singlepart(
                    SinglePart::builder().header(ContentType::TEXT_HTML).body(page(message, &delivery.event)),
                ),
        )
    }

    /// The name of the mail, the same in every repetition.
    fn message_id(&self, delivery: &Delivery) -> String {
        format!("<{}@{}>", delivery.id, self.from.email.domain())
    }

    async fn deliver(&self, delivery: &Delivery) -> Report {
        let mail = match self.mail(delivery, Timestamp::now()) {
            Ok(mail) => mail,
            Err(error) => {
                return Report::of(Outcome::Park { why: format!("no mail can be made of it: {error}") });
            }
        };
        let sent = String::from_utf8_lossy(&mail.formatted()).into_owned();
        let (report, received) = match &self.relay {
            Relay::Smtp(server) => self.to_server(server, mail).await,
            Relay::Sendmail(program) => self.to_sendmail(program, &mail).await,
        };
        let receipt = (report.outcome == Outcome::Delivered).then(|| self.message_id(delivery));
        Report { receipt, ..report }.with_exchange(Exchange { sent, received })
    }

    async fn to_server(&self, server: &AsyncSmtpTransport<Tokio1Executor>, mail: Mail) -> (Report, String) {
        // The library's time limit is for each command; this one is for all of them.
        match tokio::time::timeout(self.timeout, server.send(mail)).await {
            Err(_) => {
                let why = format!("no answer within {:?}", self.timeout);
                (Report::no_answer(why.clone()), why)
            }
            Ok(Ok(response)) => {
                let answer: Vec<_> = response.message().collect();
                let status = u16::from(response.code());
                let shown = self.redaction.apply(&format!("{status} {}\n", answer.join(" ")));
                (Report { status: Some(status), ..Report::of(Outcome::Delivered) }, shown)
            }
            Ok(Err(error)) => {
                let status = error.status().map(u16::from);
                let why = sanitize::text(&self.redaction.apply(&reason(&error)), REASON_CHARS);
                (Report { status, ..Report::of(outcome(&error, why.clone())) }, why)
            }
        }
    }

    async fn to_sendmail(&self, program: &PathBuf, mail: &Mail) -> (Report, String) {
        let envelope = mail.envelope();
        // A lone dot ends nothing; recipients are arguments behind `--`, so none of them is an option.
        let mut argv: Vec<OsString> = vec![program.into(), "-i".into()];
        if let Some(from) = envelope.from() {
            argv.extend(["-f".into(), from.to_string().into()]);
        }
        argv.push("--".into());
        argv.extend(envelope.to().iter().map(|recipient| OsString::from(recipient.to_string())));
        let input = mail.formatted();
        let job = Job { argv, environment: Vec::new(), input: &input, timeout: self.timeout };
        let ended = match run(job).await {
            Ok(ended) => ended,
            Err(error) => {
                let why = format!("cannot start {}: {error}", program.display());
                return (Report::no_answer(why.clone()), why);
            }
        };
        if ended.status.is_some_and(|status| status.success()) {
            return (Report::of(Outcome::Delivered), format!("taken by {}\n", program.display()));
        }
        let status =
            ended.status.map_or_else(|| "it did not end in time".to_owned(), |status| status.to_string());
        let why = sanitize::text(&format!("{status}: {}", ended.said.trim()), REASON_CHARS);
        // `sysexits(3)`: data that is wrong, and a recipient or host that is not known.
        let outcome = match ended.status.and_then(|status| status.code()) {
            Some(65 | 67 | 68) => Outcome::Park { why: why.clone() },
            Some(_) | None => Outcome::Retry { after: None, why: why.clone() },
        };
        (Report::of(outcome), why)
    }
}

impl Sink for Email {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(self.deliver(delivery))
    }
}

fn transport(server: &Smtp, timeout: Duration) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
    let tls = match server.tls {
        SmtpTls::None => Tls::None,
        SmtpTls::Implicit => Tls::Wrapper(parameters(server)?),
        SmtpTls::StartTls => Tls::Required(parameters(server)?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(timeout))
        .hello_name(ClientId::Domain(own_name()));
    if let Some((user, password)) = &server.login {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

fn parameters(server: &Smtp) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(authority) = &server.ca {
        let certificate = Certificate::from_pem(authority.pem.as_bytes())
            .with_context(|| format!("cannot read the certificates in {}", authority.path.display()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().context("cannot set up TLS for mail")
}

/// The name that this host greets with.
fn own_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_good = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if is_good { name } else { "localhost".to_owned() }
}

/// What follows from a failure. Codes of 400 pass (greylisting is one), those of 500 do not.
/// A server that does not take our password (RFC 4954: 530, 534, 535) will not take any mail.
fn outcome(error: &smtp::Error, why: String) -> Outcome {
    if error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535)) {
        Outcome::Gone { why }
    } else if error.is_permanent() {
        Outcome::Park { why }
    } else if error.is_response() {
        Outcome::Doubtful { why: format!("not an answer of a mail server, {why}") }
    } else {
        Outcome::Retry { after: None, why }
    }
}

/// The failure and its innermost cause.
fn reason(error: &smtp::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    let words = error.to_string();
    match cause.map(ToString::to_string) {
        Some(cause) if !words.contains(&cause) => format!("{words}: {cause}"),
        Some(_) | None => words,
    }
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The message as HTML: a coloured bar, the summary, the details, and for a summary the logins as a chart. Nothing in it
/// is a link or loads anything.
fn page(message: &Message, event: &Event) -> String {
    let text = |text: &str| html(&sanitize::unlinked(text));
    let drawn =
        if let Event::Summary { summary, .. } = event { chart::chart(&summary.bars) } else { String::new() };
    let mut page = format!(
        "<!doctype html>\n<html>\n<body>\n<div style=\"border-left:6px solid #{:06x};padding:4px 0 4px 14px;\
         font-family:sans-serif\">\n<p style=\"font-size:16px\"><b>{}</b></p>\n{}<table style=\"font-size:14px\">\n",
        colour(message.level),
        text(&message.summary),
        drawn
    );
    for line in message.lines.iter().filter(|line| drawn.is_empty() || line.label != Label::Chart) {
        page.push_str(&format!(
            "<tr><td style=\"color:#666666;padding-right:14px;vertical-align:top\">{}</td><td>{}</td></tr>\n",
            line.label.as_str(),
            text(&line.text)
        ));
    }
    page.push_str("</table>\n</div>\n</body>\n</html>\n");
    page
}
