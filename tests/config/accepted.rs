//! What the configuration may say, and what becomes of it.

use std::time::Duration;

use jiff::civil::Weekday;
use login_tracer::config::{
    CallHooks, Config, ConfigError, Every, PaceChoice, ProbeLog, ProcessHooks, Queueing, Rate, Schedule,
    Secrets, SinkKind, SyscallTracepoints, Take, load,
};
use login_tracer::session::Service;

use crate::ConfigFile;

#[test]
fn everything_can_be_set() {
    let file = ConfigFile::new(
        r#"
        [host]
        name = "web-1"
        [trace]
        ring_buffer = 65536
        probe_log = "debug"
        hooks = "kprobe"
        process_hooks = "classic"
        syscall_tracepoints = "never"
        services = ["sudo", "ssh", "sudo"]
        [notify]
        user = "watcher"
        keep_delivered = "12h"
        gather_attempts = "5m"
        [[summaries]]
        every = "day"
        sinks = ["tty", "ops", "tty"]
        [[summaries]]
        every = "week"
        weekday = "friday"
        at = "17:30"
        sinks = "ops"
        [enrich]
        deadline = "1s 500ms"
        [enrich.threat_jammer]
        token = "tj-token"
        base_url = "http://127.0.0.1:8080/"
        cache_ttl = "10m"
        requests_per_minute = 1
        requests_per_month = 2
        [risk]
        medium_above = 10
        high_above = 20
        [sinks.ops]
        type = "slack"
        webhook_url_file = "<dir>/hook"
        timeout = "5s"
        [sinks.tty]
        type = "console"
        pace = "5/2s"
        max_age = "2w"
        max_queued = 10
        group = "1m 30s"
        group_red = true
        "#,
    )
    .with("hook", "https://hooks.slack.com/services/T/B/x\n", 0o400);
    let config = file.config();
    assert_eq!(config.host_name.as_deref(), Some("web-1"));
    assert_eq!(config.trace.ring_buffer_bytes, 65536);
    assert_eq!(config.trace.probe_log, ProbeLog::Debug);
    assert_eq!((config.trace.hooks, config.trace.process_hooks), (CallHooks::Kprobe, ProcessHooks::Classic));
    assert_eq!(config.trace.syscall_tracepoints, SyscallTracepoints::Never);
    assert_eq!(config.trace.services, [Service::Ssh, Service::Sudo]);
    assert_eq!(config.notify.user, "watcher");
    assert_eq!(config.enrich.deadline, Duration::from_millis(1500));
    let service = config.enrich.threat_jammer.unwrap();
    assert_eq!((service.token.expose(), service.base_url.as_str()), ("tj-token", "http://127.0.0.1:8080"));
    assert_eq!(service.cache_ttl, Duration::from_secs(600));
    assert_eq!((service.requests_per_minute, service.requests_per_month), (1, 2));
    assert_eq!((config.risk.thresholds.medium_above, config.risk.thresholds.high_above), (10, 20));
    let [ops, tty] = config.sinks.as_slice() else { panic!("{:?}", config.sinks) };
    assert_eq!((ops.name.as_str(), tty.name.as_str()), ("ops", "tty"));
    assert_eq!(tty.kind, SinkKind::Console);
    assert_eq!(
        tty.queue,
        Queueing {
            pace: PaceChoice::Own(Rate::new(5, Duration::from_secs(2))),
            max_age: Duration::from_secs(14 * 24 * 3600),
            max_queued: 10,
            group: Some(Duration::from_secs(90)),
            group_red: true,
        }
    );
    assert_eq!(ops.queue, Queueing::default());
    assert_eq!(config.notify.keep_delivered, Duration::from_secs(12 * 3600));
    assert_eq!(config.notify.gather_attempts, Duration::from_secs(300));
    let schedule = |every, at, sinks: &[&str]| Schedule {
        every,
        at,
        sinks: sinks.iter().map(|sink| (*sink).to_owned()).collect(),
    };
    assert_eq!(
        config.summaries,
        [
            schedule(Every::Day, 8 * 60, &["ops", "tty"]),
            schedule(Every::Week(Weekday::Friday), 17 * 60 + 30, &["ops"]),
        ]
    );
    let SinkKind::Slack(slack) = &ops.kind else { panic!("{ops:?}") };
    assert_eq!(slack.webhook_url.expose(), "https://hooks.slack.com/services/T/B/x");
    assert_eq!(slack.http.timeout, Duration::from_secs(5));
}

#[test]
fn rules_mean_what_is_written() {
    let config = ConfigFile::new(
        r#"
        [notify]
        routing = "all"
        [[routes]]
        sinks = "tty"
        address = ["192.0.2.7", "::ffff:198.51.100.0/120"]
        network = "2001:db8::1/32"
        weekdays = ["fri-mon"]
        from = "22:00"
        to = "24:00"
        [[routes]]
        name = "last"
        sinks = []
        [quiet_hours]
        weekdays = "Sunday"
        except = []
        [[allow]]
        user = "backup"
        reason = "backup"
        until = "2026-12-31 18:00"
        [[allow]]
        key = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI"
        reason = "key of the robots"
        until = 2026-12-31
        [sinks.tty]
        type = "console"
        "#,
    )
    .config();
    let rules = &config.rules;
    assert_eq!(rules.take, Take::All);
    let networks: Vec<_> = rules.routes[0].when.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["192.0.2.7/32", "198.51.100.0/24"]);
    assert_eq!(rules.routes[0].when.networks[0].to_string(), "2001:db8::/32");
    assert_eq!(rules.routes[0].when.hours.unwrap().to_string(), "mon fri sat sun 22:00-24:00");
    let names: Vec<_> = rules.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["1", "last"]);
    assert_eq!(rules.quiet[0].hours.to_string(), "sun 00:00-24:00");
    assert_eq!((rules.quiet[0].except.len(), rules.quiet[0].sinks.len()), (0, 0));
    let ends: Vec<_> =
        rules.allow.iter().map(|entry| entry.until.as_ref().unwrap().end.to_string()).collect();
    assert_eq!(ends, ["2026-12-31T18:00:00", "2027-01-01T00:00:00"]);
}

#[test]
fn sizes_can_be_written_in_many_ways() {
    for (size, bytes) in
        [("4096", 4096), ("\"512 KiB\"", 1 << 19), ("\"4MiB\"", 4 << 20), ("0x10000", 1 << 16)]
    {
        let config = ConfigFile::new(&format!("trace.ring_buffer = {size}\n")).config();
        assert_eq!(config.trace.ring_buffer_bytes, bytes, "{size}");
    }
}

#[test]
fn a_host_may_talk_to_itself_without_tls() {
    for url in ["http://localhost:1/x", "http://[::1]:1/x", "http://127.8.8.8/x", "https://192.0.2.1/x"] {
        let text = format!("[sinks.a]\ntype = \"slack\"\nwebhook_url = \"{url}\"\n");
        ConfigFile::new(&text).config();
    }
}

#[test]
fn a_role_without_use_for_secrets_does_not_read_them() {
    let file = ConfigFile::new(
        "[sinks.ops]\ntype = \"slack\"\nwebhook_url_file = \"/no/such/file\"\n\
         [enrich.threat_jammer]\ntoken_env = \"LOGIN_TRACER_TEST_NOT_SET\"\n",
    );
    let config = file.load(Secrets::Skip).unwrap();
    assert_eq!(config.enrich.threat_jammer.unwrap().token.expose(), "");
    assert!(
        matches!(file.load(Secrets::Read), Err(ConfigError::Invalid { problems, .. }) if problems.len() == 2)
    );
}

#[test]
fn only_a_file_that_was_asked_for_must_exist() {
    let missing = std::path::Path::new("/no/such/config.toml");
    assert!(matches!(load(Some(missing), Secrets::Read), Err(ConfigError::Missing { .. })));
    let config = Config::default();
    assert_eq!(config.sinks.len(), 1);
}

#[test]
fn paces_are_written_as_people_write_them() {
    for (text, expected) in [
        ("none", PaceChoice::Unlimited),
        ("1/s", PaceChoice::Own(Rate::new(1, Duration::from_secs(1)))),
        ("30/min", PaceChoice::Own(Rate::new(30, Duration::from_secs(60)))),
        ("20 / 1m", PaceChoice::Own(Rate::new(20, Duration::from_secs(60)))),
        ("250/24h", PaceChoice::Own(Rate::new(250, Duration::from_secs(24 * 3600)))),
    ] {
        let config = ConfigFile::new(&format!("[sinks.a]\ntype = \"console\"\npace = \"{text}\"\n")).config();
        assert_eq!(config.sinks[0].queue.pace, expected, "{text}");
    }
    for text in ["", "fast", "1", "0/s", "1/0s", "2000/s", "1/2d", "-1/s", "1/-1s", "1//s"] {
        let problems =
            ConfigFile::new(&format!("[sinks.a]\ntype = \"console\"\npace = \"{text}\"\n")).problems();
        assert!(problems.contains("[sinks.a] pace: "), "{text}: {problems}");
    }
}
