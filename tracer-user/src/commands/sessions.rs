//! `login-tracer sessions`: the list, newest first, page by page, so that a million sessions need no memory.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use jiff::SignedDuration;

use super::{Exit, Usage};
use crate::assess::{Assessment, Level};
use crate::cli::SessionsArgs;
use crate::notify::outbox::{self, DeliveryRow};
use crate::notify::route::Allowed;
use crate::output::{self, View, json, session, table};
use crate::session::{Service, Session, SessionKey};
use crate::store::{FEW, Filter, Reader, StoreError};

/// Sessions read at once: large enough to be quick, small enough to hold.
const PAGE: u32 = 500;

pub(super) fn run(args: &SessionsArgs, state_dir: &Path) -> anyhow::Result<Exit> {
    let view = View::of_stdout();
    output::to_stdout(|stdout| write(args, state_dir, &view, stdout))?;
    Ok(Exit::Success)
}

/// Writes what `args` ask for.
pub fn write(
    args: &SessionsArgs,
    state_dir: &Path,
    view: &View,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let sessions = Reader::open(state_dir).context("cannot list sessions")?;
    let ratings = Ratings::open(state_dir, args.level.is_some())?;
    let level = args.level.map(Level::from);
    let mut pages = Pages {
        filter: Filter {
            keys: level.map_or(Ok(None), |level| ratings.few_of(level))?,
            ..filter(args, view)?
        },
        level,
        left: if args.limit == 0 { u64::MAX } else { args.limit },
        has_more: true,
        sessions,
        ratings,
    };
    let mut table = session::table();
    let mut is_empty = true;
    while let Some(page) = pages.next()? {
        is_empty &= page.is_empty();
        if args.json {
            for Listed { session, assessment, allowed } in &page {
                let record = json::SessionRecord::new(session, assessment.as_ref(), allowed.as_ref());
                json::write_line(output, &record)?;
            }
        } else {
            let rows: Vec<_> = page
                .iter()
                .map(|listed| {
                    let is_allowed = listed.allowed.is_some();
                    session::row(view, &listed.session, listed.assessment.as_ref(), is_allowed)
                })
                .collect();
            write_rows(&mut table, output, view, &rows)?;
        }
    }
    if args.json {
        return Ok(());
    }
    if is_empty {
        writeln!(output, "No session found.")?;
    } else if pages.has_older()? {
        writeln!(output, "There are older sessions; --limit 0 lists all.")?;
    }
    write_losses(&pages, view, output)
}

/// A list that may lack sessions says so: since the time that was asked for, or in the last day.
fn write_losses(pages: &Pages, view: &View, output: &mut dyn Write) -> anyhow::Result<()> {
    let since = pages.filter.since.unwrap_or(view.now - SignedDuration::from_hours(24));
    let losses = pages.sessions.losses_since(since).context("cannot list losses")?;
    if let Some((count, last)) = losses {
        let last = session::time(view, last);
        writeln!(output, "{count} kernel events were lost, the last ones {last}: sessions may be missing.")?;
    }
    Ok(())
}

fn write_rows<const N: usize>(
    table: &mut table::Table<N>,
    output: &mut dyn Write,
    view: &View,
    rows: &[[table::Cell; N]],
) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    Ok(table.write(output, view, rows)?)
}

fn filter(args: &SessionsArgs, view: &View) -> anyhow::Result<Filter> {
    let since = match &args.since {
        Some(since) => {
            let at = since.resolve(view.now, &view.zone);
            Some(at.ok_or_else(|| Usage("--since is outside of the calendar".to_owned()))?)
        }
        None => None,
    };
    Ok(Filter {
        active: args.active,
        service: args.service.map(Service::from),
        user: args.user.clone(),
        network: args.address,
        since,
        limit: Some(PAGE),
        ..Filter::default()
    })
}

/// A session and what the notify role made of it.
struct Listed {
    session: Session,
    assessment: Option<Assessment>,
    allowed: Option<Allowed>,
}

/// The sessions that match, a page at a time.
struct Pages {
    filter: Filter,
    level: Option<Level>,
    left: u64,
    /// Whether there may be a further page.
    has_more: bool,
    sessions: Reader,
    ratings: Ratings,
}

impl Pages {
    /// The next sessions with their assessments; may be empty though more follow.
    fn next(&mut self) -> anyhow::Result<Option<Vec<Listed>>> {
        if self.left == 0 || !self.has_more {
            return Ok(None);
        }
        if self.level.is_none() {
            self.filter.limit = Some(u32::try_from(self.left).unwrap_or(PAGE).min(PAGE));
        }
        let page = self.sessions.sessions(&self.filter).context("cannot list sessions")?;
        self.has_more = Some(page.len()) == self.filter.limit.map(|limit| limit as usize);
        let mut matching = Vec::with_capacity(page.len());
        for session in page {
            if self.left == 0 {
                self.has_more = true;
                break;
            }
            self.filter.before = Some(session.id);
            let assessment = self.ratings.of(session.key)?;
            let level = assessment.as_ref().map_or(Level::Unknown, |assessment| assessment.level);
            if self.level.is_none_or(|wanted| wanted == level) {
                self.left -= 1;
                let allowed = self.ratings.allowed(session.key)?;
                matching.push(Listed { session, assessment, allowed });
            }
        }
        Ok(Some(matching))
    }

    /// Whether the list was cut. With a level it only says that older sessions were not looked at.
    fn has_older(&mut self) -> anyhow::Result<bool> {
        if !self.has_more {
            return Ok(false);
        }
        self.filter.limit = Some(1);
        Ok(!self.sessions.sessions(&self.filter).context("cannot list sessions")?.is_empty())
    }
}

/// What the notify role made of sessions; nothing where it has never run.
#[derive(Debug)]
pub(super) struct Ratings(Option<outbox::Reader>);

impl Ratings {
    /// Without assessments a list of sessions is still worth having: what keeps them from being read is told and
    /// borne, unless the question was about them.
    ///
    /// # Errors
    /// Only if they are `required`.
    pub(super) fn open(state_dir: &Path, required: bool) -> anyhow::Result<Self> {
        match outbox::Reader::open(state_dir) {
            Ok(reader) => Ok(Self(Some(reader))),
            Err(StoreError::Missing { .. }) => Ok(Self(None)),
            Err(error) if required => Err(error).context("cannot read the assessments"),
            Err(error) => {
                let error = anyhow::Error::from(error);
                output::to_stderr(&format!("login-tracer: cannot read the assessments: {error:#}"));
                Ok(Self(None))
            }
        }
    }

    pub(super) fn of(&self, key: SessionKey) -> anyhow::Result<Option<Assessment>> {
        match &self.0 {
            Some(reader) => reader.assessment(key).context("cannot read the assessments"),
            None => Ok(None),
        }
    }

    /// All sessions of a level, where they are few. A session that was not assessed counts as unknown, and no list has
    /// those.
    fn few_of(&self, level: Level) -> anyhow::Result<Option<Vec<SessionKey>>> {
        match &self.0 {
            Some(reader) if level != Level::Unknown => {
                reader.few_of_level(level, FEW).context("cannot read the assessments")
            }
            Some(_) | None => Ok(None),
        }
    }

    pub(super) fn allowed(&self, key: SessionKey) -> anyhow::Result<Option<Allowed>> {
        match &self.0 {
            Some(reader) => reader.allowed(key).context("cannot read what was decided"),
            None => Ok(None),
        }
    }

    pub(super) fn deliveries(&self, key: SessionKey) -> anyhow::Result<Vec<DeliveryRow>> {
        match &self.0 {
            Some(reader) => reader.deliveries_of(key).context("cannot read the deliveries"),
            None => Ok(Vec::new()),
        }
    }
}
