//! System logs, as a real rsyslog takes them.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use login_tracer::config::{self, SyslogServer};
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::syslog::Syslog;
use serde_json::Value;

use crate::scene::{Strangers, opened, send};

/// The log server as a process; ends with the test.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
    udp: u16,
}

impl Server {
    /// Listens in every way that we speak to, and writes down what it understood of each message.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        // It cannot tell which port it was given; ours is free again at once.
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            r#"
            global(workDirectory="{}")
            template(name="json" type="list") {{ property(name="jsonmesg") constant(value="\n") }}
            module(load="imuxsock" SysSock.Use="off")
            module(load="imudp")
            module(load="imtcp")
            ruleset(name="keep") {{ action(type="omfile" file="{}" template="json" asyncWriting="off") }}
            input(type="imuxsock" Socket="{}" ruleset="keep" UseSpecialParser="off")
            input(type="imuxsock" Socket="{}" ruleset="keep")
            input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="keep")
            input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{}" ruleset="keep")
            "#,
            folder.path().display(),
            at("kept"),
            at("socket"),
            at("usual-socket"),
            at("port"),
        );
        fs::write(folder.path().join("rsyslog.conf"), settings).unwrap();
        let program =
            ["/usr/sbin/rsyslogd", "/usr/bin/rsyslogd"].into_iter().find(|it| Path::new(it).exists())?;
        let process = Command::new(program)
            .args(["-n", "-i", "NONE", "-f"])
            .arg(folder.path().join("rsyslog.conf"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, folder, udp };
        eventually(|| server.tcp());
        eventually(|| server.path("usual-socket").exists().then_some(()));
        Some(server)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn tcp(&self) -> Option<u16> {
        fs::read_to_string(self.path("port")).ok()?.trim().parse().ok()
    }

    /// What it kept so far.
    fn kept(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("kept")).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

fn tell(server: SyslogServer, strangers: &Strangers) {
    let config = config::Syslog { server, facility: 10, timeout: Duration::from_secs(5) };
    let report = send(&Syslog::new(&config).unwrap(), &opened(strangers, 12));
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
}

#[test]
fn a_real_rsyslog_understands_every_part() {
    let Some(server) = Server::start() else {
        assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "there is no rsyslogd");
        return;
    };
    let host = || "127.0.0.1".to_owned();
    let ways = [
        SyslogServer::Local(server.path("socket")),
        SyslogServer::Udp { host: host(), port: server.udp },
        SyslogServer::Tcp { host: host(), port: server.tcp().unwrap() },
    ];
    for (number, way) in ways.into_iter().enumerate() {
        tell(way, &Strangers::polite());
        let kept = eventually(|| server.kept().get(number).cloned());
        for (property, value) in [
            ("protocol-version", "1"),
            ("syslogfacility", "10"),
            ("syslogseverity", "6"),
            ("hostname", "web-1"),
            ("app-name", "login-tracer"),
            ("msgid", "opened"),
        ] {
            assert_eq!(kept[property], value, "{kept}");
        }
        let data = kept["structured-data"].as_str().unwrap();
        assert!(data.starts_with("[login@32473 id=\"") && data.contains(" user=\"alice\" "), "{data}");
        let text = kept["msg"].as_str().unwrap().trim_start_matches('\u{feff}');
        assert!(text.starts_with("SSH login: alice on web-1 from 193.146.30.12"), "{text}");
    }
}

/// As Debian sets rsyslog up, it reads its local socket by another grammar. Nothing of the message may be missing then.
#[test]
fn rsyslog_as_it_is_usually_set_up_loses_nothing() {
    let Some(server) = Server::start() else {
        assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "there is no rsyslogd");
        return;
    };
    tell(SyslogServer::Local(server.path("usual-socket")), &Strangers::polite());
    let kept = eventually(|| server.kept().first().cloned());
    assert_eq!((&kept["syslogfacility"], &kept["syslogseverity"]), (&"10".into(), &"6".into()));
    let text = kept["msg"].as_str().unwrap();
    assert!(text.contains("SSH login: alice on web-1") && text.contains("user=\"alice\""), "{text}");
}

/// What strangers chose is one line, and part of what it was part of.
#[test]
fn strangers_write_no_line_into_a_real_log() {
    let Some(server) = Server::start() else {
        assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "there is no rsyslogd");
        return;
    };
    let user = "a\"] evil\n<0>1 - - forged - - - \u{202e}root]";
    let strangers = Strangers { user: user.to_owned(), ..Strangers::polite() };
    tell(SyslogServer::Tcp { host: "127.0.0.1".to_owned(), port: server.tcp().unwrap() }, &strangers);
    tell(SyslogServer::Local(server.path("socket")), &strangers);
    let kept = eventually(|| (server.kept().len() >= 2).then(|| server.kept()));
    thread::sleep(Duration::from_millis(200));
    assert_eq!(server.kept().len(), 2, "{kept:?}");
    for message in kept {
        assert_eq!(message["app-name"], "login-tracer", "{message}");
        assert_eq!(message["syslogseverity"], "6", "{message}");
        assert!(message["structured-data"].as_str().unwrap().contains("evil"), "{message}");
    }
}
