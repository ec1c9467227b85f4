//! `login-tracer check`: whether everything is as it should be, and what to do where it is not.
//!
//! Changes nothing and works for everybody; what only root may see is named as not seen.

mod rules;
mod sources;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::SignedDuration;

use super::Exit;
use crate::assess::Level;
use crate::cli::Global;
use crate::config::file::Located;
use crate::config::{self, Config, ConfigError, Secrets, Trace};
use crate::kernel::{self, Pins, RequirementState, Survey};
use crate::notify::outbox::{self, Hold};
use crate::output::findings::{self, Finding, Part, Verdict};
use crate::output::{self, View};
use crate::sanitize;
use crate::store::{Reader, StoreError};
use crate::supervise::Role;
use crate::supervise::lock::{self, Holder};
use crate::supervise::privileges::{self, Account};

/// Longest name and reason that are shown, in characters.
const NAME_CHARS: usize = 40;
const REASON_CHARS: usize = 200;

pub(super) fn run(global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    let loaded = config::load(global.config.as_deref(), Secrets::Read);
    let parts = [
        kernel_part(&kernel::survey(
            &loaded.as_ref().map_or_else(|_| Trace::default(), |config| config.trace.clone()),
        )),
        config_part(global, &loaded),
        account_part(loaded.as_ref().ok()),
        data_part(state_dir),
    ];
    output::to_stdout(|stdout| Ok(findings::write(&parts, &View::of_stdout(), stdout)?))?;
    Ok(match findings::worst(&parts) {
        Verdict::Good | Verdict::Note => Exit::Success,
        Verdict::Problem => Exit::Failure,
    })
}

/// What the kernel offers.
pub fn kernel_part(survey: &Survey) -> Part {
    let findings = survey.requirements.iter().map(|requirement| match &requirement.state {
        RequirementState::Good => Finding::good(requirement.name, &requirement.found),
        RequirementState::Degraded { lost, fix } => {
            Finding::note(requirement.name, format!("{}; lost: {lost}", requirement.found), fix)
        }
        RequirementState::Missing { why, fix } => Finding::problem(requirement.name, why, fix),
    });
    Part { title: format!("Kernel {} {}", survey.release, survey.machine), findings: findings.collect() }
}

fn config_part(global: &Global, loaded: &Result<Config, ConfigError>) -> Part {
    let path = global.config_path();
    let shown = path.display().to_string();
    let findings = match loaded {
        Ok(config) => {
            let mut findings = vec![config_file(&path, config), Finding::good("sinks", sinks(config))];
            findings.extend(sources::findings(config));
            findings.extend(rules::findings(config));
            findings
        }
        Err(ConfigError::Invalid { path, problems }) => problems
            .iter()
            .map(|problem| Finding::problem("", Located(path, problem).to_string(), "correct the line"))
            .collect(),
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
            vec![Finding::note(shown, "not seen: this account may not read it", "run the check as root")]
        }
        Err(error @ ConfigError::Unreadable { source, .. }) => {
            vec![Finding::problem("", format!("{error}: {source}"), "name a file that can be read")]
        }
        Err(error @ ConfigError::Missing { .. }) => {
            vec![Finding::problem("", error.to_string(), "create it, or leave --config away")]
        }
    };
    Part { title: "Configuration".to_owned(), findings }
}

/// A file without problems; under systemd the notify role reads it by itself, without the rights of root.
fn config_file(path: &Path, config: &Config) -> Finding {
    let shown = path.display().to_string();
    let Ok(file) = fs::metadata(path) else {
        return Finding::good(shown, "not there; everything has its default");
    };
    match privileges::notify_account(config) {
        Ok(account) if !account.is_fallback && !may_read(&file, &account) => Finding::note(
            &shown,
            format!(
                "no problem, but {} may not read it: the systemd unit of the notify role will not start",
                account.name
            ),
            format!("run `chgrp {} {shown} && chmod g+r {shown}`", account.gid),
        ),
        Ok(_) | Err(_) => Finding::good(shown, "no problem"),
    }
}

fn may_read(file: &fs::Metadata, account: &Account) -> bool {
    let mode = file.mode();
    match (file.uid() == account.uid, file.gid() == account.gid) {
        (true, _) => mode & 0o400 != 0,
        (false, true) => mode & 0o040 != 0,
        (false, false) => mode & 0o004 != 0,
    }
}

fn sinks(config: &Config) -> String {
    let sinks: Vec<_> =
        config.sinks.iter().map(|sink| format!("{} ({})", sink.name, sink.kind.as_str())).collect();
    sinks.join(", ")
}

fn account_part(config: Option<&Config>) -> Part {
    let default = Config::default();
    let config = config.unwrap_or(&default);
    let finding = match privileges::notify_account(config) {
        Ok(account) if account.is_fallback => Finding::note(
            "notify role",
            format!("there is no account {}; {} takes its place", config.notify.user, account.name),
            format!("run `useradd --system --no-create-home {}`", config.notify.user),
        ),
        Ok(account) => Finding::good("notify role", format!("runs as {}", account.name)),
        Err(error) => {
            Finding::problem("notify role", format!("{error:#}"), "set [notify] user to an ordinary account")
        }
    };
    let root = if privileges::is_root() {
        Finding::good("this account", "root: can start both roles and see everything")
    } else {
        Finding::note(
            "this account",
            "not root: can list sessions, not start the roles",
            "use sudo to start them",
        )
    };
    Part { title: "Accounts".to_owned(), findings: vec![finding, root] }
}

fn data_part(state_dir: &Path) -> Part {
    let mut findings = Vec::new();
    match fs::symlink_metadata(state_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => findings.push(Finding::note(
            "",
            "not there: nothing was recorded yet",
            "start `login-tracer run`, or the systemd units",
        )),
        Err(error) => {
            findings.push(Finding::problem("", error.to_string(), "check the path and its permissions"))
        }
        Ok(metadata) => {
            findings.push(directory(state_dir, &metadata));
            findings.push(sessions(state_dir));
            findings.extend(losses(state_dir));
            findings.push(deliveries(state_dir));
            findings.extend(held(state_dir));
            findings.extend(Role::ALL.map(|role| running(state_dir, role)));
            findings.push(programs(state_dir));
            findings.extend(set_aside(state_dir));
            findings.extend(set_aside(&state_dir.join(outbox::DIRECTORY)));
        }
    }
    Part { title: format!("Data in {}", state_dir.display()), findings }
}

fn directory(path: &Path, metadata: &fs::Metadata) -> Finding {
    let (mode, owner, shown) = (metadata.mode() & 0o7777, metadata.uid(), path.display());
    let found = format!("mode {mode:04o}, owner {owner}");
    if !metadata.is_dir() {
        return Finding::problem("directory", "is no directory", format!("remove {shown}"));
    }
    if mode & 0o022 != 0 {
        let advice = format!("run `chmod 0750 {shown}`");
        return Finding::problem("directory", format!("{found}: others may write to it"), advice);
    }
    if owner != 0 {
        let text = format!("{found}: not root's, so no role that root starts will use it");
        return Finding::note("directory", text, format!("run `chown root {shown}` unless this is a test"));
    }
    Finding::good("directory", found)
}

fn sessions(state_dir: &Path) -> Finding {
    let name = crate::store::FILE_NAME;
    match Reader::open(state_dir).and_then(|reader| reader.check()) {
        Ok(()) => Finding::good(name, "readable and whole"),
        Err(error) => unusable(name, error, "its sessions are listed as soon as the trace role has started"),
    }
}

/// Lost events of the last thirty days. What else is wrong with the database is told elsewhere.
fn losses(state_dir: &Path) -> Option<Finding> {
    let view = View::of_stdout();
    let since = view.now - SignedDuration::from_hours(30 * 24);
    let (count, last) = Reader::open(state_dir).and_then(|reader| reader.losses_since(since)).ok()??;
    let text = format!(
        "{count} were lost in the last 30 days, the last ones {}: sessions of that time may be missing",
        output::session::time(&view, last)
    );
    Some(Finding::note("kernel events", text, "make ring_buffer in [trace] larger"))
}

/// What records while the trace role does not run.
fn programs(state_dir: &Path) -> Finding {
    const NAME: &str = "kernel programs";
    match Pins::of(state_dir).are_there() {
        Ok(true) => Finding::good(NAME, "go on recording while the trace role does not run"),
        Ok(false) => Finding::note(
            NAME,
            "nothing is recorded while the trace role does not run",
            "start it; if it runs, its log says why they cannot be pinned",
        ),
        Err(error) => Finding::note(NAME, format!("not seen: {error}"), "run the check as root"),
    }
}

fn deliveries(state_dir: &Path) -> Finding {
    let name = outbox::FILE_NAME;
    match outbox::Reader::open(state_dir).and_then(|reader| reader.few_of_level(Level::High, 0).map(drop)) {
        Ok(()) => Finding::good(name, "readable"),
        Err(error) => unusable(name, error, "it appears as soon as the notify role has started"),
    }
}

/// Sinks that nothing is sent to, or that messages were given up for. What else is wrong with the database is told
/// elsewhere.
fn held(state_dir: &Path) -> Vec<Finding> {
    let queues = outbox::Reader::open(state_dir).and_then(|reader| reader.queues()).unwrap_or_default();
    let mut findings = Vec::new();
    for row in queues {
        let sink = sanitize::text(&row.sink, NAME_CHARS);
        let name = format!("sink {sink}");
        let waiting = row.waiting + row.sending;
        if let Some(held) = &row.held {
            let why = sanitize::text(&held.why, REASON_CHARS);
            let text = format!("{}, {waiting} waiting: {why}", held.hold.as_str());
            let resume = format!("`login-tracer queue resume {sink}`");
            findings.push(match held.hold {
                Hold::Suspended => Finding::problem(
                    &name,
                    text,
                    format!("correct its configuration and restart the notify role, or run {resume}"),
                ),
                Hold::Paused => Finding::note(&name, text, format!("{resume} sends again")),
            });
        } else if !row.is_configured && waiting > 0 {
            let text = format!("is not configured, {waiting} waiting");
            let advice =
                format!("configure it, or run `login-tracer queue drop --sink {sink} --older-than 0s`");
            findings.push(Finding::note(&name, text, advice));
        }
        if row.parked > 0 {
            let text = format!("refused for good, and parked: {}", row.parked);
            findings.push(Finding::note(&name, text, format!("see `login-tracer queue list {sink}`")));
        }
    }
    findings
}

fn unusable(name: &str, error: StoreError, when_missing: &str) -> Finding {
    let advice = match &error {
        StoreError::Missing { .. } => return Finding::note(name, "not there yet", when_missing),
        StoreError::Forbidden { .. } => {
            return Finding::note(
                name,
                "not seen: this account may not read it",
                "run as root, or as a member of the group that owns it",
            );
        }
        StoreError::Damaged { .. } => "restart its role: it sets the file aside and starts a new one",
        StoreError::Newer { .. } => "use the newer login-tracer",
        StoreError::File { .. } | StoreError::Sqlite { .. } => "check the disk and the file's permissions",
    };
    Finding::problem(name, format!("{:#}", anyhow::Error::from(error)), advice)
}

fn running(state_dir: &Path, role: Role) -> Finding {
    let name = format!("{role} role");
    match lock::is_held(Holder::Role(role), state_dir) {
        Ok(true) => Finding::good(name, "runs"),
        Ok(false) => Finding::note(name, "does not run", "start `login-tracer run`, or the systemd units"),
        Err(error) => Finding::note(name, format!("not seen: {error}"), "run the check as root"),
    }
}

/// Databases that were damaged: nothing is broken now, but somebody should look.
fn set_aside(dir: &Path) -> Vec<Finding> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    names.sort();
    let finding = |name: String| {
        let advice =
            format!("keep it, or try `sqlite3 {} .recover`; then move it away", dir.join(&name).display());
        Finding::note(name, "was damaged and set aside", advice)
    };
    names.into_iter().map(finding).collect()
}
