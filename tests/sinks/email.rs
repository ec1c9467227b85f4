//! Mail, to a real mail server (aiosmtpd) and as a real mail parser (Python's) reads it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, thread};

use expect_test::expect_file;
use login_tracer::config::{self, MailRelay, Secret, Smtp, SmtpTls};
use login_tracer::notify::message::{Event, Label};
use login_tracer::notify::outbox::Delivery;
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::Report;
use login_tracer::notify::sink::email::Email;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::certificates::Certificates;
use crate::over_http::{SECRET, Then};
use crate::plain;
use crate::scene::{Strangers, closed, hostile_message, messages, now, opened, send};

/// The mail server as a process; ends with the test.
struct Server {
    process: Child,
    port: u16,
    mails: mpsc::Receiver<Value>,
}

impl Server {
    fn start(mode: &str, certificates: &Certificates, password: &str) -> Option<Self> {
        let mut process = Command::new("/usr/bin/python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/doubles/smtp.py"))
            .arg(mode)
            .args([certificates.path("server.pem"), certificates.path("server.key")])
            .arg(password)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let Some(Ok(port)) = lines.next() else {
            process.wait().unwrap();
            return None;
        };
        let (sender, mails) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Some(Self { process, port: port.parse().unwrap(), mails })
    }

    fn mail(&self) -> Value {
        self.mails.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Says that a test cannot run here; where none may be skipped, it fails.
fn skip(what: &str) {
    assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "there is no {what}");
}

fn email(
    port: u16,
    tls: SmtpTls,
    certificates: Option<&Certificates>,
    password: Option<&str>,
    to: &[&str],
) -> Email {
    let server = Smtp {
        host: "localhost".to_owned(),
        port,
        tls,
        login: password.map(|password| ("host".to_owned(), Secret::new(password.to_owned()))),
        ca: certificates.map(Certificates::authority),
    };
    through(MailRelay::Smtp(server), to)
}

fn through(relay: MailRelay, to: &[&str]) -> Email {
    let to = to.iter().map(|to| (*to).to_owned()).collect();
    let from = "login-tracer <tracer@example.org>".to_owned();
    Email::new(&config::Email { from, to, relay, timeout: Duration::from_secs(5) }).unwrap()
}

fn tell(email: &Email) -> Report {
    let report = send(email, &opened(&Strangers::polite(), 12));
    assert!(!format!("{report:?}").contains("hush"), "{report:?}");
    report
}

#[test]
fn messages_as_they_are_sent() {
    let email = email(25, SmtpTls::None, None, None, &["ops@example.org", "Boss <boss@example.org>"]);
    let mut golden = String::new();
    for (title, mut delivery) in messages() {
        if title == "logout" {
            delivery.first_receipt = Some("<first@example.org>".to_owned());
        }
        let mail = String::from_utf8(email.mail(&delivery, now()).unwrap().formatted()).unwrap();
        golden.push_str(&format!("## {title}\n{}\n", mail.replace('\r', "")));
    }
    expect_file![format!("{}/../tests/goldens/sinks/email.txt", env!("CARGO_MANIFEST_DIR"))]
        .assert_eq(&golden);
}

#[test]
fn mail_arrives_over_tls_and_never_without() {
    let Some(certificates) = Certificates::new() else { return skip("openssl") };
    let modes = [("implicit", SmtpTls::Implicit), ("starttls", SmtpTls::StartTls)];
    let to = ["ops@example.org", "boss@example.org"];
    for (mode, tls) in modes {
        let Some(server) = Server::start(mode, &certificates, SECRET) else { return skip("aiosmtpd") };
        let sink = email(server.port, tls, Some(&certificates), Some(SECRET), &to);
        let report = tell(&sink);
        assert_eq!((report.outcome, report.status), (Outcome::Delivered, Some(250)), "{mode}");
        let mail = server.mail();
        assert_eq!(mail["to"], json!(to));
        assert_eq!(
            (&mail["from"], &mail["tls"], &mail["user"]),
            (&json!("tracer@example.org"), &json!(true), &json!("host"))
        );
        let content = mail["content"].as_str().unwrap();
        assert!(content.contains(&format!("Message-ID: {}", report.receipt.unwrap())), "{content}");
        // A certificate that nobody vouches for, a password that is wrong, none where one is needed.
        let report = tell(&email(server.port, tls, None, Some(SECRET), &to));
        assert_eq!(Then::from(&report.outcome), Then::Again(None), "{mode}: {report:?}");
        assert!(format!("{report:?}").contains("ertificate"), "{report:?}");
        let report = tell(&email(server.port, tls, Some(&certificates), Some("hush, another one"), &to));
        assert_eq!((Then::from(&report.outcome), report.status), (Then::Gone, Some(535)), "{mode}");
        let report = tell(&email(server.port, tls, Some(&certificates), None, &to));
        assert_eq!(Then::from(&report.outcome), Then::Gone, "{mode}: {report:?}");
        assert!(server.mails.try_recv().is_err());
    }
    // A server without STARTTLS, or somebody in between who hides it, gets neither password nor mail.
    let Some(server) = Server::start("plain", &certificates, "") else { return skip("aiosmtpd") };
    let report = tell(&email(server.port, SmtpTls::StartTls, Some(&certificates), Some(SECRET), &to));
    assert_eq!(Then::from(&report.outcome), Then::Again(None), "{report:?}");
    assert!(server.mails.try_recv().is_err());
    // Within the host, it may be asked to do without.
    assert_eq!(tell(&email(server.port, SmtpTls::None, None, None, &to)).outcome, Outcome::Delivered);
    assert_eq!(server.mail()["tls"], json!(false));
}

#[test]
fn every_answer_has_its_consequence() {
    let Some(certificates) = Certificates::new() else { return skip("openssl") };
    let Some(server) = Server::start("plain", &certificates, "") else { return skip("aiosmtpd") };
    for (to, expected, status) in [
        (&["ops@example.org"][..], Then::Done, 250),
        (&["grey@example.org"], Then::Again(None), 451),
        (&["full@example.org"], Then::Again(None), 452),
        (&["gone@example.org"], Then::Never, 550),
        (&["ops@example.org", "gone@example.org"], Then::Never, 550),
    ] {
        let report = tell(&email(server.port, SmtpTls::None, None, None, to));
        assert_eq!((Then::from(&report.outcome), report.status), (expected, Some(status)), "{report:?}");
    }
    // Nobody there; somebody who is no mail server; somebody who says nothing.
    let report = tell(&email(1, SmtpTls::None, None, None, &["ops@example.org"]));
    assert_eq!(Then::from(&report.outcome), Then::Again(None), "{report:?}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(stream);
        let silent = listener.accept();
        thread::sleep(Duration::from_secs(60));
        drop(silent);
    });
    let report = tell(&email(port, SmtpTls::None, None, None, &["ops@example.org"]));
    assert_eq!(Then::from(&report.outcome), Then::Doubt, "{report:?}");
    let report = tell(&email(port, SmtpTls::None, None, None, &["ops@example.org"]));
    assert_eq!(Then::from(&report.outcome), Then::Again(None), "{report:?}");
}

#[test]
fn sendmail_is_given_the_mail_and_its_recipients() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sendmail");
    let taken = folder.path().join("taken");
    let script = |end: &str| format!("#!/bin/sh\necho \"$@\" >{0}; cat >>{0}; {end}\n", taken.display());
    for (end, expected) in [
        ("exit 0", Then::Done),
        ("exit 75", Then::Again(None)),
        ("exit 67", Then::Never),
        ("exit 1", Then::Again(None)),
    ] {
        fs::write(&program, script(end)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let report =
            tell(&through(MailRelay::Sendmail(program.clone()), &["ops@example.org", "boss@example.org"]));
        assert_eq!(Then::from(&report.outcome), expected, "{end}: {report:?}");
        let taken = fs::read_to_string(&taken).unwrap();
        assert!(
            taken.starts_with("-i -f tracer@example.org -- ops@example.org boss@example.org\nFrom: "),
            "{taken}"
        );
    }
    let report = tell(&through(MailRelay::Sendmail(folder.path().join("none")), &["ops@example.org"]));
    assert_eq!(Then::from(&report.outcome), Then::Again(None), "{report:?}");
}

#[test]
fn the_end_answers_the_beginning() {
    let email = email(25, SmtpTls::None, None, None, &["ops@example.org"]);
    let delivery =
        Delivery { first_receipt: Some("<a@example.org>".to_owned()), ..closed(&Strangers::polite(), 1) };
    let mail = String::from_utf8(email.mail(&delivery, now()).unwrap().formatted()).unwrap();
    assert!(mail.contains("In-Reply-To: <a@example.org>\r\nReferences: <a@example.org>\r\n"), "{mail}");
    let again = String::from_utf8(email.mail(&delivery, now()).unwrap().formatted()).unwrap();
    assert_eq!(mail, again);
}

/// Reads mails (a list of texts) and says what a mail program sees in each.
const READER: &str = r#"
import email, email.policy, html.parser, json, sys
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(); self.tags = []; self.texts = []; self.odd = []
    def handle_starttag(self, tag, attributes): self.tags.append(tag)
    def handle_data(self, data):
        if data.strip(): self.texts.append(data)
    def handle_comment(self, data): self.odd.append(data)
    def handle_pi(self, data): self.odd.append(data)
seen = []
for text in json.load(sys.stdin):
    mail = email.message_from_bytes(text.encode(), policy=email.policy.default)
    page = Page(); page.feed(mail.get_body(("html",)).get_content())
    seen.append({"headers": mail.keys(), "subject": mail["subject"], "parts": len(list(mail.iter_parts())),
        "defects": [str(d) for d in mail.defects], "text": mail.get_body(("plain",)).get_content(),
        "tags": sorted(set(page.tags)), "cells": page.texts, "odd": page.odd})
json.dump(seen, sys.stdout)
"#;

#[test]
fn no_name_means_anything() {
    let email = email(25, SmtpTls::None, None, None, &["ops@example.org"]);
    let mut runner = TestRunner::deterministic();
    let deliveries: Vec<Delivery> =
        (0..300).map(|_| hostile_message().new_tree(&mut runner).unwrap().current()).collect();
    let mails: Vec<String> = deliveries
        .iter()
        .map(|delivery| String::from_utf8(email.mail(delivery, now()).unwrap().formatted()).unwrap())
        .collect();
    let python =
        Command::new("python3").args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut python) = python else { return skip("python3") };
    let mut stdin = python.stdin.take().unwrap();
    let input = serde_json::to_vec(&mails).unwrap();
    thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = python.wait_with_output().unwrap();
    let seen: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen.len(), deliveries.len());
    for (seen, delivery) in seen.iter().zip(&deliveries) {
        let known = [
            "From",
            "Date",
            "Message-ID",
            "Subject",
            "To",
            "Auto-Submitted",
            "X-Priority",
            "MIME-Version",
            "Content-Type",
        ];
        let headers = seen["headers"].as_array().unwrap();
        assert!(headers.iter().all(|header| known.contains(&header.as_str().unwrap())), "{seen}");
        assert_eq!(
            (&seen["parts"], &seen["defects"], &seen["odd"]),
            (&json!(2), &json!([]), &json!([])),
            "{seen}"
        );
        assert_eq!(seen["tags"], json!(["b", "body", "div", "html", "p", "table", "td", "tr"]), "{seen}");
        let text = seen["text"].as_str().unwrap().replace("\r\n", "\n");
        let (title, rest) = text.split_once("\n\n").unwrap();
        plain::check(title, rest.strip_suffix('\n').unwrap(), delivery).unwrap();
        assert_eq!(seen["subject"].as_str(), Some(title));
        let is_drawn = matches!(delivery.event, Event::Summary { .. });
        let lines = delivery.message.lines.iter().filter(|line| !is_drawn || line.label != Label::Chart);
        let lines: Vec<_> = lines.collect();
        let cells: Vec<_> =
            seen["cells"].as_array().unwrap().iter().map(|cell| cell.as_str().unwrap()).collect();
        // Between the title and the lines there is a chart of a summary, with nothing of strangers in it.
        let (chart, rows) = cells[1..].split_at(cells.len() - 1 - 2 * lines.len());
        let bars = if let Event::Summary { summary, .. } = &delivery.event { &summary.bars[..] } else { &[] };
        assert_eq!(chart.is_empty(), bars.is_empty(), "{cells:?}");
        let is_ours = |cell: &&str| cell.parse::<u64>().is_ok() || bars.iter().any(|bar| bar.label == *cell);
        assert!(chart.iter().all(is_ours), "{chart:?}");
        for (row, line) in rows.chunks(2).zip(lines) {
            assert_eq!(row[0], line.label.as_str());
            assert_eq!(row[1], login_tracer::sanitize::unlinked(&line.text));
        }
    }
}
