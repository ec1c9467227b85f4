//! Which host this is, and which of its boots.

use std::fs;
use std::io;

use thiserror::Error;

const MACHINE_ID: &str = "/etc/machine-id";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What session keys are made from, and the name that people know the host by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// From `/etc/machine-id`; empty where there is none: keys then rest on the boot id, which is unique by itself.
    pub machine_id: String,
    pub boot_id: String,
    pub host_name: String,
}

#[derive(Debug, Error)]
pub enum IdentityError {
    #[error("cannot read {BOOT_ID}: is /proc mounted?")]
    BootId { source: io::Error },
}

impl Identity {
    pub fn of_this_host() -> Result<Self, IdentityError> {
        let boot_id = fs::read_to_string(BOOT_ID).map_err(|source| IdentityError::BootId { source })?;
        let machine_id = fs::read_to_string(MACHINE_ID).unwrap_or_default();
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self { machine_id: machine_id.trim().to_owned(), boot_id: boot_id.trim().to_owned(), host_name })
    }
}
