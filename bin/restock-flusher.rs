//! `restock-flusher`: makes MySQL follow Redis, and repairs Redis from MySQL.

use std::process::ExitCode;

use clap::Parser;
use restock::{
    cli::{arguments, service},
    config::{Backends, Logging},
    mysql::setting::PARTITIONS_MAX,
    stores::Stores,
    sync::{self, Flusher, FlusherOptions},
};
use tokio_util::sync::CancellationToken;

/// A connection for each partition that it leads, and some for the rest; they are opened when they are needed.
const CONNECTIONS_MAX: u32 = PARTITIONS_MAX as u32 + 64;

/// Makes MySQL follow Redis; several may run, one leads each partition
#[derive(Debug, Parser)]
#[command(name = "restock-flusher", version)]
struct Command {
    #[command(flatten)]
    backends: Backends,
    #[command(flatten)]
    options: FlusherOptions,
    #[command(flatten)]
    logging: Logging,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { backends, options, logging } = arguments::parse();
    service::run("restock-flusher", &backends, &logging, async |stop| flush(&backends, &options, stop).await).await
}

async fn flush(backends: &Backends, options: &FlusherOptions, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(stores) = Stores::wait_for(backends, CONNECTIONS_MAX, &stop).await? else { return Ok(()) };
    let redis = stores.redis.clone();
    tracing::info!(partitions = stores.settings.partitions, namespace = %stores.settings.namespace, "flushing");
    sync::run(Flusher { stores, flush_interval: options.flush_interval(), drain: options.drain() }, stop).await;
    redis.close().await;
    Ok(())
}
