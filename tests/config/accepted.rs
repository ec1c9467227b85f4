//! What the configuration may say, and what becomes of it.

use std::time::Duration;

use login_tracer::config::{
    CallHooks, Config, ConfigError, ProbeLog, ProcessHooks, Secrets, SinkKind, SyscallTracepoints, load,
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
    assert_eq!((config.thresholds.medium_above, config.thresholds.high_above), (10, 20));
    let [ops, tty] = config.sinks.as_slice() else { panic!("{:?}", config.sinks) };
    assert_eq!((ops.name.as_str(), tty.name.as_str()), ("ops", "tty"));
    assert_eq!(tty.kind, SinkKind::Console);
    let SinkKind::Slack(slack) = &ops.kind else { panic!("{ops:?}") };
    assert_eq!(slack.webhook_url.expose(), "https://hooks.slack.com/services/T/B/x");
    assert_eq!(slack.http.timeout, Duration::from_secs(5));
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
