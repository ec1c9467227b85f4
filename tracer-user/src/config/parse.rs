//! From TOML to [`Config`]: every value is checked, and all problems are found in one pass.
//!
//! A value that is wrong is reported and replaced by its default for the rest of the pass; a pass with any problem
//! gives no configuration.

mod enrich;
mod risk;
mod route;
mod section;
mod sinks;
mod summary;
mod template;
mod values;

use toml::de::DeTable;

use self::section::Section;
use super::file::{Problem, Secrets, Source};
use super::{CallHooks, Config, Notify, ProbeLog, ProcessHooks, Rule, SyscallTracepoints, Take, Trace};
use crate::event::Service;

/// Every section with its keys. The shipped file must show all of them.
pub const SECTIONS: &[(&str, &[&str])] = &[
    ("host", &["name"]),
    (
        "trace",
        &[
            "ring_buffer",
            "probe_log",
            "keep_attempts",
            "hooks",
            "process_hooks",
            "syscall_tracepoints",
            "services",
        ],
    ),
    ("notify", &["user", "routing", "keep_delivered", "gather_attempts"]),
    (
        "enrich",
        &[
            "deadline",
            "reverse_dns",
            "threat_jammer",
            "abuseipdb",
            "crowdsec",
            "greynoise",
            "databases",
            "lists",
        ],
    ),
    (
        "enrich.threat_jammer",
        &[
            "token",
            "token_file",
            "token_env",
            "base_url",
            "cache_ttl",
            "requests_per_minute",
            "requests_per_month",
        ],
    ),
    ("enrich.abuseipdb", &["key", "key_file", "key_env", "base_url", "cache_ttl", "requests_per_day"]),
    ("enrich.crowdsec", &["key", "key_file", "key_env", "base_url", "cache_ttl", "requests_per_day"]),
    ("enrich.greynoise", &["key", "key_file", "key_env", "base_url", "cache_ttl", "requests_per_week"]),
    ("enrich.databases", &["city", "country", "asn"]),
    ("enrich.lists.example", &["path", "points"]),
    ("risk", &["medium_above", "high_above", "learning_days", "learning_logins", "points", "trusted"]),
    ("risk.points", Rule::KEYS),
    ("risk.trusted", &["networks", "users", "keys"]),
    (
        "routes",
        &[
            "name", "sinks", "kind", "level", "at_least", "at_most", "user", "group", "address", "network",
            "host", "service", "from", "to", "weekdays",
        ],
    ),
    ("quiet_hours", &["from", "to", "weekdays", "except", "sinks"]),
    ("templates", &["kind", "sinks", "summary", "template", "template_file"]),
    ("summaries", &["every", "weekday", "at", "sinks"]),
    ("allow", &["address", "network", "user", "key", "until", "reason"]),
    ("sinks.console", &["type"]),
    ("sinks.discord", &["type", "webhook_url", "webhook_url_file", "webhook_url_env", "timeout", "ca_file"]),
    ("sinks.slack", &["type", "webhook_url", "webhook_url_file", "webhook_url_env", "timeout", "ca_file"]),
    (
        "sinks.ntfy",
        &[
            "type",
            "topic",
            "topic_file",
            "topic_env",
            "base_url",
            "token",
            "token_file",
            "token_env",
            "user",
            "password",
            "password_file",
            "password_env",
            "timeout",
            "ca_file",
        ],
    ),
    (
        "sinks.webhook",
        &["type", "url", "url_file", "url_env", "secret", "secret_file", "secret_env", "timeout", "ca_file"],
    ),
    (
        "sinks.telegram",
        &["type", "token", "token_file", "token_env", "chat", "thread", "base_url", "timeout", "ca_file"],
    ),
    ("sinks.command", &["type", "argv", "timeout"]),
    ("sinks.file", &["type", "path", "max_size", "keep"]),
    (
        "sinks.email",
        &[
            "type",
            "from",
            "to",
            "host",
            "port",
            "tls",
            "user",
            "password",
            "password_file",
            "password_env",
            "sendmail",
            "timeout",
            "ca_file",
        ],
    ),
    ("sinks.syslog", &["type", "transport", "socket", "host", "port", "facility", "timeout", "ca_file"]),
    ("sinks.gotify", &["type", "base_url", "token", "token_file", "token_env", "timeout", "ca_file"]),
    (
        "sinks.pushover",
        &[
            "type",
            "token",
            "token_file",
            "token_env",
            "user",
            "user_file",
            "user_env",
            "device",
            "emergency",
            "retry",
            "expire",
            "base_url",
            "timeout",
            "ca_file",
        ],
    ),
    (
        "sinks.mattermost",
        &["type", "webhook_url", "webhook_url_file", "webhook_url_env", "timeout", "ca_file"],
    ),
    ("sinks.teams", &["type", "webhook_url", "webhook_url_file", "webhook_url_env", "timeout", "ca_file"]),
    (
        "sinks.slack_bot",
        &["type", "token", "token_file", "token_env", "channel", "base_url", "timeout", "ca_file"],
    ),
    ("sinks.matrix", &["type", "base_url", "token", "token_file", "token_env", "room", "timeout", "ca_file"]),
    (
        "sinks.pagerduty",
        &[
            "type",
            "routing_key",
            "routing_key_file",
            "routing_key_env",
            "resolve",
            "base_url",
            "timeout",
            "ca_file",
        ],
    ),
    ("sinks.journald", &["type", "socket"]),
];

/// Keys of every section of a sink, beside those of its type.
pub const KEYS_OF_SINKS: &[&str] = &["pace", "max_age", "max_queued", "group", "group_red"];

/// Top-level names; `sinks` holds one section for each sink.
const TOP_LEVEL: &[&str] = &[
    "host",
    "trace",
    "notify",
    "enrich",
    "risk",
    "sinks",
    "routes",
    "quiet_hours",
    "allow",
    "templates",
    "summaries",
];

/// Whether the value of a key may be a secret that no message may repeat.
pub(super) fn may_hold_secret(key: &str) -> bool {
    ["token", "webhook", "secret", "password", "url", "topic", "key"].iter().any(|word| key.contains(word))
}

/// Checks the text of a configuration file.
///
/// # Errors
/// All problems, in the order of their lines.
pub fn config(source: &Source, secrets: Secrets) -> Result<Config, Vec<Problem>> {
    let table = source.table()?;
    let mut problems = Problems { source, secrets, found: Vec::new() };
    let config = root(&table, &mut problems);
    if problems.found.is_empty() {
        return Ok(config);
    }
    problems.found.sort();
    Err(problems.found)
}

/// What the pass has found so far.
struct Problems<'a> {
    source: &'a Source,
    secrets: Secrets,
    found: Vec<Problem>,
}

impl Problems<'_> {
    /// `offset` is the byte of the file that the problem is about.
    fn add(&mut self, offset: usize, text: &str) {
        self.found
            .push(Problem { line: Some(self.source.line_of(offset)), text: crate::sanitize::line(text) });
    }
}

fn root(table: &DeTable<'_>, problems: &mut Problems<'_>) -> Config {
    let default = Config::default();
    for (key, value) in table {
        if !TOP_LEVEL.contains(&key.get_ref().as_ref()) {
            let name = section::shown_key(key.get_ref());
            let hint = section::nearest(key.get_ref(), TOP_LEVEL)
                .map_or(String::new(), |known| format!("; did you mean [{known}]?"));
            let text = if value.get_ref().is_table() {
                format!("[{name}]: unknown section{hint}")
            } else {
                format!("{name}: stands outside of any section{hint}")
            };
            problems.add(key.span().start, &text);
        }
    }
    let mut take = Take::default();
    let sinks = sinks::sinks(table, problems).filter(|sinks| !sinks.is_empty()).unwrap_or(default.sinks);
    Config {
        host_name: with_section(table, "host", problems, host).flatten(),
        trace: with_section(table, "trace", problems, trace).unwrap_or(default.trace),
        notify: with_section(table, "notify", problems, |section| {
            take = section.text("routing", routing).unwrap_or_default();
            notify(section)
        })
        .unwrap_or(default.notify),
        enrich: with_section(table, "enrich", problems, enrich::enrich).unwrap_or(default.enrich),
        risk: with_section(table, "risk", problems, risk::risk).unwrap_or(default.risk),
        rules: route::rules(table, take, problems),
        templates: template::templates(table, problems),
        summaries: summary::schedules(table, &sinks, problems),
        sinks,
    }
}

/// Reads one top-level section, if it is there.
fn with_section<T>(
    table: &DeTable<'_>,
    name: &'static str,
    problems: &mut Problems<'_>,
    read: impl FnOnce(&mut Section<'_, '_>) -> T,
) -> Option<T> {
    let value = table.get(name)?;
    let mut section = Section::open(name.to_owned(), known_keys(name), value, problems)?;
    Some(read(&mut section))
}

fn host(section: &mut Section<'_, '_>) -> Option<String> {
    section.text("name", values::host_name)
}

fn trace(section: &mut Section<'_, '_>) -> Trace {
    let default = Trace::default();
    let trace = Trace {
        ring_buffer_bytes: section.size("ring_buffer").unwrap_or(default.ring_buffer_bytes),
        probe_log: section
            .text("probe_log", |text| {
                values::one_of(
                    text,
                    &[("off", ProbeLog::Off), ("warn", ProbeLog::Warn), ("debug", ProbeLog::Debug)],
                )
            })
            .unwrap_or(default.probe_log),
        keep_attempts: section.integer("keep_attempts", 0, 10_000_000).unwrap_or(default.keep_attempts),
        hooks: section
            .text("hooks", |text| {
                values::one_of(
                    text,
                    &[
                        ("auto", CallHooks::Auto),
                        ("fentry", CallHooks::Fentry),
                        ("kprobe", CallHooks::Kprobe),
                        ("tracepoint", CallHooks::Tracepoint),
                    ],
                )
            })
            .unwrap_or(default.hooks),
        process_hooks: section
            .text("process_hooks", |text| {
                values::one_of(
                    text,
                    &[
                        ("auto", ProcessHooks::Auto),
                        ("btf", ProcessHooks::Btf),
                        ("classic", ProcessHooks::Classic),
                    ],
                )
            })
            .unwrap_or(default.process_hooks),
        syscall_tracepoints: section
            .text("syscall_tracepoints", |text| {
                values::one_of(
                    text,
                    &[("auto", SyscallTracepoints::Auto), ("never", SyscallTracepoints::Never)],
                )
            })
            .unwrap_or(default.syscall_tracepoints),
        services: services(section).unwrap_or(default.services),
    };
    if trace.hooks == CallHooks::Tracepoint && trace.syscall_tracepoints == SyscallTracepoints::Never {
        section.problem(
            "hooks",
            "\"tracepoint\" contradicts syscall_tracepoints = \"never\"; remove one of them",
        );
    }
    trace
}

/// The doors in their own order, whatever the order and however often each is named.
fn services(section: &mut Section<'_, '_>) -> Option<Vec<Service>> {
    let choices = Service::ALL.map(|service| (service.as_str(), service));
    let named = section.texts("services", |text| values::one_of(text, &choices))?;
    Some(Service::ALL.into_iter().filter(|service| named.contains(service)).collect())
}

fn notify(section: &mut Section<'_, '_>) -> Notify {
    let default = Notify::default();
    Notify {
        user: section.text("user", values::account).unwrap_or(default.user),
        keep_delivered: section
            .text("keep_delivered", |text| values::days(text, &values::KEEP))
            .unwrap_or(default.keep_delivered),
        gather_attempts: section
            .duration("gather_attempts", values::GATHER)
            .unwrap_or(default.gather_attempts),
    }
}

/// Which of the routes that match are taken.
fn routing(text: &str) -> Result<Take, String> {
    values::one_of(text, &[("first", Take::First), ("all", Take::All)])
}

fn known_keys(section: &str) -> &'static [&'static str] {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}
