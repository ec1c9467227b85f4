//! `login-tracer explain ID`: the whole calculation of a session's risk.
//!
//! It is made with the facts that were stored when the session was rated and with the rules of today; where the two
//! disagree with what was told, that is said.

use std::io::Write;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Exit;
use super::sessions::Ratings;
use crate::assess::{Assessment, Calculation, Login};
use crate::cli::{ExplainArgs, Global, SessionRef};
use crate::config::{self, Config, Secrets};
use crate::enrich::Enricher;
use crate::enrich::local::Local;
use crate::notify::assessor::Assessor;
use crate::notify::outbox;
use crate::output::json::{self, SessionRecord};
use crate::output::session::{known, risk, time};
use crate::output::{self, Style, View, calculation};
use crate::store::{Reader, StoreError};

/// Characters shown of a name.
const TEXT_CHARS: usize = 200;

#[derive(Debug, Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    session: SessionRecord<'a>,
    calculation: calculation::Record<'a>,
}

pub(super) fn run(args: &ExplainArgs, global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    let config = config::load(global.config.as_deref(), Secrets::Skip)?;
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, &config, state_dir, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(
    args: &ExplainArgs,
    config: &Config,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let reader = Reader::open(state_dir).context("cannot explain the session")?;
    let (found, name) = match args.session {
        SessionRef::Id(id) => (reader.session(id), id.to_string()),
        SessionRef::Key(key) => (reader.session_by_key(key), key.to_string()),
    };
    let Some(session) = found.context("cannot explain the session")? else {
        bail!("there is no session {name}; `login-tracer sessions` lists those there are");
    };
    let changes = reader.changes_of(session.id).context("cannot explain the session")?;
    let stored = match outbox::Reader::open(state_dir) {
        Ok(outbox) => outbox.rating(session.key).context("cannot read the assessment")?,
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error).context("cannot read the assessment"),
    };
    let (told, facts) = match stored {
        Some((told, facts)) => (Some(told), facts),
        // Without asking anybody: what this host knows by itself.
        None => (
            None,
            offline(config, state_dir, view)
                .at_hand(&reader, &session, view.now)
                .context("nothing is known")?
                .1,
        ),
    };
    let calculation = Calculation::of(&Login::of(&session, &changes), &facts, &config.risk);
    if args.json {
        let allowed = Ratings::open(state_dir, false)?.allowed(session.key)?;
        let record = Record {
            session: SessionRecord::new(&session, told.as_ref(), allowed.as_ref()),
            calculation: calculation::Record::new(&calculation, &facts),
        };
        return json::write_line(output, &record);
    }
    let user = known(session.user.as_deref(), TEXT_CHARS);
    let from = session.peer.map_or_else(|| "nowhere".to_owned(), |peer| peer.ip().to_string());
    let title = format!("Session {} of {user} from {from}, {}", session.id, time(view, session.opened_at));
    writeln!(output, "{}\n", view.styled(Style::Bold, title))?;
    calculation::write(&calculation, &facts, config.risk.thresholds, view, output)?;
    Ok(write_told(told.as_ref(), &calculation, output)?)
}

/// What was told, where it is something else.
fn write_told(told: Option<&Assessment>, now: &Calculation, output: &mut dyn Write) -> std::io::Result<()> {
    match told {
        None => writeln!(output, "\nIt was not rated yet: nobody was asked about the address."),
        Some(told) if *told == now.assessment() => Ok(()),
        Some(told) => writeln!(output, "\nIt was rated {}, by other rules or other weights.", risk(told)),
    }
}

/// An assessor that asks nobody.
pub(super) fn offline(config: &Config, state_dir: &Path, view: &View) -> Assessor {
    let local = Rc::new(Local::open(&config.enrich.databases, &config.enrich.lists));
    let enricher = Rc::new(Enricher::new(config.enrich.deadline, local, Vec::new()));
    Assessor::new(state_dir.to_owned(), enricher, config.risk.clone()).in_zone(view.zone.clone())
}
