//! (in the making)

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use crate::assess::Assessment;
use crate::session::{ChangeKind, SessionKey};
use crate::store::StoreError;

/// Folder of the notify role within the state directory; it belongs to the account of that role.
pub const DIRECTORY: &str = "notify";
/// Name of the database within [`DIRECTORY`].
pub const FILE_NAME: &str = "delivery.db";

/// Where the database lies.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(DIRECTORY).join(FILE_NAME)
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    Queued,
    Claimed,
    Delivered,
    Parked,
}

impl DeliveryState {
    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Claimed => "claimed",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
        }
    }
}

/// One change on its way to one sink, as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub id: Uuid,
    pub sink: String,
    pub kind: ChangeKind,
    pub state: DeliveryState,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub next_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// (in the making)
#[derive(Debug)]
pub struct Reader;

impl Reader {
    /// (in the making)
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        Err(StoreError::Missing { path: path(state_dir) })
    }

    /// (in the making)
    pub fn assessments(&self, _keys: &[SessionKey]) -> Result<HashMap<SessionKey, Assessment>, StoreError> {
        Ok(HashMap::new())
    }

    /// (in the making)
    pub fn deliveries_of(&self, _key: SessionKey) -> Result<Vec<DeliveryRow>, StoreError> {
        Ok(Vec::new())
    }
}
