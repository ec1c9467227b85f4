//! Programs that are called like those of ssh servers and are not this host's: run by a user, or by root from a file that others may
//! have made. They have no sessions; that they run is a finding, once for each start and not for every connection.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::event::{Doubt, Event, Image, Process};

/// So many processes are remembered against being told again.
const REMEMBERED: usize = 1024;

/// The processes that were told of, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Foreign {
    told: VecDeque<Process>,
}

impl Foreign {
    /// A process executes an image that is named like a server's. `None` if it is as it should be, or was told already: the
    /// process itself, or its parent, which serves each connection by a child that executes the same anew.
    pub(super) fn executes(&mut self, event: &Event, image: &Image) -> Option<Finding> {
        if !image.is_named_like_server() {
            return None;
        }
        let doubt = if event.uid == 0 { image.doubt()? } else { Doubt::User };
        let process = event.process;
        let is_known = |told: &Process| *told == process || told.pid == event.parent_pid;
        if self.told.iter().any(is_known) {
            // Its own children are known by it.
            self.remember(process);
            return None;
        }
        self.remember(process);
        let (uid, image) = (event.uid, image.clone());
        Some(Finding::ForeignSshd { process, at: event.at, uid, image, doubt })
    }

    fn remember(&mut self, process: Process) {
        // Whoever had this id before is gone.
        self.told.retain(|told| told.pid != process.pid);
        if self.told.len() >= REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back(process);
    }
}
