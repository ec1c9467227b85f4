//! The doors through which users come in, each known by the name of its program.

use crate::NAME_LEN;

/// A door. The numbers are bits of the loader's choice and of what is kept of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Door {
    /// OpenSSH: all programs whose name begins with `sshd`.
    Ssh = 1,
    Dropbear = 1 << 1,
    /// login(1).
    Login = 1 << 2,
    /// su(1).
    Su = 1 << 3,
    /// sudo(8).
    Sudo = 1 << 4,
}

impl Door {
    pub const ALL: [Self; 5] = [Self::Ssh, Self::Dropbear, Self::Login, Self::Su, Self::Sudo];

    /// The door whose program has this name, NUL-terminated.
    #[inline(always)]
    pub fn of(name: &[u8; NAME_LEN]) -> Option<Self> {
        // Most programs are told apart by their first bytes.
        match name {
            [b's', b's', b'h', b'd', ..] => Some(Self::Ssh),
            [b's', b'u', 0, ..] => Some(Self::Su),
            [b's', b'u', b'd', b'o', 0, ..] => Some(Self::Sudo),
            [b'l', b'o', b'g', b'i', b'n', 0, ..] => Some(Self::Login),
            [b'd', b'r', b'o', b'p', b'b', b'e', b'a', b'r', 0, ..]
            | [b'd', b'r', b'o', b'p', b'b', b'e', b'a', b'r', b'm', b'u', b'l', b't', b'i', 0, ..] => {
                Some(Self::Dropbear)
            }
            _ => None,
        }
    }

    /// The one of a bit.
    pub fn from_u32(bit: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|door| *door as u32 == bit)
    }

    #[inline(always)]
    pub const fn is_among(self, bits: u32) -> bool {
        bits & self as u32 != 0
    }

    /// Whether users come in over the network.
    #[inline(always)]
    pub const fn is_server(self) -> bool {
        matches!(self, Self::Ssh | Self::Dropbear)
    }

    /// Whether a process that executes its program may let somebody in, by its user ids and whether it has a terminal.
    ///
    /// login(1) is for root to start. su(1) and sudo(8) are for everybody, being set-uid; what root does with them
    /// without a terminal is what daemons and periodic jobs do, who are let in nowhere.
    #[inline(always)]
    pub const fn may_let_in(self, ruid: u32, euid: u32, has_terminal: bool) -> bool {
        match self {
            Self::Ssh | Self::Dropbear | Self::Login => ruid == 0,
            Self::Su | Self::Sudo => euid == 0 && (ruid != 0 || has_terminal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Option<Door> {
        let mut bytes = [0; NAME_LEN];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Door::of(&bytes)
    }

    #[test]
    fn doors_are_known_by_their_whole_name() {
        for (name, door) in [
            ("sshd", Door::Ssh),
            ("sshd-session", Door::Ssh),
            ("dropbear", Door::Dropbear),
            ("dropbearmulti", Door::Dropbear),
            ("login", Door::Login),
            ("su", Door::Su),
            ("sudo", Door::Sudo),
        ] {
            assert_eq!(of(name), Some(door), "{name}");
        }
        for name in
            ["", "ssh", "s", "sum", "sudoedit", "sudo-rs", "logind", "login-tracer", "dropbearkey", "bash"]
        {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn bits_are_inverse_and_apart() {
        for (number, door) in Door::ALL.into_iter().enumerate() {
            assert_eq!(door as u32, 1 << number);
            assert_eq!(Door::from_u32(door as u32), Some(door));
            assert!(door.is_among(u32::MAX) && !door.is_among(!(door as u32)));
        }
        assert_eq!(Door::from_u32(0), None);
    }

    #[test]
    fn who_may_let_somebody_in() {
        for door in [Door::Ssh, Door::Dropbear, Door::Login] {
            assert!(door.may_let_in(0, 0, false) && !door.may_let_in(1001, 0, true), "{door:?}");
        }
        for door in [Door::Su, Door::Sudo] {
            assert!(door.may_let_in(1001, 0, false), "{door:?} as a user");
            assert!(door.may_let_in(0, 0, true), "{door:?} as root at a terminal");
            assert!(!door.may_let_in(0, 0, false), "{door:?} in a job of root's");
            assert!(!door.may_let_in(1001, 1001, true), "{door:?} that is not set-uid");
        }
    }
}
