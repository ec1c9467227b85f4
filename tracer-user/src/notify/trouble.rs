//! Failures of this host's own disk and databases that may pass: a full disk, a busy or damaged database. Whoever meets one
//! says what cannot be done yet, waits, longer after each in a row, and tries again; nothing is lost meanwhile.

use crate::store::StoreError;

use super::{backoff, chance};

/// Failures in a row at one thing.
pub(super) struct Trouble {
    /// What cannot be done yet, as a sentence.
    what: &'static str,
    /// Whose messages wait, if they are those of one sink.
    sink: Option<String>,
    failures: u32,
}

impl Trouble {
    /// None so far.
    pub(super) fn with(what: &'static str) -> Self {
        Self { what, sink: None, failures: 0 }
    }

    /// The same at the messages of a sink.
    pub(super) fn of_sink(sink: &str, what: &'static str) -> Self {
        Self { sink: Some(sink.to_owned()), ..Self::with(what) }
    }

    /// It worked.
    pub(super) fn is_over(&mut self) {
        self.failures = 0;
    }

    /// It did not.
    pub(super) async fn wait(&mut self, error: &StoreError) {
        self.failures += 1;
        let pause = backoff::local_delay(self.failures, chance());
        let sink = self.sink.as_ref().map(tracing::field::display);
        tracing::warn!(error = error as &dyn std::error::Error, sink, ?pause, "{}", self.what);
        tokio::time::sleep(pause).await;
    }

    /// The same where the outbox alone is used.
    ///
    /// # Errors
    /// It is damaged: that is for the next start.
    pub(super) async fn wait_or_give_up(&mut self, error: StoreError) -> anyhow::Result<()> {
        if matches!(error, StoreError::Damaged { .. }) {
            return Err(error.into());
        }
        self.wait(&error).await;
        Ok(())
    }
}
