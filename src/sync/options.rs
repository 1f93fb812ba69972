//! Options of the flusher.

use std::time::Duration;

use clap::Args;

use crate::config::{Backends, ConfigError};

/// The longest interval that keeps MySQL within reach of what people read, in ms.
const FLUSH_INTERVAL_MS_MAX: u64 = 60_000;

/// Options of `restock-flusher`.
#[derive(Debug, Clone, Args)]
pub struct FlusherOptions {
    /// The stores.
    #[command(flatten)]
    pub backends: Backends,
    /// How long to wait when nothing is left to write, in ms
    #[arg(long, env = "RESTOCK_FLUSH_INTERVAL_MS", default_value_t = 500, value_name = "MS")]
    pub flush_interval_ms: u64,
    /// How long the last flush may take after SIGTERM, in ms
    #[arg(long, env = "RESTOCK_DRAIN_MS", default_value_t = 20_000, value_name = "MS")]
    pub drain_ms: u64,
}

/// An option that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// One of the addresses.
    #[error(transparent)]
    Backends(#[from] ConfigError),
    /// Not between 1 ms and a minute.
    #[error("--flush-interval-ms / RESTOCK_FLUSH_INTERVAL_MS is {0}; it must be from 1 to {FLUSH_INTERVAL_MS_MAX}")]
    FlushInterval(u64),
}

impl FlusherOptions {
    /// Checks what can be checked without connecting.
    ///
    /// # Errors
    /// Names the option and what it must be.
    pub fn validate(&self) -> Result<(), OptionError> {
        self.backends.validate()?;
        if (1..=FLUSH_INTERVAL_MS_MAX).contains(&self.flush_interval_ms) {
            Ok(())
        } else {
            Err(OptionError::FlushInterval(self.flush_interval_ms))
        }
    }

    /// How long to wait when nothing is left to write.
    #[must_use]
    pub fn flush_interval(&self) -> Duration {
        Duration::from_millis(self.flush_interval_ms)
    }

    /// How long the last flush may take.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}
