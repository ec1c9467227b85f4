//! What is kept of a descendant of a session, and when it has gained a user id.
//!
//! The process of sshd that becomes a user is the *root* of its descendants, itself included. Each is known in the kernel
//! together with the user ids that it was seen with last, so that only a gain makes an event. Gained is a user id
//! that a process has in any place (real, effective, saved) and had in none before, with three exceptions:
//!
//! - root may become anybody: what a process with user id 0 changes to is no gain;
//! - unless it is still the set-uid program that made it root: then it became the other one on behalf of whoever started
//!   it, as `su` and `sudo -u` do. It must become that one for good (all three ids): they change back and forth before;
//! - the user id that the root had belongs to the session anyway.

use crate::{Header, NAME_LEN};

/// How many descendants of sessions can be followed at once.
pub const MAX_DESCENDANTS: u32 = 65_536;

/// `S_ISUID` of `inode(7)`.
const SET_UID: u32 = 0o4000;

/// Stands for no user id: -1 is none, `credentials(7)`.
pub const NOBODY: u32 = u32::MAX;

/// One descendant, as the kernel keeps it by process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Descendant {
    /// Start of the root in nanoseconds since boot, see [`Header::start_boot_ns`].
    pub root_start_boot_ns: u64,
    /// Process id of the root.
    pub root_tgid: u32,
    /// Real user id of the root when it became one.
    pub root_uid: u32,
    /// The user ids that the process was seen with last.
    pub seen: UserIds,
    /// Whoever started the set-uid program that the process executes; [`NOBODY`] if it executes none that gave it something.
    pub granted_to: u32,
    /// Name of its executable, NUL-terminated.
    pub name: [u8; NAME_LEN],
}

/// The user ids of a process, in the initial user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct UserIds {
    pub ruid: u32,
    pub euid: u32,
    pub suid: u32,
}

/// A user id that a process has and had not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gain {
    pub from: u32,
    pub to: u32,
    /// A set-uid program that was root for `from` became `to` for it.
    pub is_granted: bool,
}

/// A descendant of a session gained a user id; the header is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Escalated {
    pub header: Header,
    /// See [`Descendant`].
    pub root_start_boot_ns: u64,
    pub root_tgid: u32,
    pub from_uid: u32,
    pub to_uid: u32,
    /// 1 for [`Gain::is_granted`], else 0.
    pub is_granted: u32,
    /// Name of the executable by which it was gained, NUL-terminated.
    pub name: [u8; NAME_LEN],
    /// The path that was given to `execve`, NUL-terminated; empty where nothing was executed.
    pub path: [u8; crate::PATH_LEN],
}

impl UserIds {
    pub const fn all(uid: u32) -> Self {
        Self { ruid: uid, euid: uid, suid: uid }
    }

    #[inline(always)]
    pub const fn has(self, uid: u32) -> bool {
        self.ruid == uid || self.euid == uid || self.suid == uid
    }
}

impl Descendant {
    /// The process that begins a line of descendants. It was `uid` in every place before it executed its program.
    #[inline(always)]
    pub fn root(tgid: u32, start_boot_ns: u64, uid: u32, name: [u8; NAME_LEN]) -> Self {
        Self {
            root_start_boot_ns: start_boot_ns,
            root_tgid: tgid,
            root_uid: uid,
            seen: UserIds::all(uid),
            granted_to: NOBODY,
            name,
        }
    }

    /// Takes note of the user ids that the process has now, and says what it gained.
    #[inline(always)]
    pub fn has_now(&mut self, now: UserIds) -> Option<Gain> {
        let before = self.seen;
        if now == before {
            return None;
        }
        self.seen = now;
        if before.has(0) {
            let to = now.ruid;
            let is_for_good = now == UserIds::all(to) && to != 0;
            let is_granted = self.granted_to != NOBODY;
            let is_new = to != self.granted_to && to != self.root_uid;
            return (is_for_good && is_granted && is_new).then_some(Gain {
                from: self.granted_to,
                to,
                is_granted: true,
            });
        }
        let is_gain = |uid: u32| !before.has(uid) && uid != self.root_uid;
        let to = if is_gain(now.euid) {
            now.euid
        } else if is_gain(now.ruid) {
            now.ruid
        } else if is_gain(now.suid) {
            now.suid
        } else {
            return None;
        };
        Some(Gain { from: before.ruid, to, is_granted: false })
    }

    /// Takes note of a program that the process has begun to execute, with the user ids that it has now. Says what was
    /// gained, and whether this program gave it; else the process had it from what it executed before.
    ///
    /// `owner` and `mode` are those of the executable. Its name is for the caller to set, who may need the old one.
    #[inline(always)]
    pub fn executes(&mut self, now: UserIds, owner: u32, mode: u32) -> Option<(Gain, bool)> {
        let gain = self.has_now(now);
        self.granted_to = NOBODY;
        let gain = gain?;
        let is_given = mode & SET_UID != 0 && owner == gain.to && now.euid == owner;
        if is_given {
            self.granted_to = gain.from;
        }
        Some((gain, is_given))
    }
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    const ALICE: u32 = 1001;
    const BOB: u32 = 1002;
    const DAEMON: u32 = 1;
    const SET_UID_FILE: u32 = 0o104_755;
    const PLAIN_FILE: u32 = 0o100_755;

    fn ids(ruid: u32, euid: u32, suid: u32) -> UserIds {
        UserIds { ruid, euid, suid }
    }

    fn gain(from: u32, to: u32) -> Gain {
        Gain { from, to, is_granted: false }
    }

    fn session_of(uid: u32) -> Descendant {
        Descendant::root(100, 1, uid, [0; NAME_LEN])
    }

    /// Alice has executed a set-uid program of root.
    fn sudo() -> Descendant {
        let mut process = session_of(ALICE);
        let gained = gain(ALICE, 0);
        assert_eq!(process.executes(ids(ALICE, 0, 0), 0, SET_UID_FILE), Some((gained, true)));
        process
    }

    #[test]
    fn layout_has_no_padding() {
        assert_eq!(size_of::<Descendant>(), 8 + 4 + 4 + 12 + 4 + NAME_LEN);
        assert_eq!(size_of::<Escalated>(), 32 + 8 + 4 * 4 + NAME_LEN + crate::PATH_LEN);
        assert_eq!(offset_of!(Descendant, seen), 16);
        assert_eq!(offset_of!(Escalated, name), 56);
    }

    #[test]
    fn a_set_uid_program_gives_what_it_gives_once() {
        let mut process = sudo();
        for now in [ids(0, 0, 0), ids(0, DAEMON, 0), ids(ALICE, ALICE, 0), ids(0, 0, 0)] {
            assert_eq!(process.has_now(now), None, "{now:?}");
        }
    }

    #[test]
    fn it_must_be_set_uid_and_its_owner_must_be_the_one_who_was_gained() {
        for (owner, mode) in [(0, PLAIN_FILE), (BOB, SET_UID_FILE)] {
            let mut process = session_of(ALICE);
            let (gained, is_given) = process.executes(ids(ALICE, 0, 0), owner, mode).unwrap();
            assert_eq!((gained, is_given, process.granted_to), (gain(ALICE, 0), false, NOBODY));
        }
    }

    #[test]
    fn a_set_uid_program_of_somebody_else_counts() {
        let mut process = session_of(ALICE);
        let gained = gain(ALICE, BOB);
        assert_eq!(process.executes(ids(ALICE, BOB, BOB), BOB, SET_UID_FILE), Some((gained, true)));
        assert_eq!(process.has_now(UserIds::all(BOB)), None);
    }

    #[test]
    fn credentials_that_change_without_a_program_count() {
        let mut process = session_of(ALICE);
        assert_eq!(process.has_now(UserIds::all(ALICE)), None);
        assert_eq!(process.has_now(UserIds::all(0)), Some(gain(ALICE, 0)));
        assert_eq!(process.has_now(UserIds::all(0)), None);
        for one in [ids(BOB, ALICE, ALICE), ids(ALICE, BOB, ALICE), ids(ALICE, ALICE, BOB)] {
            assert_eq!(session_of(ALICE).has_now(one), Some(gain(ALICE, BOB)), "{one:?}");
        }
    }

    #[test]
    fn the_program_that_made_root_may_become_another_one_for_its_user() {
        let mut process = sudo();
        assert_eq!(process.has_now(ids(0, BOB, 0)), None, "not for good");
        assert_eq!(process.has_now(UserIds::all(BOB)), Some(Gain { from: ALICE, to: BOB, is_granted: true }));
        assert_eq!(sudo().has_now(UserIds::all(ALICE)), None, "back to whoever started it");
    }

    #[test]
    fn neither_the_one_who_started_the_program_nor_the_user_of_the_session_is_new() {
        // In the session of alice, bob starts the program.
        let sudo_of_bob = || {
            let mut process = sudo();
            assert_eq!(
                process.has_now(UserIds::all(BOB)),
                Some(Gain { is_granted: true, ..gain(ALICE, BOB) })
            );
            assert_eq!(process.executes(ids(BOB, 0, 0), 0, SET_UID_FILE), Some((gain(BOB, 0), true)));
            process
        };
        assert_eq!(sudo_of_bob().has_now(UserIds::all(BOB)), None);
        assert_eq!(sudo_of_bob().has_now(UserIds::all(ALICE)), None);
        let expected = Gain { is_granted: true, ..gain(BOB, DAEMON) };
        assert_eq!(sudo_of_bob().has_now(UserIds::all(DAEMON)), Some(expected));
    }

    #[test]
    fn what_root_executed_may_become_anybody() {
        let mut process = sudo();
        assert_eq!(process.executes(UserIds::all(0), 0, SET_UID_FILE), None);
        assert_eq!(process.has_now(UserIds::all(BOB)), None);
        // Who is somebody else by then gains root like anybody.
        let gained = gain(BOB, 0);
        assert_eq!(process.executes(ids(BOB, 0, 0), 0, SET_UID_FILE), Some((gained, true)));
    }

    #[test]
    fn a_session_of_root_gains_nothing() {
        let mut process = session_of(0);
        assert_eq!(process.has_now(UserIds::all(ALICE)), None);
        assert_eq!(process.executes(ids(ALICE, 0, 0), 0, SET_UID_FILE), None, "the session was root");
        assert_eq!(process.has_now(UserIds::all(BOB)), None);
    }

    #[test]
    fn the_user_of_the_session_is_no_gain() {
        let mut process = sudo();
        assert!(process.has_now(UserIds::all(BOB)).is_some());
        assert_eq!(process.has_now(UserIds::all(ALICE)), None);
    }
}
