//! Options of the flusher.

use std::time::Duration;

use clap::Args;

/// How `restock-flusher` works.
#[derive(Debug, Clone, Args)]
pub struct FlusherOptions {
    /// The longest pause between writes, in ms; a fifth where much is logged, three tenths at most where no more comes
    // A minute at most keeps MySQL within reach of what people read.
    #[arg(long, env = "RESTOCK_FLUSH_INTERVAL_MS", default_value_t = 500, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub flush_interval_ms: u64,
    /// How long the last flush may take after SIGTERM, in ms
    #[arg(long, env = "RESTOCK_DRAIN_MS", default_value_t = 20_000, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub drain_ms: u64,
}

impl FlusherOptions {
    /// The longest pause between writes; a fifth of it where much is logged, three tenths at most where no more comes.
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
