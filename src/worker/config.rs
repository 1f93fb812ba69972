//! The options of `restock-worker`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::ids::Channel;

/// What to do about a person whose retry budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnPersonError {
    /// End the round before them, so that somebody can look and `resume`.
    Cancel,
    /// Write them down as failed, or unknown when nothing answered, and go on.
    Fail,
}

/// A channel that this process is to serve and that nobody uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--only / RESTOCK_ONLY names `{0}`, which is not enabled; see `restock-cli settings`")]
pub struct NotEnabled(Channel);

/// How this process works lanes.
#[derive(Debug, Clone, Args)]
pub struct WorkerOptions {
    /// Only these of the enabled channels, separated by commas
    #[arg(long, env = "RESTOCK_ONLY", value_delimiter = ',')]
    pub only: Vec<Channel>,
    /// The most lanes held at once
    #[arg(long, env = "RESTOCK_LANES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub lanes: u32,
    /// The most people authorised and unsettled per lane: what a crash can repeat
    #[arg(long, env = "RESTOCK_WINDOW", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub window: u32,
    /// A lane whose owner is silent for this long is taken over, ms
    #[arg(long, env = "RESTOCK_CLAIM_IDLE_MS", default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(300..=3_600_000))]
    pub claim_idle_ms: u64,
    /// Owners lost in a row at the same person, after which the round is given up
    #[arg(long, env = "RESTOCK_ATTEMPTS_MAX", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub attempts_max: u32,
    /// The most retries for one person
    #[arg(long, env = "RESTOCK_RETRY_MAX", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub retry_max: u32,
    /// The time in which retries for one person may start, ms
    #[arg(long, env = "RESTOCK_RETRY_BUDGET_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    pub retry_budget_ms: u64,
    /// What to do about a person whose retries are used up
    #[arg(long, env = "RESTOCK_ON_PERSON_ERROR", value_enum, default_value_t = OnPersonError::Cancel)]
    pub on_person_error: OnPersonError,
    /// Time to finish what is in flight after SIGTERM, ms
    #[arg(long, env = "RESTOCK_DRAIN_MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub drain_ms: u64,
}

impl WorkerOptions {
    /// How long what is in flight is waited for at the end.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// Of the enabled channels those that this process serves.
    #[must_use]
    pub fn served(&self, enabled: &[Channel]) -> Vec<Channel> {
        enabled.iter().filter(|channel| self.only.is_empty() || self.only.contains(channel)).cloned().collect()
    }

    /// Refuses to start for a channel that is not enabled; one that is disabled later is only not served.
    ///
    /// # Errors
    /// When `--only` names one that is not enabled.
    pub fn check_only(&self, enabled: &[Channel]) -> Result<(), NotEnabled> {
        match self.only.iter().find(|channel| !enabled.contains(channel)) {
            Some(other) => Err(NotEnabled(other.clone())),
            None => Ok(()),
        }
    }
}
