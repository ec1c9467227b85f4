//! `login-tracer assess IP`: rates an address by hand. `login-tracer assess --replay`: what today's rules would make of the
//! sessions that were rated.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::task::LocalSet;

use super::explain::offline;
use super::{Exit, Usage};
use crate::assess::{Calculation, Level, Login};
use crate::cli::{AssessArgs, Global};
use crate::config::{self, Config, Secrets};
use crate::enrich::quota::{Limits, Refusal};
use crate::enrich::{Fact, Facts, Ledger, Why};
use crate::notify::assessor::Assessor;
use crate::notify::sink::http::Clients;
use crate::notify::{self, outbox};
use crate::output::json;
use crate::output::session::{known, risk, time};
use crate::output::table::{Cell, Table};
use crate::output::{self, View, calculation};
use crate::store::{Filter, Reader, StoreError};
use crate::supervise::privileges;

/// Sessions read at once.
const PAGE: u32 = 500;
/// Characters shown of a name.
const TEXT_CHARS: usize = 20;

pub(super) fn run(args: &AssessArgs, global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    let view = View::of_stdout();
    if args.replay {
        let config = config::load(global.config.as_deref(), Secrets::Skip)?;
        output::to_stdout(|stdout| replay(args, &config, state_dir, &view, stdout))?;
        return Ok(Exit::Success);
    }
    let Some(address) = args.address else {
        return Err(Usage("an address is needed, or --replay".to_owned()).into());
    };
    let secrets = if args.offline { Secrets::Skip } else { Secrets::Read };
    let config = config::load(global.config.as_deref(), secrets)?;
    if privileges::is_root() && !args.offline {
        // As the role does it: nothing is asked as root.
        privileges::become_account(&privileges::notify_account(&config)?)?;
    }
    let login = Login {
        user: args.user.clone(),
        address: Some(address.to_canonical()),
        ..Login::of_nobody(view.now)
    };
    let assessor =
        if args.offline { offline(&config, state_dir, &view) } else { asking(&config, state_dir)? };
    let facts = facts(&assessor, &login, address, state_dir, &view)?;
    let calculation = Calculation::of(&login, &facts, &config.risk);
    output::to_stdout(|stdout| {
        if args.json {
            return json::write_line(stdout, &calculation::Record::new(&calculation, &facts));
        }
        Ok(calculation::write(&calculation, &facts, config.risk.thresholds, &view, stdout)?)
    })?;
    Ok(Exit::Success)
}

/// What is known of an address, asked for where it must be.
fn facts(
    assessor: &Assessor,
    login: &Login,
    address: IpAddr,
    state_dir: &Path,
    view: &View,
) -> anyhow::Result<Facts> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let asked = LocalSet::new().block_on(&runtime, async {
        match assessor.enricher().at_hand(Some(address), view.now) {
            Some(facts) => facts,
            None => assessor.enricher().ask(address).await,
        }
    });
    runtime.shutdown_background();
    let history = match Reader::open(state_dir) {
        Ok(reader) => assessor.history(&reader, i64::MAX, login),
        Err(StoreError::Missing { .. }) => Fact::unknown(Why::NotAsked),
        Err(_) => Fact::unknown(Why::Unreadable),
    };
    let account = match &login.user {
        Some(user) => assessor.accounts().find(Some(user), None, view.now),
        None => Fact::unknown(Why::NotAsked),
    };
    Ok(Facts { history, account, ..asked })
}

/// An assessor that asks whoever is configured. What the role remembers is used; what is asked here is counted nowhere.
fn asking(config: &Config, state_dir: &Path) -> anyhow::Result<Assessor> {
    let stored = outbox::Reader::open(state_dir).ok();
    let ledger = Rc::new(Uncounted { stored, own: RefCell::default() });
    let enricher = Rc::new(notify::enricher(config, &Clients::new(), ledger)?);
    Ok(Assessor::new(state_dir.to_owned(), enricher, config.risk.clone()))
}

/// A ledger of one question.
struct Uncounted {
    stored: Option<outbox::Reader>,
    own: RefCell<HashMap<(String, String), String>>,
}

impl Ledger for Uncounted {
    fn answer(&self, source: &str, subject: &str, now: Timestamp) -> Option<String> {
        let own = self.own.borrow().get(&(source.to_owned(), subject.to_owned())).cloned();
        own.or_else(|| self.stored.as_ref()?.answer(source, subject, now).ok()?)
    }

    fn remember(&self, source: &str, subject: &str, answer: &str, _expires: Timestamp) {
        self.own.borrow_mut().insert((source.to_owned(), subject.to_owned()), answer.to_owned());
    }

    fn spend(&self, _source: &str, _limits: Limits, _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Runs today's rules over the sessions that were rated, with what was known then, and writes those that would change.
pub fn replay(
    args: &AssessArgs,
    config: &Config,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let reader = Reader::open(state_dir).context("cannot replay the sessions")?;
    let ratings = match outbox::Reader::open(state_dir) {
        Ok(ratings) => ratings,
        Err(StoreError::Missing { .. }) => {
            writeln!(output, "No session was rated yet.")?;
            return Ok(());
        }
        Err(error) => return Err(error).context("cannot read the assessments"),
    };
    let mut table = Table::new(["ID", "USER", "ADDRESS", "OPENED", "WAS", "WOULD BE"]).right(&["ID"]);
    let (mut rated, mut changed) = (0_u64, [[0_u64; 4]; 4]);
    let mut filter = Filter { limit: Some(PAGE), user: args.user.clone(), ..Filter::default() };
    loop {
        let page = reader.sessions(&filter).context("cannot replay the sessions")?;
        let Some(last) = page.last() else { break };
        filter.before = Some(last.id);
        let mut rows = Vec::new();
        for session in &page {
            let Some((was, facts)) = ratings.rating(session.key).context("cannot read the assessments")?
            else {
                continue;
            };
            rated += 1;
            let changes = reader.changes_of(session.id).context("cannot replay the sessions")?;
            let now = Calculation::of(&Login::of(session, &changes), &facts, &config.risk).assessment();
            changed[was.level as usize][now.level as usize] += 1;
            if now.level == was.level {
                continue;
            }
            rows.push([
                Cell::new(session.id.to_string()),
                Cell::new(known(session.user.as_deref(), TEXT_CHARS)),
                Cell::new(session.peer.map_or_else(|| "-".to_owned(), |peer| peer.ip().to_string())),
                Cell::new(time(view, session.opened_at)),
                Cell::styled(risk(&was), was.level.into()),
                Cell::styled(risk(&now), now.level.into()),
            ]);
        }
        if !rows.is_empty() {
            table.write(output, view, &rows)?;
        }
    }
    let levels = [Level::Unknown, Level::Low, Level::Medium, Level::High];
    let moved: u64 = levels
        .iter()
        .flat_map(|was| {
            levels.iter().filter(move |now| *now != was).map(move |now| (*was as usize, *now as usize))
        })
        .map(|(was, now)| changed[was][now])
        .sum();
    writeln!(output, "{moved} of {rated} rated sessions would change their level.")?;
    Ok(())
}
