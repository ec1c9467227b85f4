//! The kernel's table of what descends from sessions, as far as the loader has to do with it: the programs fill it by
//! themselves, except with what was there before them.

use std::io;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData, MapError};
use tracer_ebpf::NAME_LEN;
use tracer_ebpf::descendant::{Descendant, UserIds};

use crate::event::Process;

/// How often the table of earlier programs is read: what forks meanwhile is found by another look.
const LOOKS: usize = 5;

/// `BPF_NOEXIST` of `include/uapi/linux/bpf.h`.
const NEW: u64 = 1;

/// The table, by process id.
pub struct Descendants(HashMap<MapData, u32, Known>);

/// [`Descendant`] as a value of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Known(Descendant);

// SAFETY: `Descendant` is made of integers and bytes, without padding (pinned by the contract's layout tests).
unsafe impl Pod for Known {}

impl Descendants {
    pub(super) fn open(map: MapData) -> io::Result<Self> {
        HashMap::try_from(Map::HashMap(map)).map(Self).map_err(io::Error::other)
    }

    /// Follows a process that was there before, as a descendant of `root`, from now on; `false` if it is one already.
    ///
    /// `root_uid` is the user of the session, `name` that of the executable. What the process has by now (`uids`: real,
    /// effective, saved) is no gain any more.
    pub fn follow(
        &mut self,
        pid: u32,
        name: &str,
        uids: [u32; 3],
        root: Process,
        root_uid: u32,
    ) -> io::Result<bool> {
        let mut bytes = [0; NAME_LEN];
        // The last byte stays the text's end.
        bytes.iter_mut().take(NAME_LEN - 1).zip(name.bytes()).for_each(|(to, from)| *to = from);
        let [ruid, euid, suid] = uids;
        let descendant = Descendant {
            seen: UserIds { ruid, euid, suid },
            ..Descendant::root(root.pid, root.start.0, root_uid, bytes)
        };
        self.add(pid, Known(descendant))
    }

    /// Goes on with what the programs of an earlier version know, which still run.
    pub fn inherit(&mut self, earlier: &Self) -> io::Result<()> {
        for _ in 0..LOOKS {
            let mut any = false;
            for (pid, known) in earlier.0.iter().flatten() {
                any |= self.add(pid, known)?;
                // Who ended before it was added is gone from both tables, or now.
                if earlier.0.get(&pid, 0).is_err() {
                    // It fails where the programs have removed it.
                    self.0.remove(&pid).ok();
                }
            }
            if !any {
                break;
            }
        }
        Ok(())
    }

    fn add(&mut self, pid: u32, known: Known) -> io::Result<bool> {
        match self.0.insert(pid, known, NEW) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(false)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
