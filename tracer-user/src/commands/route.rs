//! `login-tracer route --explain ID`: where each change of a session went, and why.
//!
//! What is shown was stored when it was decided. What today's configuration would decide is computed here and kept apart.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Exit;
use super::show::delivery_state;
use crate::assess::Level;
use crate::cli::{Global, RouteArgs, SessionRef};
use crate::config::{self, Config, Secrets};
use crate::notify::outbox::{self, Decision};
use crate::notify::route::{self, Beginning, Case, Groups, Verdict};
use crate::notify::{groups, intake};
use crate::output::json::{self, DeliveryRecord, rfc3339};
use crate::output::session::{known, time};
use crate::output::{self, Style, View, verdict};
use crate::sanitize;
use crate::session::{Change, ChangeKind, Session};
use crate::store::{Reader, StoreError};

/// Characters shown of a name.
const TEXT_CHARS: usize = 200;

pub(super) fn run(args: &RouteArgs, global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    let config = match args.now {
        true => Some(config::load(global.config.as_deref(), Secrets::Skip)?),
        false => None,
    };
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, config.as_ref(), state_dir, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(
    args: &RouteArgs,
    config: Option<&Config>,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let reader = Reader::open(state_dir).context("cannot explain the session")?;
    let (found, name) = match args.explain {
        SessionRef::Id(id) => (reader.session(id), id.to_string()),
        SessionRef::Key(key) => (reader.session_by_key(key), key.to_string()),
    };
    let Some(session) = found.context("cannot explain the session")? else {
        bail!("there is no session {name}; `login-tracer sessions` lists those there are");
    };
    let changes = reader.changes_of(session.id).context("cannot explain the session")?;
    let (decisions, level) = match outbox::Reader::open(state_dir) {
        Ok(reader) => (
            Some(reader.decisions_of(session.key).context("cannot read what was decided")?),
            reader.assessment(session.key).context("cannot read the assessments")?,
        ),
        Err(StoreError::Missing { .. }) => (None, None),
        Err(error) => return Err(error).context("cannot read what was decided"),
    };
    let level = level.map_or(Level::Unknown, |assessment| assessment.level);
    let today = config.map(|config| decide_today(config, &session, &changes, level, view));
    let explained: Vec<_> = changes
        .iter()
        .enumerate()
        .map(|(index, change)| Explained {
            change,
            decision: decisions.iter().flatten().find(|d| (d.kind, d.seq) == (change.kind, change.seq)),
            untold: untold(change, &changes, decisions.is_some()),
            today: today.as_ref().and_then(|today| today.get(index)?.as_ref()),
        })
        .collect();
    if args.json {
        return json::write_line(output, &record(&session, &explained));
    }
    let user = known(session.user.as_deref(), TEXT_CHARS);
    let title = format!("Session {} of {user} on {}", session.id, sanitize::text(&session.host, TEXT_CHARS));
    writeln!(output, "{}", view.styled(Style::Bold, title))?;
    explained.iter().try_for_each(|explained| explained.write(view, output))?;
    Ok(())
}

/// One change and all that is known about its way.
struct Explained<'a> {
    change: &'a Change,
    decision: Option<&'a Decision>,
    /// Why there is no decision.
    untold: &'static str,
    today: Option<&'a Verdict>,
}

impl Explained<'_> {
    fn write(&self, view: &View, output: &mut dyn Write) -> std::io::Result<()> {
        let title = format!("{}  {}", time(view, self.change.at), self.change.kind.as_str());
        writeln!(output, "\n{}", view.styled(Style::Bold, title))?;
        match self.decision {
            None => writeln!(output, "  {}", self.untold)?,
            Some(decision) => write_decision(decision, view, output)?,
        }
        if let Some(today) = self.today {
            writeln!(output, "  today's configuration: {}", verdict::headline(today))?;
            verdict::write_details(today, view, "    ", output)?;
        }
        Ok(())
    }
}

fn write_decision(decision: &Decision, view: &View, output: &mut dyn Write) -> std::io::Result<()> {
    match &decision.verdict {
        Some(verdict) => {
            let decided = time(view, verdict.at);
            writeln!(output, "  decided {decided}: {}", verdict::headline(verdict))?;
            verdict::write_details(verdict, view, "    ", output)?;
        }
        None if decision.is_finished => writeln!(output, "  decided by a version that kept no reasons")?,
        None => writeln!(output, "  not decided yet: the session is being rated")?,
    }
    for delivery in &decision.deliveries {
        let sink = sanitize::text(&delivery.sink, TEXT_CHARS);
        writeln!(output, "  {sink}: {}", delivery_state(view, delivery))?;
    }
    Ok(())
}

/// Why a change was not announced.
fn untold(change: &Change, of_session: &[Change], has_run: bool) -> &'static str {
    if change.kind == ChangeKind::Identified {
        "not told by itself: messages that are written later say more"
    } else if intake::is_repeated(change, of_session) {
        "not told: the same program gained the same user id in this session before"
    } else if has_run {
        "not taken in: the notify role has not read it yet, or first started long after it"
    } else {
        "not taken in: the notify role has never run"
    }
}

/// What this configuration would decide now, for each change that is told.
fn decide_today(
    config: &Config,
    session: &Session,
    changes: &[Change],
    level: Level,
    view: &View,
) -> Vec<Option<Verdict>> {
    let sinks: Vec<_> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
    let mut beginning = Beginning::Undecided;
    let mut decide = |change: &Change| {
        let event = intake::event_of(change, session)?;
        if intake::is_repeated(change, changes) {
            return None;
        }
        let groups = groups::look_up(&event, &config.rules).unwrap_or(Groups::Unknown);
        let case = Case::of(&event, Some(level), groups);
        let verdict = route::decide(&config.rules, &sinks, &case, &beginning, view.now, &view.zone);
        if beginning == Beginning::Undecided {
            beginning = Beginning::of(Some(&verdict));
        }
        Some(verdict)
    };
    changes.iter().map(&mut decide).collect()
}

/// The names and formats here are a promise to other people's programs.
#[derive(Debug, Serialize)]
struct Record<'a> {
    id: i64,
    session: String,
    changes: Vec<ChangeRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct ChangeRecord<'a> {
    seq: u32,
    kind: &'static str,
    at: String,
    /// `null` where nothing was decided.
    decision: Option<VerdictRecord<'a>>,
    deliveries: Vec<DeliveryRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    today: Option<VerdictRecord<'a>>,
}

/// A verdict with its times as everywhere in JSON.
#[derive(Debug, Serialize)]
struct VerdictRecord<'a> {
    at: String,
    reason: route::Why,
    allowed: Option<&'a route::Allowed>,
    routes: &'a [route::Look],
    sinks: Vec<DestinationRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct DestinationRecord<'a> {
    sink: &'a str,
    held_until: Option<String>,
    quiet_hours: Option<&'a str>,
}

fn record<'a>(session: &Session, explained: &[Explained<'a>]) -> Record<'a> {
    let change = |explained: &Explained<'a>| ChangeRecord {
        seq: explained.change.seq,
        kind: explained.change.kind.as_str(),
        at: rfc3339(explained.change.at),
        decision: explained.decision.and_then(|decision| decision.verdict.as_ref()).map(VerdictRecord::from),
        deliveries: explained
            .decision
            .map_or_else(Vec::new, |decision| decision.deliveries.iter().map(DeliveryRecord::from).collect()),
        today: explained.today.map(VerdictRecord::from),
    };
    let changes = explained.iter().map(change).collect();
    Record { id: session.id, session: session.key.to_string(), changes }
}

impl<'a> From<&'a Verdict> for VerdictRecord<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self {
            at: rfc3339(verdict.at),
            reason: verdict.reason,
            allowed: verdict.allowed.as_ref(),
            routes: &verdict.routes,
            sinks: verdict
                .sinks
                .iter()
                .map(|to| DestinationRecord {
                    sink: &to.sink,
                    held_until: to.held.as_ref().map(|held| rfc3339(held.until)),
                    quiet_hours: to.held.as_ref().map(|held| held.hours.as_str()),
                })
                .collect(),
        }
    }
}
