//! `trace --record`: kernel events as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::event::Event;

/// Writes events to a file, one JSON object a line.
pub(super) struct Recorder(BufWriter<File>);

impl Recorder {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write the recording {}", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    pub(super) fn write(&mut self, event: &Event) {
        let written = serde_json::to_writer(&mut self.0, event).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| self.0.write_all(b"\n")) {
            tracing::warn!(%error, "an event is missing in the recording");
        }
    }

    pub(super) fn flush(&mut self) {
        if let Err(error) = self.0.flush() {
            tracing::warn!(%error, "events are missing in the recording");
        }
    }
}
