//! `trace --record`: kernel events as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::mask::Mask;
use crate::event::Event;

/// Writes events to a file, one JSON object a line.
pub(super) struct Recorder {
    file: BufWriter<File>,
    mask: Option<Mask>,
}

impl Recorder {
    pub(super) fn create(path: &Path, mask: bool) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write the recording {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), mask: mask.then(Mask::default) })
    }

    pub(super) fn write(&mut self, event: &Event) {
        let masked = self.mask.as_mut().map(|mask| mask.event(event));
        let event = masked.as_ref().unwrap_or(event);
        let written = serde_json::to_writer(&mut self.file, event).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| self.file.write_all(b"\n")) {
            tracing::warn!(%error, "an event is missing in the recording");
        }
    }

    pub(super) fn flush(&mut self) {
        if let Err(error) = self.file.flush() {
            tracing::warn!(%error, "events are missing in the recording");
        }
    }
}
