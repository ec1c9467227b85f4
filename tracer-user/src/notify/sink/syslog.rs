//! A system log, by RFC 5424: over the local socket and UDP one datagram, over TCP and TLS one frame with its length
//! before it (RFC 6587, RFC 5425).
//!
//! Structured data has the facts, the text is the summary. Nothing here confirms a message; where there is a
//! connection, it is closed in order and the server's end of it is waited for, so that a server that is gone or refuses
//! is noticed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{Exchange, Report, Sending, Sink};
use crate::assess::Level;
use crate::config::{self, Authority, SyslogServer};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::Outcome;
use crate::notify::record::Record;
use crate::sanitize;

/// What every receiver takes in one message (RFC 5424, section 6.1), in bytes.
const MAX_MESSAGE: usize = 2048;
/// Longest value in structured data, in characters.
const MAX_VALUE: usize = 128;
/// The private enterprise number for documentation (RFC 5612): this project has none of its own.
const SD_ID: &str = "login@32473";
/// How long a server may take to close its end. One that keeps it open has the message nonetheless.
const PATIENCE: Duration = Duration::from_secs(1);

/// One log.
pub struct Syslog {
    config: config::Syslog,
    tls: Option<TlsConnector>,
}

impl Syslog {
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(config: &config::Syslog) -> anyhow::Result<Self> {
        let tls = match &config.server {
            SyslogServer::Tls { ca, .. } => Some(connector(ca.as_ref())?),
            SyslogServer::Local(_) | SyslogServer::Udp { .. } | SyslogServer::Tcp { .. } => None,
        };
        Ok(Self { config: config.clone(), tls })
    }

    async fn write(&self, message: &[u8]) -> io::Result<()> {
        match &self.config.server {
            SyslogServer::Local(socket) => local(socket, message).await,
            SyslogServer::Udp { host, port } => udp(host, *port, message).await,
            SyslogServer::Tcp { host, port } => {
                frame(TcpStream::connect((host.as_str(), *port)).await?, message).await
            }
            SyslogServer::Tls { host, port, .. } => {
                let connector = self.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                frame(connector.connect(name, stream).await?, message).await
            }
        }
    }
}

impl Sink for Syslog {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async {
            let message = message(delivery, self.config.facility, std::process::id());
            let timeout = self.config.timeout;
            let report = match tokio::time::timeout(timeout, self.write(message.as_bytes())).await {
                Ok(Ok(())) => Report::of(Outcome::Delivered),
                Ok(Err(error)) => Report::no_answer(format!("cannot write to the log: {error}")),
                Err(_) => Report::no_answer(format!("the log took nothing within {timeout:?}")),
            };
            let received = match &report.outcome {
                Outcome::Delivered => "taken; no log confirms more\n".to_owned(),
                Outcome::Retry { why, .. }
                | Outcome::Doubtful { why }
                | Outcome::Park { why }
                | Outcome::Gone { why } => why.clone(),
            };
            report.with_exchange(Exchange { sent: format!("{message}\n"), received })
        })
    }
}

/// The message, without frame.
pub fn message(delivery: &Delivery, facility: u8, process: u32) -> String {
    let record = Record::new(delivery);
    let priority = u32::from(facility) * 8 + severity(delivery.message.level);
    let mut text = format!(
        "<{priority}>1 {} {} login-tracer {process} {} [{SD_ID}",
        record.at,
        header(record.host),
        header(record.kind)
    );
    for (name, value) in facts(&record) {
        text.push_str(&format!(" {name}=\"{}\"", parameter(&value)));
    }
    // The byte order mark says that the text is UTF-8.
    text.push_str(&format!("] \u{feff}{}", record.summary));
    super::cut(&text, MAX_MESSAGE)
}

/// RFC 5424, table 2.
fn severity(level: Option<Level>) -> u32 {
    match level {
        Some(Level::High) => 2,
        Some(Level::Medium) | None => 4,
        Some(Level::Unknown) => 5,
        Some(Level::Low) => 6,
    }
}

fn facts(record: &Record<'_>) -> Vec<(&'static str, String)> {
    let session = record.session.as_ref();
    let peer = session.and_then(|session| session.peer.as_ref());
    [
        ("id", Some(record.id.clone())),
        ("session", session.map(|session| session.session.to_owned())),
        ("user", session.and_then(|session| session.user).map(str::to_owned)),
        ("uid", session.and_then(|session| session.uid).map(|uid| uid.to_string())),
        ("address", peer.map(|peer| peer.address.clone())),
        ("port", peer.map(|peer| peer.port.to_string())),
        ("level", record.level.map(|level| level.to_string())),
        ("score", record.score().map(|score| score.to_string())),
        ("duration", session.and_then(|session| session.duration_s).map(|seconds| format!("{seconds:.3}"))),
        ("end", session.and_then(|session| session.end).map(str::to_owned)),
        ("lost", record.events_lost.map(|lost| lost.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// A value of structured data: `"`, `\` and `]` are escaped.
fn parameter(value: &str) -> String {
    let mut escaped = String::new();
    for character in sanitize::text(value, MAX_VALUE).chars() {
        if matches!(character, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A word of the header: visible ASCII, `-` for none.
fn header(word: &str) -> String {
    let word: String = word.chars().filter(char::is_ascii_graphic).take(255).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

async fn local(socket: &Path, message: &[u8]) -> io::Result<()> {
    let ours = UnixDatagram::unbound()?;
    ours.connect(socket)?;
    all(ours.send(message).await?, message)
}

async fn udp(host: &str, port: u16, message: &[u8]) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in tokio::net::lookup_host((host, port)).await? {
        let any: std::net::IpAddr =
            if address.is_ipv4() { [0, 0, 0, 0].into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
        let attempt = async {
            let ours = UdpSocket::bind((any, 0)).await?;
            ours.connect(address).await?;
            all(ours.send(message).await?, message)
        };
        match attempt.await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn all(sent: usize, message: &[u8]) -> io::Result<()> {
    if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Sends one frame and sees the connection to its end.
async fn frame(mut stream: impl AsyncRead + AsyncWrite + Unpin, message: &[u8]) -> io::Result<()> {
    let mut frame = format!("{} ", message.len()).into_bytes();
    frame.extend_from_slice(message);
    stream.write_all(&frame).await?;
    stream.shutdown().await?;
    let mut answer = [0; 64];
    let end = async {
        while stream.read(&mut answer).await? > 0 {}
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, end).await {
        Ok(Err(error)) if is_end(&error) => Ok(()),
        Ok(ended) => ended,
        Err(_) => Ok(()),
    }
}

/// Whether an error only says that the other one hung up without the farewell of TLS: it had read what was sent.
fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn connector(authority: Option<&Authority>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(authority) = authority {
        for certificate in CertificateDer::pem_slice_iter(authority.pem.as_bytes()) {
            let added = certificate.map_err(anyhow::Error::from).and_then(|it| Ok(roots.add(it)?));
            added.with_context(|| format!("cannot use the certificates in {}", authority.path.display()))?;
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS for syslog")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
