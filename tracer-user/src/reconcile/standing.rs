//! How far a connection is, by what its processes show. Pure.
//!
//! Titles of processes that run as root are sshd's own words; that of the postauth child is too, since the kernel lets
//! nobody else write to the memory of a process that was root's.

use super::Found;
use crate::tracker::title::Title;

/// What a process that executes sshd is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It holds an open session.
    Open { user: String, uid: u32, tty: Option<String>, postauth: Option<u32> },
    /// Its client is authenticating, through this preauth child.
    Authenticating { preauth: u32 },
    /// It listens, has only accepted a connection, or is no monitor.
    Other,
}

/// `all` are the processes that execute sshd, `found` among them.
pub(super) fn standing(found: &Found, all: &[Found]) -> Standing {
    if found.uid != 0 || !found.image.is_trusted_sshd() {
        return Standing::Other;
    }
    let title = Title::parse(&found.title);
    let mut children = all.iter().filter(|child| child.parent_pid == found.pid);
    let postauth = children.clone().find_map(|child| match Title::parse(&child.title) {
        Some(Title::Session { tty, .. }) => Some((child, tty)),
        Some(Title::Monitor { .. }) | None => None,
    });
    match (title, postauth) {
        (Some(Title::Monitor { user, .. }), Some((child, tty))) => Standing::Open {
            user: user.to_owned(),
            uid: child.uid,
            tty: tty.map(str::to_owned),
            postauth: Some(child.pid),
        },
        // Between the end of authentication and the title of the child.
        (Some(Title::Monitor { user, authenticated: true }), None) => {
            let child = children.next();
            Standing::Open {
                user: user.to_owned(),
                uid: child.map_or(0, |child| child.uid),
                tty: None,
                postauth: child.map(|child| child.pid),
            }
        }
        (Some(Title::Session { user, tty }), _) if !has_monitor(found, all) => Standing::Open {
            user: user.to_owned(),
            uid: found.uid,
            tty: tty.map(str::to_owned),
            postauth: None,
        },
        (Some(Title::Session { .. }), _) => Standing::Other,
        (Some(Title::Monitor { authenticated: false, .. }) | None, _) => {
            let preauth = children.find(|child| child.uid != 0 || child.image.name == "sshd-auth");
            preauth.map_or(Standing::Other, |child| Standing::Authenticating { preauth: child.pid })
        }
    }
}

/// Root's postauth child (since 9.8) has the title that root's monitor had before.
fn has_monitor(found: &Found, all: &[Found]) -> bool {
    let parent = all.iter().find(|parent| parent.pid == found.parent_pid);
    parent.is_some_and(|parent| matches!(Title::parse(&parent.title), Some(Title::Monitor { .. })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Image, Service};

    fn process(pid: u32, parent_pid: u32, uid: u32, title: &str) -> Found {
        let name = if title.starts_with("sshd-session") { "sshd-session" } else { "sshd" };
        let image = Image { name: name.into(), path: format!("/usr/sbin/{name}"), owner_uid: 0, mode: 0o755 };
        Found {
            pid,
            parent_pid,
            start_ticks: 1,
            uid,
            euid: uid,
            tty: None,
            service: Service::Ssh,
            image,
            title: title.into(),
        }
    }

    fn open(user: &str, uid: u32, tty: Option<&str>, postauth: Option<u32>) -> Standing {
        Standing::Open { user: user.into(), uid, tty: tty.map(str::to_owned), postauth }
    }

    /// The standing of each process.
    fn standings(all: &[Found]) -> Vec<Standing> {
        all.iter().map(|found| standing(found, all)).collect()
    }

    #[test]
    fn up_to_9_7() {
        let all = [
            process(1, 0, 0, "sshd: /usr/sbin/sshd -D [listener] 1 of 10-100 startups"),
            process(2, 1, 0, "sshd: alice [priv]"),
            process(3, 2, 1001, "sshd: alice@pts/0"),
            process(4, 1, 0, "sshd: root@notty"),
            process(5, 1, 0, "sshd: bob [priv]"),
            process(6, 5, 104, "sshd: bob [net]"),
            process(7, 1, 0, "sshd: [accepted]"),
            process(8, 7, 104, "sshd: [net]"),
        ];
        assert_eq!(
            standings(&all),
            [
                Standing::Other,
                open("alice", 1001, Some("pts/0"), Some(3)),
                Standing::Other,
                open("root", 0, None, None),
                Standing::Authenticating { preauth: 6 },
                Standing::Other,
                Standing::Authenticating { preauth: 8 },
                Standing::Other,
            ]
        );
    }

    #[test]
    fn since_9_8_root_has_a_postauth_child() {
        let all = [
            process(1, 0, 0, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"),
            process(2, 1, 0, "sshd-session: root [priv]"),
            process(3, 2, 0, "sshd-session: root@pts/1"),
            process(4, 1, 0, "sshd-session: alice [postauth]"),
        ];
        assert_eq!(
            standings(&all),
            [
                Standing::Other,
                open("root", 0, Some("pts/1"), Some(3)),
                Standing::Other,
                open("alice", 0, None, None),
            ]
        );
    }

    #[test]
    fn what_others_run_is_no_session() {
        let mut copy = process(2, 1, 0, "sshd: root@pts/0");
        copy.image.owner_uid = 1001;
        assert_eq!(
            standings(&[process(1, 0, 1001, "sshd: root@pts/0"), copy]),
            [Standing::Other, Standing::Other]
        );
    }
}
