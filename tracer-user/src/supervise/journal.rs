//! From findings to durable rows: keeps what is not written yet, writes it, and survives a store that fails.
//!
//! An update leaves the journal only when a commit that held it has returned. A full disk keeps it in memory and in
//! the kernel's ring buffer; a damaged database is set aside, and the open sessions are written to the new one.

use std::collections::HashMap;
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tracer_ebpf::NAME_LEN;

use crate::event::{Escalated, Process, Service};
use crate::kernel::{self, Clock};
use crate::session::{
    AccountState, Attempt, AttemptKey, Closed, End, Escalation, ForeignSshd, Identity, LossCounter, Opening,
    SessionKey, Sshd, Update,
};
use crate::store::{self, StoreError, WAL_WARN_BYTES, Writer};
use crate::tracker::{self, Connection, Finding};

/// Updates that wait in memory at most while the store fails; after that, events wait in the kernel.
const PENDING_AT_MOST: usize = 100_000;

/// What happens between the tracker and the disk.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    group: Option<u32>,
    keep_attempts: u32,
    identity: kernel::Identity,
    host: String,
    writer: Writer,
    pending: Vec<Update>,
    /// The open sessions as they were written, to be written again to a new database.
    open: HashMap<Process, Opening>,
    is_failing: bool,
    /// Attempts for which there was no room since the store failed.
    attempts_forgotten: u64,
    has_warned_of_wal: bool,
}

impl Journal {
    /// Opens the store in `directory`; a damaged one is set aside. Members of `group` may read it. It remembers so many
    /// attempts.
    pub(super) fn open(
        directory: &Path,
        group: Option<u32>,
        keep_attempts: u32,
        identity: kernel::Identity,
        host: String,
    ) -> Result<Self, StoreError> {
        let writer = match Writer::open(directory, group) {
            Err(StoreError::Damaged { path, source }) => {
                set_aside(&path, &source)?;
                Writer::open(directory, group)?
            }
            result => result?,
        };
        Ok(Self {
            directory: directory.to_owned(),
            group,
            keep_attempts,
            identity,
            host,
            writer: writer.keeping_attempts(keep_attempts),
            pending: Vec::new(),
            open: HashMap::new(),
            is_failing: false,
            attempts_forgotten: 0,
            has_warned_of_wal: false,
        })
    }

    /// The sessions that the store believes to be open.
    pub(super) fn live_sessions(&self) -> Result<Vec<Opening>, StoreError> {
        self.writer.live_sessions()
    }

    /// What a counter of lost events showed when it was recorded last.
    pub(super) fn losses_counted(&self, counter: &str) -> Result<u64, StoreError> {
        self.writer.losses_counted(counter)
    }

    /// Goes on with what an earlier journal could not write.
    pub(super) fn take_over(&mut self, pending: Vec<Update>) {
        self.pending.splice(0..0, pending);
    }

    /// What is not written yet.
    pub(super) fn pending(&self) -> &[Update] {
        &self.pending
    }

    /// Whether the end of a session waits to be written.
    pub(super) fn is_closing(&self, session: SessionKey) -> bool {
        self.pending.iter().any(|update| matches!(update, Update::Closed { key, .. } if *key == session))
    }

    /// A session of the store goes on.
    pub(super) fn resume(&mut self, monitor: Process, opening: Opening) {
        self.open.insert(monitor, opening);
    }

    /// A session of the store ended while nobody watched.
    pub(super) fn close_stored(&mut self, session: &Opening, at: Timestamp, end: End) {
        let closed = Closed { at: at.max(session.at), end };
        self.pending.push(Update::Closed { key: session.key, closed });
    }

    /// Takes a finding of the tracker.
    pub(super) fn add(&mut self, finding: Finding, clock: Clock) {
        let mut learned = None;
        let update = match finding {
            Finding::Opened { monitor, at, service, user, uid, by, tty, connection, auth, exe } => {
                let uid = uid.or_else(|| kernel::uid_of(user.as_deref()?, monitor.pid));
                let user = user.or_else(|| kernel::name_of(uid?, monitor.pid));
                let at = clock.timestamp(at);
                let auth = auth.map(|auth| *auth);
                let opening = self.opening(monitor, service, by, connection, exe);
                self.begin(monitor, Opening { user, uid, auth, tty, at, ..opening })
            }
            Finding::Recovered { monitor, at: _, service, by, user, uid, tty, connection, exe } => {
                let user = user.or_else(|| kernel::name_of(uid?, monitor.pid));
                // It began some time after its connection, which is all that is left to see.
                let at = clock.timestamp(monitor.start);
                let opening = self.opening(monitor, service, by, connection, exe);
                self.begin(monitor, Opening { user, uid, tty, at, recovered: true, ..opening })
            }
            Finding::Identified { monitor, at, uid, tty } => {
                let mut user = None;
                if let Some(opening) = self.open.get_mut(&monitor) {
                    opening.uid = uid.or(opening.uid);
                    if let (Some(uid), None) = (uid, &opening.user) {
                        // Neither title nor log named them.
                        user = kernel::name_of(uid, monitor.pid);
                        opening.user.clone_from(&user);
                    }
                }
                let at = clock.timestamp(at);
                if user.is_some() {
                    learned = self.learn_account(monitor, at);
                }
                Update::Identified { key: self.key(monitor), at, user, uid, tty }
            }
            Finding::Authenticated { monitor, at, user, auth } => {
                let at = clock.timestamp(at);
                let mut is_new = false;
                if let Some(opening) = self.open.get_mut(&monitor) {
                    is_new = opening.user.is_none() && user.is_some();
                    opening.user = opening.user.take().or_else(|| user.clone());
                    opening.auth = Some((*auth).clone());
                }
                if is_new {
                    learned = self.learn_account(monitor, at);
                }
                Update::Authenticated { key: self.key(monitor), at, user, auth }
            }
            Finding::Began { monitor, at, first } => {
                Update::Began { key: self.key(monitor), at: clock.timestamp(at), first }
            }
            Finding::Attempt(attempt) => {
                if self.pending.len() >= PENDING_AT_MOST / 2 {
                    // The store fails, and sessions need the room.
                    self.attempts_forgotten += 1;
                    return;
                }
                Update::Attempt(Box::new(self.attempt(*attempt, clock)))
            }
            Finding::Closed { monitor, at, end } => {
                let opening = self.open.remove(&monitor);
                let key = opening.as_ref().map_or_else(|| self.key(monitor), |opening| opening.key);
                let at = clock.timestamp(at);
                // The wall clock may have been set back meanwhile; a session does not end before it begins.
                let at = opening.map_or(at, |opening| at.max(opening.at));
                tracing::info!(session = %key, end = end.as_str(), "session closed");
                Update::Closed { key, closed: Closed { at, end } }
            }
            Finding::Escalated { monitor, at, process, how, count } => {
                let key = self.key(monitor);
                // As the monitor sees the accounts, or as we do: the process itself may see what its user wants it to.
                let witness = if self.open.contains_key(&monitor) { monitor.pid } else { std::process::id() };
                let identity = |uid| Identity { uid, user: kernel::name_of(uid, witness) };
                let escalation = Escalation {
                    pid: process.pid,
                    from: identity(how.from),
                    to: identity(how.to),
                    exe: responsible_executable(process.pid, &how),
                };
                tracing::info!(session = %key, ?escalation, count, "user id gained");
                let (boot_ns, at) = (at.0, clock.timestamp(at));
                Update::Escalated { key, at, boot_ns, escalation: Box::new(escalation), count }
            }
            Finding::ForeignSshd { process, at, uid, image, doubt } => {
                let user = kernel::name_of(uid, std::process::id());
                let exe = executable(process.pid).unwrap_or(image.path);
                let foreign = ForeignSshd { pid: process.pid, run_by: Identity { uid, user }, exe, doubt };
                tracing::warn!(?foreign, "an sshd was started that is not this host's");
                let (key, at) = (self.key(process), clock.timestamp(at));
                Update::ForeignSshd { key, at, foreign: Box::new(foreign) }
            }
        };
        self.pending.push(update);
        self.pending.extend(learned);
    }

    /// How the account stands of a session whose user became known only now.
    fn learn_account(&mut self, monitor: Process, at: Timestamp) -> Option<Update> {
        let opening = self.open.get_mut(&monitor).filter(|opening| opening.account.is_none())?;
        opening.account = account_of(monitor, opening, Timestamp::now());
        Some(Update::Account { key: opening.key, at, account: opening.account? })
    }

    fn begin(&mut self, monitor: Process, mut opening: Opening) -> Update {
        opening.account = account_of(monitor, &opening, Timestamp::now());
        log_opened(&opening);
        self.open.insert(monitor, opening.clone());
        Update::Opened(Box::new(opening))
    }

    /// What every session begins with.
    fn opening(
        &self,
        monitor: Process,
        service: Service,
        by: Option<u32>,
        connection: Option<Connection>,
        exe: String,
    ) -> Opening {
        Opening {
            key: self.key(monitor),
            host: self.host.clone(),
            service,
            by: by.map(|uid| Identity { uid, user: kernel::name_of(uid, monitor.pid) }),
            boot_id: self.identity.boot_id.clone(),
            user: None,
            uid: None,
            peer: connection.map(|connection| connection.peer),
            local: connection.map(|connection| connection.local),
            auth: None,
            tty: None,
            sshd: Sshd { pid: monitor.pid, exe: Some(executable(monitor.pid).unwrap_or(exe)) },
            sshd_start_boot_ns: monitor.start.0,
            at: Timestamp::UNIX_EPOCH,
            recovered: false,
            container: kernel::container_of(monitor.pid),
            account: None,
        }
    }

    /// Records that kernel events were lost: so many more, by this counter, which shows `total` now.
    pub(super) fn add_loss(&mut self, count: u64, total: u64, counter: &str, at: Timestamp) {
        tracing::warn!(count, "kernel events were lost");
        let counter = LossCounter { name: counter.to_owned(), value: total };
        self.pending.push(Update::EventsLost { at, count, counter });
    }

    /// Whether more may be taken in: while the store fails, memory must not grow without bound.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < PENDING_AT_MOST
    }

    /// Whether everything is on the disk.
    pub(super) fn is_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// Writes what is pending. On failure it stays pending; the caller tries again later. Says whether anything was
    /// written.
    pub(super) fn commit(&mut self) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        match self.writer.commit(&self.pending) {
            Ok(()) => {
                self.pending.clear();
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the database can be written again; no session was lost");
                }
                let attempts = std::mem::take(&mut self.attempts_forgotten);
                if attempts > 0 {
                    tracing::warn!(attempts, "connections without a session were not recorded meanwhile");
                }
                self.warn_of_large_wal();
            }
            Err(StoreError::Damaged { path, source }) => {
                if let Err(error) = self.replace_damaged(&path, &source) {
                    self.report_failure(&error);
                }
            }
            Err(error) => self.report_failure(&error),
        }
        self.pending.is_empty()
    }

    fn key(&self, monitor: Process) -> SessionKey {
        SessionKey::new(&self.identity.machine_id, &self.identity.boot_id, monitor.pid, monitor.start.0)
    }

    fn attempt(&self, attempt: tracker::Attempt, clock: Clock) -> Attempt {
        let kernel::Identity { machine_id, boot_id, .. } = &self.identity;
        let tracker::Attempt { monitor, peer, local, began_at, ended_at, tried, reason } = attempt;
        let key = match monitor {
            Some(monitor) => AttemptKey::of_monitor(machine_id, boot_id, monitor.pid, monitor.start.0),
            None => AttemptKey::of_dropped(machine_id, boot_id, peer, ended_at.0),
        };
        Attempt {
            key,
            host: self.host.clone(),
            peer,
            local: Some(local),
            sshd_pid: monitor.map(|monitor| monitor.pid),
            began_at: clock.timestamp(began_at),
            ended_at: clock.timestamp(ended_at),
            tried,
            reason,
        }
    }

    /// Goes on with a new database, which gets the sessions that are open.
    fn replace_damaged(&mut self, path: &Path, cause: &rusqlite::Error) -> Result<(), StoreError> {
        set_aside(path, cause)?;
        self.writer = Writer::open(&self.directory, self.group)?.keeping_attempts(self.keep_attempts);
        let open = self.open.values().map(|opening| Update::Opened(Box::new(opening.clone())));
        self.pending.splice(0..0, open);
        self.writer.commit(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// Says it once, not with every attempt.
    fn report_failure(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, cause, "cannot write; sessions are kept in memory until it works again");
        }
    }

    fn warn_of_large_wal(&mut self) {
        let bytes = self.writer.wal_bytes();
        let is_large = bytes > WAL_WARN_BYTES;
        if is_large && !self.has_warned_of_wal {
            tracing::warn!(bytes, "the database's log grows: some reader keeps a transaction open");
        }
        self.has_warned_of_wal = is_large;
    }
}

fn set_aside(path: &Path, cause: &rusqlite::Error) -> Result<(), StoreError> {
    let kept = store::set_aside(path, Timestamp::now())?;
    tracing::error!(
        database = %path.display(),
        kept_as = %kept.display(),
        %cause,
        "the database is damaged and was set aside; tracing goes on with a new one"
    );
    Ok(())
}

/// What the kernel says that a process executes: more than the path it was started by.
fn executable(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?.to_string_lossy().into_owned();
    Some(path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned())
}

/// The path of what the kernel only told the name of. The process may execute something else by now, or be gone.
fn responsible_executable(pid: u32, how: &Escalated) -> String {
    let has_name = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_cut = how.name.len() + 1 >= NAME_LEN;
        path.starts_with('/') && (name == how.name || is_cut && name.starts_with(&how.name))
    };
    let running = executable(pid).filter(has_name);
    running.or_else(|| how.path.clone().filter(has_name)).unwrap_or_else(|| how.name.clone())
}

/// How the account stands. Accounts of a container are its own business.
fn account_of(monitor: Process, opening: &Opening, now: Timestamp) -> Option<AccountState> {
    let user = opening.user.as_deref().filter(|_| opening.container.is_none())?;
    kernel::account_state(user, monitor.pid, now)
}

fn log_opened(opening: &Opening) {
    // Debug escapes what strangers chose.
    let service = opening.service.as_str();
    tracing::info!(session = %opening.key, service, user = ?opening.user, peer = ?opening.peer, "session opened");
}
