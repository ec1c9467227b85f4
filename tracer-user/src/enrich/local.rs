//! The owner's own files: lists of addresses, and databases in MaxMind's format.
//!
//! Promises:
//! - A look-up touches no disk and waits for nothing; what is looked up in stays in memory.
//! - A file that changes is read again beside the work and takes the old one's place at once when it is whole. One that
//!   is not is refused with its reason, and the old one stays.
//! - What could not be read at all is said with every login: it is not the same as not being in it.
//! - Each content has a name of its own, so that it can be told later whether the same would be said again.

mod database;
mod list;
pub mod watch;

use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::Timestamp;
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};

pub use self::database::Database;
pub use self::list::Addresses;
use super::history::Atlas;
use super::place::Position;
use super::{Fact, Facts, Listing, Network, Place};
use crate::config;
use crate::words;

/// More than any of these files has: a city database has some hundred megabytes.
const MAX_BYTES: u64 = 1 << 30;
/// From this age on a database is said to be old. MaxMind's licence wants it replaced after thirty days.
pub const OLD_DAYS: i64 = 30;
/// So much of a digest names an edition: it must be another one than before, and nobody gains by its being the same.
const EDITION_BYTES: usize = 8;

/// All files of the owner's.
pub struct Local {
    lists: Vec<ListFile>,
    city: Option<Kept<Database>>,
    country: Option<Kept<Database>>,
    asn: Option<Kept<Database>>,
    edition: RefCell<Option<String>>,
}

/// A list and what the configuration says of it.
struct ListFile {
    name: String,
    points: Option<u8>,
    file: Kept<Addresses>,
}

/// How one file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `list drop`, `city database`.
    pub name: String,
    pub path: PathBuf,
    /// What is in use: `50,000 entries`; `None` if nothing is.
    pub in_use: Option<String>,
    /// Why the file as it is now is not in use.
    pub refused: Option<String>,
    /// Age in days of a database that is too old.
    pub old: Option<i64>,
}

impl Local {
    /// Reads all files. One that cannot be read is said so and left out.
    pub fn open(databases: &config::Databases, lists: &[config::List]) -> Self {
        let database = |path: &Option<PathBuf>, name: &str| {
            path.as_ref().map(|path| Kept::open(name.to_owned(), path.clone()))
        };
        let lists = lists.iter().map(|list| ListFile {
            name: list.name.clone(),
            points: list.points,
            file: Kept::open(words::risk::list(&list.name), list.path.clone()),
        });
        let local = Self {
            lists: lists.collect(),
            city: database(&databases.city, words::risk::CITY_DATABASE),
            country: database(&databases.country, words::risk::COUNTRY_DATABASE),
            asn: database(&databases.asn, words::risk::NETWORK_DATABASE),
            edition: RefCell::default(),
        };
        local.edition.replace(local.name_edition());
        local.warn_of_old();
        local
    }

    /// No file at all.
    pub fn none() -> Self {
        Self::open(&config::Databases::default(), &[])
    }

    /// The files.
    pub fn paths(&self) -> Vec<&Path> {
        let lists = self.lists.iter().map(|list| list.file.path.as_path());
        lists.chain(self.databases().map(|database| database.path.as_path())).collect()
    }

    /// Reads the files again that have changed, in a thread of its own; whether any took the place of an old one.
    pub async fn refresh(&self) -> bool {
        let mut is_new = false;
        for list in &self.lists {
            is_new |= list.file.refresh().await;
        }
        for database in self.databases() {
            is_new |= database.refresh().await;
        }
        if is_new {
            self.edition.replace(self.name_edition());
            self.warn_of_old();
        }
        is_new
    }

    /// The name of what is in use of all files together: another one for every other content and every other way to use
    /// it, and the same after every restart. `None` without files.
    pub fn edition(&self) -> Option<String> {
        self.edition.borrow().clone()
    }

    fn name_edition(&self) -> Option<String> {
        if self.paths().is_empty() {
            return None;
        }
        let mut all = Context::new(&SHA256);
        let mut add = |name: &str, points: Option<u8>, digest: Option<[u8; SHA256_OUTPUT_LEN]>| {
            // Whatever name it is, it cannot be taken for what comes after it.
            all.update(&(name.len() as u64).to_be_bytes());
            all.update(name.as_bytes());
            all.update(&[points.is_some().into(), points.unwrap_or_default(), digest.is_some().into()]);
            all.update(&digest.unwrap_or_default());
        };
        for list in &self.lists {
            add(&list.file.name, list.points, list.file.digest());
        }
        for database in self.databases() {
            add(&database.name, None, database.digest());
        }
        let digest = all.finish();
        Some(digest.as_ref().iter().take(EDITION_BYTES).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Facts with what the files say of an address now in the place of what they said before. One that could be read then
    /// and cannot be now says what it said.
    pub fn ask_again(&self, before: &Facts, address: IpAddr) -> Facts {
        let mut facts = Facts { listings: Vec::new(), unreadable: Vec::new(), ..before.clone() };
        self.add_to(&mut facts, address);
        // One that could not be read then either said nothing that could be kept.
        let is_lost = |list: &ListFile| facts.unreadable.contains(&list.file.name);
        let lost: Vec<&str> =
            self.lists.iter().filter(|list| is_lost(list)).map(|list| list.name.as_str()).collect();
        let kept = before.listings.iter().filter(|listing| lost.contains(&listing.list.as_str()));
        facts.listings.extend(kept.cloned());
        facts.unreadable.retain(|name| before.unreadable.contains(name));
        facts
    }

    /// Says in the log which databases are old.
    pub fn warn_of_old(&self) {
        for file in self.standings(Timestamp::now()) {
            if let Some(days) = file.old {
                tracing::warn!(file = %file.name, path = %file.path.display(), days, "a database is old");
            }
        }
    }

    /// How each file stands.
    pub fn standings(&self, now: Timestamp) -> Vec<Standing> {
        let list = |list: &ListFile| {
            let in_use = list.file.get().map(|list| format!("{} entries", list.len()));
            Standing { in_use, ..list.file.standing() }
        };
        let database = |file: &Kept<Database>| {
            let database = file.get();
            let in_use = database.as_ref().map(|database| database.describe(now));
            let old = database.map(|database| database.age_days(now)).filter(|days| *days > OLD_DAYS);
            Standing { in_use, old, ..file.standing() }
        };
        self.lists.iter().map(list).chain(self.databases().map(database)).collect()
    }

    /// Adds what the files say of an address.
    pub fn add_to(&self, facts: &mut Facts, address: IpAddr) {
        for list in &self.lists {
            let Some(addresses) = list.file.get() else { continue };
            if let Some(entry) = addresses.find(address) {
                let entry = entry.to_string();
                facts.listings.push(Listing { list: list.name.clone(), entry, points: list.points });
            }
        }
        let lists = self.lists.iter().map(|list| (&list.file.name, list.file.get().is_some()));
        let databases = self.databases().map(|database| (&database.name, database.get().is_some()));
        let unreadable = lists.chain(databases).filter(|(_, is_there)| !is_there);
        facts.unreadable.extend(unreadable.map(|(name, _)| name.clone()));
        facts.edition = self.edition();
        if let Some(place) = self.place(address) {
            facts.place = Fact::Known(place);
        }
        if let Some(network) = self.network(address) {
            facts.network = Fact::Known(network);
        }
    }

    fn place(&self, address: IpAddr) -> Option<Place> {
        [&self.city, &self.country].into_iter().flatten().find_map(|file| file.get()?.place(address))
    }

    fn network(&self, address: IpAddr) -> Option<Network> {
        self.asn.as_ref()?.get()?.network(address)
    }

    fn databases(&self) -> impl Iterator<Item = &Kept<Database>> {
        [&self.city, &self.country, &self.asn].into_iter().flatten()
    }
}

impl Atlas for Local {
    fn country(&self, address: IpAddr) -> Option<String> {
        self.place(address)?.country_code
    }

    fn position(&self, address: IpAddr) -> Option<Position> {
        self.city.as_ref()?.get()?.position(address)
    }
}

/// The content of a file, ready to be asked.
trait Content: Sized + Send + 'static {
    /// # Errors
    /// What is wrong with it, in words.
    fn parse(bytes: Vec<u8>) -> Result<Self, String>;

    /// Whether it is nothing but the rest of something that was cut off.
    fn is_nothing(&self) -> bool;
}

/// A file and the last good content of it.
struct Kept<T> {
    /// For people.
    name: String,
    path: PathBuf,
    state: RefCell<State<T>>,
}

struct State<T> {
    content: Option<Rc<T>>,
    /// Of the content.
    digest: Option<[u8; SHA256_OUTPUT_LEN]>,
    /// The file as it was when it was read last, well or not.
    stamp: Option<Stamp>,
    refused: Option<String>,
}

/// What changes with every new content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed_ns: i128,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed_ns: i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec()),
        }
    }
}

impl<T: Content> Kept<T> {
    fn open(name: String, path: PathBuf) -> Self {
        let state = RefCell::new(State { content: None, digest: None, stamp: None, refused: None });
        let kept = Self { name, path, state };
        let (stamp, content) = read(&kept.path);
        kept.take(stamp, content);
        kept
    }

    fn get(&self) -> Option<Rc<T>> {
        self.state.borrow().content.clone()
    }

    fn standing(&self) -> Standing {
        let refused = self.state.borrow().refused.clone();
        Standing { name: self.name.clone(), path: self.path.clone(), in_use: None, refused, old: None }
    }

    /// Reads the file again if it changed; whether it took the place of the old content.
    async fn refresh(&self) -> bool {
        let stamp = std::fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if stamp == self.state.borrow().stamp {
            return false;
        }
        let path = self.path.clone();
        match tokio::task::spawn_blocking(move || read(&path)).await {
            Ok((stamp, content)) => self.take(stamp, content),
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "a file could not be read");
                false
            }
        }
    }

    fn digest(&self) -> Option<[u8; SHA256_OUTPUT_LEN]> {
        self.state.borrow().digest
    }

    fn take(&self, stamp: Option<Stamp>, content: Result<Whole<T>, String>) -> bool {
        let mut state = self.state.borrow_mut();
        state.stamp = stamp;
        // An empty file is what a writer leaves that was interrupted, or is not done yet.
        let content = content.and_then(|whole| {
            let was_something = state.content.as_ref().is_some_and(|old| !old.is_nothing());
            if was_something && whole.content.is_nothing() {
                Err("it is empty".to_owned())
            } else {
                Ok(whole)
            }
        });
        let path = self.path.display();
        match content {
            Ok(Whole { content, digest }) => {
                // News is only that it changed.
                match state.content {
                    Some(_) => tracing::info!(file = %self.name, %path, "read again"),
                    None => tracing::debug!(file = %self.name, %path, "read"),
                }
                (state.content, state.digest) = (Some(Rc::new(content)), Some(digest));
                state.refused = None;
                true
            }
            Err(why) => {
                let is_old_kept = state.content.is_some();
                tracing::warn!(file = %self.name, %path, why, is_old_kept, "a file cannot be used");
                state.refused = Some(why);
                false
            }
        }
    }
}

/// All that is in a file.
struct Whole<T> {
    content: T,
    digest: [u8; SHA256_OUTPUT_LEN],
}

impl<T: Content> Whole<T> {
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let mut sum = [0; SHA256_OUTPUT_LEN];
        sum.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        Ok(Self { content: T::parse(bytes)?, digest: sum })
    }
}

/// Reads and checks a whole file.
fn read<T: Content>(path: &Path) -> (Option<Stamp>, Result<Whole<T>, String>) {
    let open = || -> io::Result<(Metadata, Vec<u8>)> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::Error::other("it is larger than 1 GiB"));
        }
        Ok((metadata, bytes))
    };
    match open() {
        Ok((metadata, bytes)) => (Some(Stamp::of(&metadata)), Whole::parse(bytes)),
        Err(error) => {
            // Seen or not: an unreadable file that stays the same need not be tried again and again.
            let stamp = std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
            (stamp, Err(error.to_string()))
        }
    }
}
