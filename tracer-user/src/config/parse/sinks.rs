//! The sections `[sinks.NAME]`: which keys each type has, and what they may be.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::section::{self, Section};
use super::{KEYS_OF_SINKS, Problems, SECTIONS, known_keys, values};
use crate::config::{
    Command, Discord, Email, Emergency, File, Gotify, Http, Journald, MailRelay, Matrix, Mattermost, Ntfy,
    NtfyAccess, PagerDuty, Pushover, Queueing, Secret, Sink, SinkKind, Slack, SlackBot, Smtp, SmtpTls,
    Syslog, SyslogServer, Teams, Telegram, Webhook,
};

/// RFC 5424, table 1, by the names that everybody uses; the place is the number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// One section for each sink, in the order of their names.
pub(super) fn sinks(table: &DeTable<'_>, problems: &mut Problems<'_>) -> Option<Vec<Sink>> {
    let value = table.get("sinks")?;
    let DeValue::Table(entries) = value.get_ref() else {
        problems.add(value.span().start, "[sinks]: must be sections such as [sinks.ops]");
        return None;
    };
    Some(entries.iter().filter_map(|(key, value)| sink(key, value, problems)).collect())
}

fn sink(
    key: &Spanned<toml::de::DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems<'_>,
) -> Option<Sink> {
    let name = key.get_ref();
    let path = format!("sinks.{}", section::shown_key(name));
    if let Err(text) = values::sink_name(name) {
        problems.add(key.span().start, &format!("[{path}]: {text}"));
    }
    let DeValue::Table(_) = value.get_ref() else {
        let text = format!("[sinks] {}: must be a section of its own: [{path}]", section::shown_key(name));
        problems.add(key.span().start, &text);
        return None;
    };
    // The type decides which keys there are; without one, nothing else can be judged.
    let mut section = Section::open(path, &[], value, problems)?;
    let types: Vec<_> = SECTIONS
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("sinks.").map(|word| (word, word)))
        .collect();
    let found = section.text("type", |text| values::one_of(text, &types));
    let Some(kind) = found else {
        if !section.has("type") {
            section.problem_of_section("type is missing; add a line such as type = \"slack\"");
        }
        section.accept_everything();
        return None;
    };
    section.expect(known_keys(&format!("sinks.{kind}")));
    section.expect_also(KEYS_OF_SINKS);
    let queue = queueing(&mut section);
    let kind = match kind {
        "discord" => SinkKind::Discord(discord(&mut section)),
        "slack" => SinkKind::Slack(slack(&mut section)),
        "ntfy" => SinkKind::Ntfy(ntfy(&mut section)),
        "webhook" => SinkKind::Webhook(webhook(&mut section)),
        "telegram" => SinkKind::Telegram(telegram(&mut section)),
        "command" => SinkKind::Command(command(&mut section)),
        "file" => SinkKind::File(file(&mut section)),
        "email" => SinkKind::Email(email(&mut section)),
        "syslog" => SinkKind::Syslog(syslog(&mut section)),
        "gotify" => SinkKind::Gotify(gotify(&mut section)),
        "pushover" => SinkKind::Pushover(pushover(&mut section)),
        "mattermost" => SinkKind::Mattermost(mattermost(&mut section)),
        "teams" => SinkKind::Teams(teams(&mut section)),
        "slack_bot" => SinkKind::SlackBot(slack_bot(&mut section)),
        "matrix" => SinkKind::Matrix(matrix(&mut section)),
        "pagerduty" => SinkKind::PagerDuty(pagerduty(&mut section)),
        "journald" => SinkKind::Journald(journald(&mut section)),
        _ => SinkKind::Console,
    };
    if matches!(kind, SinkKind::PagerDuty(_)) && queue.group.is_some() {
        section
            .problem("group", "PagerDuty makes an alert of each session, which its end resolves; remove it");
    }
    Some(Sink { name: name.to_string(), kind, queue })
}

fn queueing(section: &mut Section<'_, '_>) -> Queueing {
    let default = Queueing::default();
    Queueing {
        pace: section.text("pace", values::pace).unwrap_or(default.pace),
        max_age: section.text("max_age", |text| values::days(text, &values::KEEP)).unwrap_or(default.max_age),
        group: section.duration("group", values::GROUP),
        group_red: section.flag("group_red").unwrap_or(default.group_red),
        max_queued: section.integer("max_queued", 1, 10_000_000).unwrap_or(default.max_queued),
    }
}

fn http(section: &mut Section<'_, '_>) -> Http {
    Http {
        timeout: section.duration("timeout", values::WAIT).unwrap_or(Http::DEFAULT_TIMEOUT),
        ca: section.authority("ca_file"),
    }
}

fn discord(section: &mut Section<'_, '_>) -> Discord {
    Discord { webhook_url: webhook_url(section), http: http(section) }
}

fn slack(section: &mut Section<'_, '_>) -> Slack {
    Slack { webhook_url: webhook_url(section), http: http(section) }
}

fn ntfy(section: &mut Section<'_, '_>) -> Ntfy {
    let base_url = section.text("base_url", values::base_url);
    Ntfy {
        base_url: base_url.unwrap_or_else(|| Ntfy::DEFAULT_BASE_URL.to_owned()),
        topic: section.secret(["topic", "topic_file", "topic_env"], values::ntfy_topic),
        access: ntfy_access(section),
        http: http(section),
    }
}

/// A token, or a name with its password, or neither.
fn ntfy_access(section: &mut Section<'_, '_>) -> NtfyAccess {
    let token = section.optional_secret(["token", "token_file", "token_env"], values::token);
    let user = section.text("user", values::user);
    let password = section.optional_secret(["password", "password_file", "password_env"], values::password);
    match (token, user, password) {
        (None, None, None) => NtfyAccess::Anybody,
        (Some(token), None, None) => NtfyAccess::Token(token),
        (None, Some(user), Some(password)) => NtfyAccess::Password { user, password },
        (Some(_), _, _) => {
            section.problem_of_section("a token needs no user and no password; remove them or the token");
            NtfyAccess::Anybody
        }
        (None, _, _) => {
            section.problem_of_section("user and password belong together; add the other one");
            NtfyAccess::Anybody
        }
    }
}

fn webhook(section: &mut Section<'_, '_>) -> Webhook {
    Webhook {
        url: section.secret(["url", "url_file", "url_env"], values::webhook),
        secret: section.optional_secret(["secret", "secret_file", "secret_env"], values::signing_secret),
        http: http(section),
    }
}

fn telegram(section: &mut Section<'_, '_>) -> Telegram {
    let base_url = section.text("base_url", values::base_url);
    Telegram {
        token: section.secret(["token", "token_file", "token_env"], values::telegram_token),
        chat: section.required("chat", values::telegram_chat).unwrap_or_default(),
        thread: section.integer("thread", 1, i64::from(i32::MAX)),
        base_url: base_url.unwrap_or_else(|| Telegram::DEFAULT_BASE_URL.to_owned()),
        http: http(section),
    }
}

fn command(section: &mut Section<'_, '_>) -> Command {
    let argv = section.texts("argv", values::argument).unwrap_or_default();
    if argv.is_empty() && !section.has("argv") {
        section.problem_of_section(
            "argv is missing; add the program and its arguments: argv = [\"/usr/local/bin/told\"]",
        );
    } else if argv.first().is_some_and(|program| !program.starts_with('/')) {
        section.problem("argv", "the first of them must be the absolute path of a program");
    }
    Command { argv, timeout: section.duration("timeout", values::WAIT).unwrap_or(Command::DEFAULT_TIMEOUT) }
}

fn file(section: &mut Section<'_, '_>) -> File {
    let path = section.required("path", |text| section::absolute(text).map(Path::to_owned));
    File {
        path: path.unwrap_or_default(),
        max_size: section.bytes("max_size", values::FILE_SIZE).unwrap_or(File::DEFAULT_MAX_SIZE),
        keep: section.integer("keep", 0, 1000).unwrap_or(File::DEFAULT_KEEP),
    }
}

fn email(section: &mut Section<'_, '_>) -> Email {
    let relay = match section.text("sendmail", |text| section::absolute(text).map(Path::to_owned)) {
        Some(program) => {
            for key in ["host", "port", "tls", "user", "ca_file"] {
                if section.has(key) {
                    section.problem(key, "has no meaning beside sendmail; remove one of them");
                }
            }
            MailRelay::Sendmail(program)
        }
        None => MailRelay::Smtp(smtp(section)),
    };
    Email {
        from: section.required("from", values::mailbox).unwrap_or_default(),
        to: recipients(section),
        relay,
        timeout: section.duration("timeout", values::WAIT).unwrap_or(Email::DEFAULT_TIMEOUT),
    }
}

fn recipients(section: &mut Section<'_, '_>) -> Vec<String> {
    if !section.has("to") {
        section.problem_of_section("to is missing; add a line such as to = [\"ops@example.org\"]");
    }
    section.texts("to", values::mailbox).unwrap_or_default()
}

fn smtp(section: &mut Section<'_, '_>) -> Smtp {
    let ways = [("implicit", SmtpTls::Implicit), ("starttls", SmtpTls::StartTls), ("none", SmtpTls::None)];
    let tls = section.text("tls", |text| values::one_of(text, &ways)).unwrap_or(SmtpTls::Implicit);
    let host = if section.has("host") || section.has("sendmail") {
        section.text("host", values::server).unwrap_or_default()
    } else {
        section.problem_of_section("one of host and sendmail is needed");
        String::new()
    };
    if tls == SmtpTls::None && !host.is_empty() && !values::is_this_host(&host) {
        let text = "\"none\" is for this host itself (localhost); choose \"implicit\" or \"starttls\"";
        section.problem("tls", text);
    }
    let user = section.text("user", values::user);
    let password = section.optional_secret(["password", "password_file", "password_env"], values::password);
    if user.is_some() != password.is_some() {
        section.problem_of_section("user and password belong together; add the other one");
    }
    Smtp {
        host,
        port: section.integer("port", 1, 65_535).unwrap_or(tls.default_port()),
        tls,
        login: user.zip(password),
        ca: section.authority("ca_file"),
    }
}

fn syslog(section: &mut Section<'_, '_>) -> Syslog {
    #[derive(Clone, Copy, PartialEq)]
    enum Transport {
        Local,
        Udp,
        Tcp,
        Tls,
    }
    let words = [
        ("local", Transport::Local),
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
    ];
    let transport =
        section.text("transport", |text| values::one_of(text, &words)).unwrap_or(Transport::Local);
    let socket = section.text("socket", |text| section::absolute(text).map(Path::to_owned));
    let host = section.text("host", values::server);
    // RFC 5425 and RFC 6587 give these.
    let default_port = if transport == Transport::Tls { 6514 } else { 514 };
    let port = section.integer("port", 1, 65_535);
    let ca = section.authority("ca_file");
    for (key, has_meaning) in [
        ("socket", transport == Transport::Local),
        ("host", transport != Transport::Local),
        ("port", transport != Transport::Local),
        ("ca_file", transport == Transport::Tls),
    ] {
        if section.has(key) && !has_meaning {
            section.problem(key, "has no meaning with this transport; remove it or change transport");
        }
    }
    if transport != Transport::Local && !section.has("host") {
        section.problem_of_section("host is missing; add the name of the log server");
    }
    let (host, port) = (host.unwrap_or_default(), port.unwrap_or(default_port));
    let server = match transport {
        Transport::Local => SyslogServer::Local(socket.unwrap_or_else(|| Syslog::DEFAULT_SOCKET.into())),
        Transport::Udp => SyslogServer::Udp { host, port },
        Transport::Tcp => SyslogServer::Tcp { host, port },
        Transport::Tls => SyslogServer::Tls { host, port, ca },
    };
    let facilities: Vec<_> = FACILITIES.iter().zip(0..).map(|(word, number)| (*word, number)).collect();
    let facility = section.text("facility", |text| values::one_of(text, &facilities));
    Syslog {
        server,
        facility: facility.unwrap_or(Syslog::DEFAULT_FACILITY),
        timeout: section.duration("timeout", values::WAIT).unwrap_or(Syslog::DEFAULT_TIMEOUT),
    }
}

fn gotify(section: &mut Section<'_, '_>) -> Gotify {
    Gotify {
        base_url: section.required("base_url", values::base_url).unwrap_or_default(),
        token: section.secret(["token", "token_file", "token_env"], values::token),
        http: http(section),
    }
}

fn pushover(section: &mut Section<'_, '_>) -> Pushover {
    let emergency = Emergency {
        retry: section.duration("retry", values::PUSHOVER_RETRY).unwrap_or(Pushover::DEFAULT_RETRY),
        expire: section.duration("expire", values::PUSHOVER_EXPIRE).unwrap_or(Pushover::DEFAULT_EXPIRE),
    };
    let is_emergency = section.flag("emergency").unwrap_or(false);
    let base_url = section.text("base_url", values::base_url);
    Pushover {
        token: section.secret(["token", "token_file", "token_env"], values::pushover_key),
        user: section.secret(["user", "user_file", "user_env"], values::pushover_key),
        device: section.text("device", values::user),
        emergency: is_emergency.then_some(emergency),
        base_url: base_url.unwrap_or_else(|| Pushover::DEFAULT_BASE_URL.to_owned()),
        http: http(section),
    }
}

fn mattermost(section: &mut Section<'_, '_>) -> Mattermost {
    Mattermost { webhook_url: webhook_url(section), http: http(section) }
}

fn teams(section: &mut Section<'_, '_>) -> Teams {
    Teams { webhook_url: webhook_url(section), http: http(section) }
}

fn slack_bot(section: &mut Section<'_, '_>) -> SlackBot {
    let base_url = section.text("base_url", values::base_url);
    SlackBot {
        token: section.secret(["token", "token_file", "token_env"], values::token),
        channel: section.required("channel", values::slack_channel).unwrap_or_default(),
        base_url: base_url.unwrap_or_else(|| SlackBot::DEFAULT_BASE_URL.to_owned()),
        http: http(section),
    }
}

fn matrix(section: &mut Section<'_, '_>) -> Matrix {
    Matrix {
        base_url: section.required("base_url", values::base_url).unwrap_or_default(),
        token: section.secret(["token", "token_file", "token_env"], values::token),
        room: section.required("room", values::matrix_room).unwrap_or_default(),
        http: http(section),
    }
}

fn pagerduty(section: &mut Section<'_, '_>) -> PagerDuty {
    let base_url = section.text("base_url", values::base_url);
    PagerDuty {
        routing_key: section
            .secret(["routing_key", "routing_key_file", "routing_key_env"], values::routing_key),
        resolve: section.flag("resolve").unwrap_or(true),
        base_url: base_url.unwrap_or_else(|| PagerDuty::DEFAULT_BASE_URL.to_owned()),
        http: http(section),
    }
}

fn journald(section: &mut Section<'_, '_>) -> Journald {
    let socket = section.text("socket", |text| section::absolute(text).map(Path::to_owned));
    Journald { socket: socket.unwrap_or_else(|| Journald::DEFAULT_SOCKET.into()) }
}

fn webhook_url(section: &mut Section<'_, '_>) -> Secret {
    section.secret(["webhook_url", "webhook_url_file", "webhook_url_env"], values::webhook)
}
