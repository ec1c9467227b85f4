//! HTTP, as all sinks over it use it: one request, one answer of bounded size, within a time, from the configured host
//! alone.
//!
//! A [`Service`] says what is sent and what an answer means, both without any I/O; [`Http`] does the rest. No redirect
//! is followed: a message and its token are for nobody that the service points at. Proxies are those of the
//! environment (`HTTPS_PROXY`, `NO_PROXY`); an own authority may be added to those of the system.

use std::cell::OnceCell;
use std::error::Error;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method};
use serde::Serialize;

use super::redaction::{HIDDEN, Redaction};
use super::{Exchange, Report, Sending, Sink};
use crate::config::{self, Secret};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};
use crate::sanitize;

/// How much of an answer is read, in bytes. Services that confirm a message by repeating it stay below.
const MAX_ANSWER: usize = 64 << 10;
/// Longest reason of a failed connection that is kept, in characters.
const REASON_CHARS: usize = 200;
/// Names this program to services.
const USER_AGENT: &str = concat!("login-tracer/", env!("CARGO_PKG_VERSION"));

/// What is particular to one service.
pub trait Service {
    /// Its name in sentences.
    const NAME: &'static str;

    /// The request that delivers a message; `None` for one that this sink has no use for. Pure: `now` is the time that
    /// signatures carry.
    fn request(&self, delivery: &Delivery, now: Timestamp) -> Option<Request>;

    /// What follows from an answer.
    fn outcome(&self, answer: &Answer) -> Outcome;

    /// The service's own name for a message that it took, kept for those that refer to it.
    fn receipt(&self, _answer: &Answer) -> Option<String> {
        None
    }

    /// What must never be shown.
    fn secrets(&self) -> Vec<&str>;
}

/// One request. It has no `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Request {
    /// A `POST` of JSON.
    pub fn json(url: impl Into<String>, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("a payload of texts and numbers is JSON");
        Self {
            method: Method::POST,
            url: url.into(),
            headers: vec![(CONTENT_TYPE_NAME, "application/json".to_owned())],
            body,
        }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The request as it goes out, for people.
    fn shown(&self, redaction: &Redaction) -> String {
        let mut text = format!("{} {}\nuser-agent: {USER_AGENT}\n", self.method, self.url);
        for (name, value) in &self.headers {
            // Credentials in any form, also one that is not known here.
            let value = if *name == AUTHORIZATION { HIDDEN } else { value };
            text.push_str(&format!("{name}: {value}\n"));
        }
        redaction.apply(&format!("{text}\n{}\n", self.body))
    }
}

/// Name of the header.
const CONTENT_TYPE_NAME: &str = "content-type";
/// Name of the header that holds credentials.
pub const AUTHORIZATION: &str = "authorization";

/// The value of `authorization` for a token.
pub fn bearer(token: &Secret) -> String {
    format!("Bearer {}", token.expose())
}

/// The value of `authorization` for a name and a password.
pub fn basic(user: &str, password: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
}

/// A service with the connection to it.
pub struct Http<S> {
    service: S,
    client: Client,
    timeout: Duration,
    redaction: Redaction,
}

impl<S: Service> Http<S> {
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(service: S, settings: &config::Http, clients: &Clients) -> anyhow::Result<Self> {
        let redaction = Redaction::new(service.secrets());
        Ok(Self { client: clients.get(settings)?, timeout: settings.timeout, redaction, service })
    }

    /// The request for a message as people may see it; nothing is sent.
    pub fn preview(&self, delivery: &Delivery, now: Timestamp) -> Option<String> {
        self.service.request(delivery, now).map(|request| request.shown(&self.redaction))
    }

    async fn exchange(&self, request: &Request) -> Result<(Answer, String), reqwest::Error> {
        let mut builder = self
            .client
            .request(request.method.clone(), &request.url)
            .timeout(self.timeout)
            .body(request.body.clone());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let mut response = builder.send().await?;
        let status = response.status().as_u16();
        let mut shown = format!("HTTP {status}\n");
        for header in [CONTENT_TYPE, RETRY_AFTER] {
            if let Some(value) = response.headers().get(&header) {
                shown.push_str(&format!("{header}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            }
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.map(str::to_owned);
        let mut body = Vec::new();
        while body.len() < MAX_ANSWER
            && let Some(chunk) = response.chunk().await?
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(MAX_ANSWER);
        let body = String::from_utf8_lossy(&body).into_owned();
        let mut answer = Answer::new(status, after.as_deref(), body, Timestamp::now());
        // Before anything of it is quoted or cut: half a secret is one still.
        answer.shown = self.redaction.apply(&answer.body);
        shown = format!("{}\n{}\n", self.redaction.apply(&shown), answer.shown);
        Ok((answer, shown))
    }

    fn no_answer(&self, error: &reqwest::Error) -> Report {
        let why = if error.is_timeout() {
            format!("no answer within {:?}", self.timeout)
        } else {
            let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
            // The innermost cause; the outer ones name the URL.
            let mut cause: &dyn Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            let cause = if std::ptr::addr_eq(cause, error) { String::new() } else { format!(": {cause}") };
            self.redaction.apply(&format!("{what}{cause}"))
        };
        Report::no_answer(sanitize::text(&why, REASON_CHARS))
    }
}

impl<S: Service> Sink for Http<S> {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async {
            let Some(request) = self.service.request(delivery, Timestamp::now()) else {
                return Report::not_wanted();
            };
            let sent = request.shown(&self.redaction);
            let (report, received) = match self.exchange(&request).await {
                Ok((answer, received)) => {
                    let outcome = self.service.outcome(&answer);
                    let receipt = self.service.receipt(&answer).filter(|_| outcome == Outcome::Delivered);
                    let report = Report { outcome, status: Some(answer.status), receipt, exchange: None };
                    (report, received)
                }
                Err(error) => (self.no_answer(&error), "nothing\n".to_owned()),
            };
            report.with_exchange(Exchange { sent, received })
        })
    }
}

/// The HTTP clients of the role: one that all share, and one for each own authority. None is built before it is used:
/// reading the system's certificates takes time and memory.
#[derive(Default)]
pub struct Clients {
    shared: OnceCell<Client>,
}

impl Clients {
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses this client, which must not follow redirects.
    pub fn with(client: Client) -> Self {
        Self { shared: OnceCell::from(client) }
    }

    /// The client for what is configured without an authority of its own.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn shared(&self) -> anyhow::Result<Client> {
        if let Some(client) = self.shared.get() {
            return Ok(client.clone());
        }
        let client = build(None)?;
        Ok(self.shared.get_or_init(|| client).clone())
    }

    fn get(&self, settings: &config::Http) -> anyhow::Result<Client> {
        match &settings.ca {
            None => self.shared(),
            Some(authority) => build(Some(authority)),
        }
    }
}

fn build(authority: Option<&config::Authority>) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        // Tokens and messages are for the configured services and for nobody they point at.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false);
    if let Some(authority) = authority {
        let certificates = reqwest::Certificate::from_pem_bundle(authority.pem.as_bytes())
            .with_context(|| format!("cannot read the certificates in {}", authority.path.display()))?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().context("cannot set up HTTPS")
}

#[cfg(test)]
mod tests {
    use super::super::slack::Slack;
    use super::*;
    use crate::notify::message;

    #[test]
    fn the_address_is_in_no_reason() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clients = Clients::with(Client::builder().no_proxy().build().unwrap());
        // A port that nothing listens on, and a URL that is none.
        for url in ["http://127.0.0.1:1/services/T0/B0/verysecret", "verysecret", "http://verysecret:x/"] {
            let settings = config::Http { timeout: Duration::from_secs(5), ca: None };
            let config = config::Slack { webhook_url: Secret::new(url.to_owned()), http: settings };
            let slack = Http::new(Slack::new(&config), &config.http, &clients).unwrap();
            let delivery = message::example("web-1", Timestamp::UNIX_EPOCH);
            let report = runtime.block_on(slack.send(&delivery));
            assert!(matches!(report.outcome, Outcome::Retry { .. }), "{report:?}");
            assert!(!format!("{report:?}").contains("verysecret"), "{report:?}");
        }
    }
}
