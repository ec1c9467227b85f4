//! Maps whose keys are no text, as lists of pairs: JSON has no other keys.

use std::collections::HashMap;

use serde::{Deserialize as _, Deserializer, Serializer};

use super::Live;
use crate::event::Process;

pub(super) fn serialize<S: Serializer>(
    sessions: &HashMap<Process, Live>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(sessions)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HashMap<Process, Live>, D::Error> {
    Vec::deserialize(deserializer).map(HashMap::from_iter)
}
