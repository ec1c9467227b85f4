//! What this host says of an account: `/etc/passwd`, `/etc/group`, and `/etc/shadow` where it may be read.
//!
//! Read anew for every login: the files are small, and an account that was made a minute ago is the one to look at. No
//! name service is asked, so that nobody's network can hold up a message; users that come from one are said to be unknown.
//! The unprivileged notify role may not read `/etc/shadow` and `/etc/sudoers`: what only they tell is unknown there, apart from
//! what the trace role found in the first when the session opened.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fact, Why};
use crate::session::AccountState;

/// More than any such file has; a wrong one must not fill the memory.
const MAX_BYTES: u64 = 16 << 20;
/// Groups that are kept.
const MAX_GROUPS: usize = 64;
/// The first user id of people, where `/etc/login.defs` says nothing else.
const UID_MIN: u32 = 1000;
/// Groups whose members may become root by the usual configuration of sudo.
const SUDO_GROUPS: [&str; 3] = ["sudo", "wheel", "admin"];
/// Seconds of a day: `/etc/shadow` counts days.
const DAY_S: i64 = 86_400;

/// An account of this host. Its texts were chosen by whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub uid: u32,
    pub home: String,
    pub shell: String,
    /// Names, or numbers where a group has none.
    pub groups: Vec<String>,
    /// Whether its user id is below those of people, and not root's.
    pub is_service: bool,
    /// Whether a group of it may use sudo; not known where only `/etc/sudoers` would tell.
    pub may_use_sudo: Fact<bool>,
    /// What `/etc/shadow` says.
    pub state: Fact<AccountState>,
}

impl Account {
    /// Whether the shell lets nobody in: by its name, wherever it lies.
    pub fn has_no_login_shell(&self) -> bool {
        let name = Path::new(&self.shell).file_name().and_then(|name| name.to_str());
        matches!(name, Some("nologin" | "false" | "true" | "sync" | "halt" | "shutdown"))
    }
}

/// The folder of the files.
#[derive(Debug, Clone)]
pub struct Accounts(PathBuf);

impl Default for Accounts {
    fn default() -> Self {
        Self(PathBuf::from("/etc"))
    }
}

impl Accounts {
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// What is known of an account, by its name, or by its number where it has no name.
    pub fn find(&self, user: Option<&str>, uid: Option<u32>, now: Timestamp) -> Fact<Account> {
        let Some(passwd) = self.read("passwd") else { return Fact::unknown(Why::Unreadable) };
        let entry = passwd.lines().filter_map(Entry::parse).find(|entry| match user {
            Some(user) => entry.name == user,
            None => Some(entry.uid) == uid,
        });
        // Another account of the same name, of a container or a name service, is not this one.
        let entry = entry.filter(|entry| uid.is_none_or(|uid| uid == entry.uid));
        let Some(entry) = entry else { return Fact::unknown(Why::NoAccount) };
        let groups = self.groups(&entry);
        let by_group = groups.iter().any(|group| SUDO_GROUPS.contains(&group.as_str()));
        Fact::Known(Account {
            uid: entry.uid,
            home: entry.home.to_owned(),
            shell: entry.shell.to_owned(),
            is_service: entry.uid != 0 && entry.uid < self.first_of_people(),
            may_use_sudo: if by_group || entry.uid == 0 {
                Fact::Known(true)
            } else {
                Fact::unknown(Why::Unreadable)
            },
            state: self.state(entry.name, now),
            groups,
        })
    }

    fn groups(&self, entry: &Entry<'_>) -> Vec<String> {
        let Some(group) = self.read("group") else { return vec![entry.gid.to_string()] };
        let mut found = Vec::new();
        let mut has_own = false;
        for line in group.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(_), Some(gid), members) =
                (fields.next(), fields.next(), fields.next(), fields.next().unwrap_or(""))
            else {
                continue;
            };
            let is_own = gid.parse() == Ok(entry.gid);
            has_own |= is_own;
            if is_own || members.split(',').any(|member| member == entry.name) {
                found.push(name.to_owned());
            }
        }
        if !has_own {
            found.push(entry.gid.to_string());
        }
        found.truncate(MAX_GROUPS);
        found
    }

    fn first_of_people(&self) -> u32 {
        let Some(text) = self.read("login.defs") else { return UID_MIN };
        let mut words = text.lines().filter_map(|line| line.trim().strip_prefix("UID_MIN"));
        words.find_map(|rest| rest.trim().parse().ok()).unwrap_or(UID_MIN)
    }

    fn state(&self, name: &str, now: Timestamp) -> Fact<AccountState> {
        let Some(shadow) = self.read("shadow") else { return Fact::unknown(Why::Unreadable) };
        let today = now.as_second().div_euclid(DAY_S);
        let mut lines = shadow.lines();
        let state = lines.find_map(|line| AccountState::of_shadow_line(line.as_bytes(), name, today));
        state.map_or(Fact::unknown(Why::NoAccount), Fact::Known)
    }

    fn read(&self, name: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.0.join(name)).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A line of `/etc/passwd`.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
        // Without a shell it is /bin/sh (passwd(5)).
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        Some(Self { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home, shell })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let accounts = Accounts::in_folder(folder.path());
        (folder, accounts)
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        www-data:x:33:33:www:/var/www:/usr/sbin/nologin\nbroken line\nshort:x:1\n\
        alice:x:1000:1000:Alice,,,:/home/alice:/bin/zsh\nbare:x:1001:1001::/:\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:bob,alice\nwww-data:x:33:\nalice:x:1000:\nadm:x:4:alicette\n";

    #[test]
    fn accounts_as_the_files_have_them() {
        let (_folder, host) = host(&[("passwd", PASSWD), ("group", GROUP)]);
        let find = |user| host.find(Some(user), None, Timestamp::UNIX_EPOCH);
        let alice = find("alice");
        let alice = alice.known().unwrap();
        assert_eq!(alice.groups, ["sudo", "alice"]);
        assert_eq!((alice.may_use_sudo.known(), alice.is_service), (Some(&true), false));
        assert!(!alice.has_no_login_shell());
        assert_eq!(alice.state, Fact::unknown(Why::Unreadable));
        let service = find("www-data");
        let service = service.known().unwrap();
        assert!(service.is_service && service.has_no_login_shell());
        assert_eq!(service.may_use_sudo, Fact::unknown(Why::Unreadable));
        assert_eq!(find("bare").known().unwrap().shell, "/bin/sh");
        assert_eq!(find("bare").known().unwrap().groups, ["1001"]);
        let root = find("root");
        let root = root.known().unwrap();
        assert_eq!((root.is_service, root.may_use_sudo.known()), (false, Some(&true)));
        assert_eq!(find("nobody-here"), Fact::unknown(Why::NoAccount));
        assert_eq!(find("short"), Fact::unknown(Why::NoAccount));
    }

    #[test]
    fn files_and_groups_have_a_limit() {
        let groups: String = (0..100).map(|gid| format!("g{gid}:x:{}:alice\n", 2000 + gid)).collect();
        let mut passwd = "x".repeat(MAX_BYTES as usize);
        passwd.insert_str(0, "alice:x:1000:1000::/:/bin/sh\n");
        passwd.push_str("\nbeyond:x:1001:1001::/:/bin/sh\n");
        let (_folder, host) = host(&[("passwd", &passwd), ("group", &groups)]);
        let find = |user| host.find(Some(user), None, Timestamp::UNIX_EPOCH);
        assert_eq!(find("alice").known().unwrap().groups.len(), MAX_GROUPS);
        assert_eq!(find("beyond"), Fact::unknown(Why::NoAccount));
    }

    #[test]
    fn a_name_is_not_enough() {
        let (_folder, host) = host(&[("passwd", PASSWD), ("group", GROUP)]);
        let find = |user, uid| host.find(user, uid, Timestamp::UNIX_EPOCH);
        assert!(find(Some("alice"), Some(1000)).known().is_some());
        assert_eq!(find(Some("alice"), Some(5000)), Fact::unknown(Why::NoAccount));
        assert_eq!(find(None, Some(33)).known().map(|account| account.uid), Some(33));
        assert_eq!(find(None, None), Fact::unknown(Why::NoAccount));
    }

    #[test]
    fn people_begin_where_the_host_says() {
        let (_folder, host) = host(&[
            ("passwd", "old:x:500:500::/home/old:/bin/sh\n"),
            ("login.defs", "# UID_MIN 1\nUID_MIN\t\t\t  500\n"),
        ]);
        assert!(!host.find(Some("old"), None, Timestamp::UNIX_EPOCH).known().unwrap().is_service);
    }

    #[test]
    fn states_of_accounts() {
        let shadow = "ok:$y$x:19000:0:99999:7:::\nkeys:!:19000:0:99999:7:::\nshut:!$y$x:19000::::::\n\
            gone:$y$x:19000:0:99999:7::20000:\n";
        let passwd: String = ["ok", "keys", "shut", "gone", "elsewhere"]
            .map(|name| format!("{name}:x:1000:1000::/:/bin/sh\n"))
            .concat();
        let (_folder, host) = host(&[("passwd", &passwd), ("shadow", shadow)]);
        let state = |user, day: i64| {
            let now = Timestamp::from_second(day * DAY_S).unwrap();
            host.find(Some(user), None, now).known().unwrap().state.clone()
        };
        assert_eq!(state("ok", 30_000), Fact::Known(AccountState::Usable));
        assert_eq!(state("keys", 30_000), Fact::Known(AccountState::NoPassword));
        assert_eq!(state("shut", 30_000), Fact::Known(AccountState::Locked));
        assert_eq!(state("gone", 19_999), Fact::Known(AccountState::Usable));
        assert_eq!(state("gone", 20_000), Fact::Known(AccountState::Expired));
        assert_eq!(state("elsewhere", 1), Fact::unknown(Why::NoAccount));
    }

    #[test]
    fn without_files_nothing_is_known() {
        let (_folder, host) = host(&[]);
        assert_eq!(host.find(Some("root"), None, Timestamp::UNIX_EPOCH), Fact::unknown(Why::Unreadable));
    }
}
