//! System logs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use expect_test::expect_file;
use login_tracer::config::{self, SyslogServer};
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::Report;
use login_tracer::notify::sink::syslog::{Syslog, message};
use login_tracer::sanitize::{self, is_hostile};
use proptest::prelude::*;

use crate::certificates::Certificates;
use crate::over_http::Then;
use crate::scene::{Strangers, hostile_message, messages, opened, send, user_of};

#[path = "../doubles/syslog.rs"]
mod double;

fn tell(server: SyslogServer) -> Report {
    let config = config::Syslog { server, facility: 10, timeout: Duration::from_secs(5) };
    send(&Syslog::new(&config).unwrap(), &opened(&Strangers::polite(), 12))
}

#[test]
fn messages_as_they_are_sent() {
    let mut golden = String::new();
    for (title, delivery) in messages() {
        let message = message(&delivery, 10, 4711);
        let parsed = double::parse(message.as_bytes()).unwrap();
        assert_eq!(parsed.facility, 10);
        golden.push_str(&format!("## {title}\n{message}\n\n"));
    }
    expect_file![format!("{}/../tests/goldens/sinks/syslog.txt", env!("CARGO_MANIFEST_DIR"))]
        .assert_eq(&golden);
}

#[test]
fn over_the_local_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    assert_eq!(Then::from(&tell(SyslogServer::Local(path.clone())).outcome), Then::Again(None));
    let socket = UnixDatagram::bind(&path).unwrap();
    assert_eq!(tell(SyslogServer::Local(path.clone())).outcome, Outcome::Delivered);
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let parsed = double::parse(&buffer[..length]).unwrap();
    assert_eq!((parsed.severity, parsed.kind.as_str(), parsed.data["user"].as_str()), (6, "opened", "alice"));
    // Nobody reads, and its buffer is full: the message is not thrown away.
    socket.set_nonblocking(true).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(&[b'.'; 100], &path).is_ok() {}
    assert_eq!(Then::from(&tell(SyslogServer::Local(path.clone())).outcome), Then::Again(None));
    drop(socket);
    assert_eq!(Then::from(&tell(SyslogServer::Local(path)).outcome), Then::Again(None));
}

#[test]
fn over_udp() {
    for host in ["127.0.0.1", "localhost"] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        // `localhost` may mean ::1 first; UDP does not say whether somebody listens there.
        if host == "localhost" && UdpSocket::bind(("::1", port)).is_ok() {
            continue;
        }
        assert_eq!(tell(SyslogServer::Udp { host: host.to_owned(), port }).outcome, Outcome::Delivered);
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        double::parse(&buffer[..length]).unwrap();
    }
}

#[test]
fn over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = || SyslogServer::Tcp { host: "127.0.0.1".to_owned(), port };
    let reader = thread::spawn(move || {
        // One who reads and hangs up, one who reads and says nothing, one who resets.
        let mut frames = Vec::new();
        for quiet in [false, true] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut frame = Vec::new();
            stream.read_to_end(&mut frame).unwrap();
            frames.push(frame);
            if quiet {
                thread::sleep(Duration::from_secs(2));
            }
        }
        let (stream, _) = listener.accept().unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        frames
    });
    assert_eq!(tell(server()).outcome, Outcome::Delivered);
    assert_eq!(tell(server()).outcome, Outcome::Delivered);
    assert_eq!(Then::from(&tell(server()).outcome), Then::Again(None));
    for frame in reader.join().unwrap() {
        let space = frame.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&frame[..space]).unwrap().parse().unwrap();
        assert_eq!(length, frame.len() - space - 1);
        double::parse(&frame[space + 1..]).unwrap();
    }
    assert_eq!(Then::from(&tell(server()).outcome), Then::Again(None));
}

#[test]
fn over_tls() {
    let Some(certificates) = Certificates::new() else {
        assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "there is no openssl");
        return;
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut openssl = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")])
        .args(["-cert".as_ref(), certificates.path("server.pem").as_os_str()])
        .args(["-key".as_ref(), certificates.path("server.key").as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let server = |ca| SyslogServer::Tls { host: "localhost".to_owned(), port, ca };
    let mut report = tell(server(Some(certificates.authority())));
    for _ in 0..100 {
        if report.outcome == Outcome::Delivered {
            break;
        }
        thread::sleep(Duration::from_millis(50));
        report = tell(server(Some(certificates.authority())));
    }
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    // Nobody vouches for it: nothing is told.
    let report = tell(server(None));
    assert_eq!(Then::from(&report.outcome), Then::Again(None));
    assert!(format!("{report:?}").contains("certificate"), "{report:?}");
    openssl.stdin.take().unwrap().flush().unwrap();
    openssl.kill().unwrap();
    openssl.wait().unwrap();
    let mut seen = Vec::new();
    openssl.stdout.take().unwrap().read_to_end(&mut seen).unwrap();
    let space = seen.iter().position(|byte| *byte == b' ').unwrap();
    let length: usize = std::str::from_utf8(&seen[..space]).unwrap().parse().unwrap();
    assert_eq!(seen.len(), space + 1 + length);
    double::parse(&seen[space + 1..]).unwrap();
}

proptest! {
    /// One line that keeps the grammar, with every value as it was meant.
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let message = message(&delivery, 4, 1);
        let parsed = double::parse(message.as_bytes()).map_err(TestCaseError::fail)?;
        let user = user_of(&delivery).map(|user| sanitize::text(user, 128));
        prop_assert_eq!(parsed.data.get("user"), user.as_ref());
        prop_assert!(parsed.host.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(&parsed.text, &delivery.message.summary);
        prop_assert!(!message.chars().any(|character| is_hostile(character) && character != '\u{feff}'), "{:?}", message);
        prop_assert_eq!(message.matches('\u{feff}').count(), 1);
    }
}
