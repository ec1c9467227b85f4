//! `login-tracer show ID`: everything that is known about one session.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Exit;
use super::sessions::Ratings;
use crate::assess::Assessment;
use crate::cli::{SessionRef, ShowArgs};
use crate::notify::outbox::{DeliveryRow, DeliveryState};
use crate::notify::route::Allowed;
use crate::output::json::{self, ChangeRecord, DeliveryRecord, SessionRecord};
use crate::output::session::{account_state, auth, duration, known, lasted, risk, time};
use crate::output::{self, Style, View, verdict};
use crate::sanitize;
use crate::session::{Change, Identity, Service, Session};
use crate::store::Reader;

/// Characters shown of a text that strangers chose; enough for any real one.
const TEXT_CHARS: usize = 200;
/// The same for a key with its certificate.
const AUTH_CHARS: usize = 500;

pub(super) fn run(args: &ShowArgs, state_dir: &Path) -> anyhow::Result<Exit> {
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, state_dir, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(args: &ShowArgs, state_dir: &Path, view: &View, output: &mut dyn Write) -> anyhow::Result<()> {
    let reader = Reader::open(state_dir).context("cannot show the session")?;
    let (found, name) = match args.session {
        SessionRef::Id(id) => (reader.session(id), id.to_string()),
        SessionRef::Key(key) => (reader.session_by_key(key), key.to_string()),
    };
    let Some(session) = found.context("cannot show the session")? else {
        bail!("there is no session {name}; `login-tracer sessions` lists those there are");
    };
    let ratings = Ratings::open(state_dir, false)?;
    let everything = Everything {
        changes: reader.changes_of(session.id).context("cannot show the session")?,
        assessment: ratings.of(session.key)?,
        allowed: ratings.allowed(session.key)?,
        deliveries: ratings.deliveries(session.key)?,
        session,
    };
    if args.json {
        return json::write_line(output, &everything.record());
    }
    Ok(everything.write(view, output)?)
}

/// One session with all that belongs to it.
#[derive(Debug, Clone)]
pub struct Everything {
    pub session: Session,
    pub changes: Vec<Change>,
    pub assessment: Option<Assessment>,
    /// The entry of the allowlist that keeps its beginning and end from being told.
    pub allowed: Option<Allowed>,
    pub deliveries: Vec<DeliveryRow>,
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    session: SessionRecord<'a>,
    changes: Vec<ChangeRecord<'a>>,
    deliveries: Vec<DeliveryRecord<'a>>,
}

impl Everything {
    fn record(&self) -> impl Serialize + '_ {
        Record {
            session: SessionRecord::new(&self.session, self.assessment.as_ref(), self.allowed.as_ref()),
            changes: self.changes.iter().map(ChangeRecord::from).collect(),
            deliveries: self.deliveries.iter().map(DeliveryRecord::from).collect(),
        }
    }

    /// Writes the page that people read.
    pub fn write(&self, view: &View, output: &mut dyn Write) -> std::io::Result<()> {
        self.write_session(view, output)?;
        self.write_risk(view, output)?;
        if let Some(allowed) = &self.allowed {
            writeln!(output, "  {:<9} by {}", "Allowed", verdict::allowed_by(allowed))?;
        }
        writeln!(output, "\n{}", view.styled(Style::Bold, "What happened"))?;
        for change in &self.changes {
            let words = change_words(change);
            writeln!(output, "  {}  {}", time(view, change.at), words)?;
        }
        if !self.deliveries.is_empty() {
            writeln!(output, "\n{}", view.styled(Style::Bold, "Messages"))?;
        }
        for delivery in &self.deliveries {
            writeln!(output, "  {}", delivery_line(view, delivery))?;
        }
        Ok(())
    }

    fn write_session(&self, view: &View, output: &mut dyn Write) -> std::io::Result<()> {
        let session = &self.session;
        let user = known(session.user.as_deref(), TEXT_CHARS);
        let host = sanitize::text(&session.host, TEXT_CHARS);
        let title = format!("Session {} of {user} on {host}", session.id);
        writeln!(output, "{}", view.styled(Style::Bold, title))?;
        let endpoint = |end: Option<std::net::SocketAddr>| {
            end.map_or_else(|| "-".to_owned(), |end| format!("{} port {}", end.ip(), end.port()))
        };
        let lasted = duration(lasted(session, view.now));
        let (closed, end) = match session.closed {
            Some(closed) => (time(view, closed.at), format!("{}, after {lasted}", closed.end.as_str())),
            None => ("-".to_owned(), format!("open, for {lasted}")),
        };
        let zone = view.local(session.opened_at).strftime("%Z").to_string();
        let user_log = session.auth.as_ref().and_then(|auth| auth.user_log.as_deref());
        let user = match user_log {
            Some(other) => format!("{user} (sshd's log says {})", known(Some(other), TEXT_CHARS)),
            None => user,
        };
        let by = match (&session.auth, &session.by) {
            (Some(by), _) => auth(by, AUTH_CHARS),
            (None, Some(who)) => {
                format!(
                    "{} of {} ({})",
                    session.service.as_str(),
                    known(who.user.as_deref(), TEXT_CHARS),
                    who.uid
                )
            }
            (None, None) => "-".to_owned(),
        };
        let first = session.first_command.as_ref().map_or_else(
            || "-".to_owned(),
            |first| format!("{}: {}", first.kind.as_str(), known(Some(first.words()), TEXT_CHARS)),
        );
        let seen = if session.recovered { ", or later: it was found open" } else { "" };
        let holder = if session.service == Service::Ssh { "sshd" } else { session.service.as_str() };
        let rows = [
            ("User", user),
            ("User id", session.uid.map_or_else(|| "-".to_owned(), |uid| uid.to_string())),
            ("Account", session.account.map_or("-", account_state).to_owned()),
            ("By", by),
            ("From", endpoint(session.peer)),
            ("To", endpoint(session.local)),
            ("Terminal", known(session.tty.as_deref(), TEXT_CHARS)),
            ("Ran first", first),
            ("Opened", format!("{} {zone}{seen}", time(view, session.opened_at))),
            ("Closed", closed),
            ("State", end),
            (holder, format!("pid {}, {}", session.sshd.pid, known(session.sshd.exe.as_deref(), TEXT_CHARS))),
            ("Session", session.key.to_string()),
        ];
        rows.iter().try_for_each(|(name, value)| writeln!(output, "  {name:<9} {value}"))?;
        let Some(container) = &session.container else { return Ok(()) };
        let cgroup = known(container.cgroup.as_deref(), TEXT_CHARS);
        writeln!(output, "  {:<9} pid namespace {}, cgroup {cgroup}", "Container", container.pid_namespace)
    }

    fn write_risk(&self, view: &View, output: &mut dyn Write) -> std::io::Result<()> {
        let Some(assessment) = &self.assessment else {
            return writeln!(output, "  {:<9} not rated", "Risk");
        };
        let level = view.styled(assessment.level.into(), risk(assessment));
        writeln!(output, "  {:<9} {level}", "Risk")?;
        for reason in &assessment.reasons {
            let points = if reason.points == 0 { String::new() } else { format!("{:+}", reason.points) };
            writeln!(output, "  {points:>9} {}", sanitize::text(&reason.text, TEXT_CHARS))?;
        }
        Ok(())
    }
}

/// `escalated: alice (1001) -> root (0) by /usr/bin/sudo, pid 4711`, or the kind alone.
fn change_words(change: &Change) -> String {
    let kind = change.kind.as_str();
    let Some(how) = &change.escalation else {
        return kind.to_owned();
    };
    let identity = |who: &Identity| format!("{} ({})", known(who.user.as_deref(), TEXT_CHARS), who.uid);
    let exe = sanitize::text(&how.exe, TEXT_CHARS);
    let many = match change.count {
        Some(count) => format!(", the last of {count}"),
        None => String::new(),
    };
    format!("{kind}: {} -> {} by {exe}, pid {}{many}", identity(&how.from), identity(&how.to), how.pid)
}

/// `opened -> ops: delivered 2026-11-21 10:00:01, 2 attempts`
fn delivery_line(view: &View, delivery: &DeliveryRow) -> String {
    let sink = sanitize::text(&delivery.sink, TEXT_CHARS);
    format!("{} -> {sink}: {}", delivery.kind.as_str(), delivery_state(view, delivery))
}

/// `delivered 2026-11-21 10:00:01, 2 attempts`
pub(super) fn delivery_state(view: &View, delivery: &DeliveryRow) -> String {
    let mut line = delivery.state.as_str().to_owned();
    if let Some(at) = delivery.finished_at {
        line.push_str(&format!(" {}", time(view, at)));
    }
    match delivery.attempts {
        0 => {}
        1 => line.push_str(", 1 attempt"),
        attempts => line.push_str(&format!(", {attempts} attempts")),
    }
    if let Some(at) = delivery.next_at {
        let words = if delivery.state == DeliveryState::Held { " until" } else { ", next" };
        line.push_str(&format!("{words} {}", time(view, at)));
    }
    if let Some(error) = &delivery.last_error {
        line.push_str(&format!(", last error: {}", sanitize::text(error, TEXT_CHARS)));
    }
    line
}
