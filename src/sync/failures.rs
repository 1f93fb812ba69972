//! The pauses of a loop whose store does not answer.

use std::time::Duration;

use crate::{ids::Partition, stores::StoreError};

/// The pauses after a store did not answer: the first and the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Pauses after failures, and tells of the first of them only.
pub(super) struct Failures {
    what: &'static str,
    partition: Partition,
    pause: Option<Duration>,
}

impl Failures {
    pub(super) fn new(what: &'static str, partition: Partition) -> Self {
        Self { what, partition, pause: None }
    }

    /// The pause before the next try.
    pub(super) fn failed(&mut self, error: &StoreError) -> Duration {
        let pause = self.pause.map_or(BACKOFF_MIN, |pause| (pause * 2).min(BACKOFF_MAX));
        if self.pause.replace(pause).is_none() {
            tracing::warn!(partition = %self.partition, %error, "{} failed; trying again", self.what);
        } else {
            tracing::debug!(partition = %self.partition, %error, "{} failed again", self.what);
        }
        pause
    }

    pub(super) fn went_well(&mut self) {
        if self.pause.take().is_some() {
            tracing::info!(partition = %self.partition, "{} goes on", self.what);
        }
    }
}
