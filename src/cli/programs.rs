//! The command lines of the programs that run until they are told to end: their `main` reads them, and the manual describes them.

use clap::Parser;

use super::service::Threads;
use crate::{
    api::options::ApiOptions,
    channel::ChannelOptions,
    config::{Backends, Logging},
    observe::Observing,
    sync::FlusherOptions,
    worker::WorkerOptions,
};

/// Takes lanes and tells their people, in order, at the shared pace; any number may run
#[derive(Debug, Parser)]
#[command(
    name = "restock-worker",
    version,
    after_help = "Example: restock-worker --webhook-url https://shop.example/restock"
)]
pub struct WorkerProgram {
    /// Where the stores are.
    #[command(flatten)]
    pub backends: Backends,
    /// How it works.
    #[command(flatten)]
    pub worker: WorkerOptions,
    /// What it says of itself.
    #[command(flatten)]
    pub logging: Logging,
    /// The ways out.
    #[command(flatten)]
    pub channels: ChannelOptions,
    /// What it shows of itself.
    #[command(flatten)]
    pub observing: Observing,
    /// What it works with.
    #[command(flatten)]
    pub threads: Threads,
}

/// Makes MySQL follow Redis; several may run, one leads each partition
#[derive(Debug, Parser)]
#[command(name = "restock-flusher", version, after_help = "Example: restock-flusher --log-format json")]
pub struct FlusherProgram {
    /// Where the stores are.
    #[command(flatten)]
    pub backends: Backends,
    /// How it works.
    #[command(flatten)]
    pub options: FlusherOptions,
    /// What it says of itself.
    #[command(flatten)]
    pub logging: Logging,
    /// What it shows of itself.
    #[command(flatten)]
    pub observing: Observing,
    /// What it works with.
    #[command(flatten)]
    pub threads: Threads,
}

/// Answers a shop's backend over HTTP; any number may run behind a proxy
#[derive(Debug, Parser)]
#[command(
    name = "restock-api",
    version,
    after_help = "Example: restock-api --listen 0.0.0.0:8000 --admin-token-hash ann:HASH"
)]
pub struct ApiProgram {
    /// Where the stores are.
    #[command(flatten)]
    pub backends: Backends,
    /// How it works, and for whom.
    #[command(flatten)]
    pub options: ApiOptions,
    /// What it shows of itself.
    #[command(flatten)]
    pub observing: Observing,
    /// What it says of itself.
    #[command(flatten)]
    pub logging: Logging,
}
