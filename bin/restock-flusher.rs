//! `restock-flusher`: makes MySQL follow Redis, and repairs Redis from MySQL.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use restock::{
    config::{Logging, install_tls_provider},
    mysql::setting::PARTITIONS_MAX,
    stop,
    stores::Stores,
    sync::{self, Flusher, FlusherOptions},
};

/// A connection for each partition that it leads, and some for the rest; they are opened when they are needed.
const CONNECTIONS_MAX: u32 = PARTITIONS_MAX as u32 + 64;

/// Makes MySQL follow Redis; several may run, one leads each partition
#[derive(Debug, Parser)]
#[command(name = "restock-flusher", version)]
struct Command {
    #[command(flatten)]
    options: FlusherOptions,
    #[command(flatten)]
    logging: Logging,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Command { options, logging }: Command) -> anyhow::Result<()> {
    logging.install()?;
    options.validate()?;
    install_tls_provider();
    let stop = stop::on_signals().context("cannot listen for signals")?;
    let Some(stores) = Stores::wait_for(&options.backends, CONNECTIONS_MAX, &stop).await? else { return Ok(()) };
    let redis = stores.redis.clone();
    tracing::info!(partitions = stores.settings.partitions, namespace = %stores.settings.namespace, "flushing");
    let flusher = Flusher { stores, flush_interval: options.flush_interval(), drain: options.drain() };
    sync::run(flusher, stop).await;
    redis.close().await;
    tracing::info!("stopped");
    Ok(())
}
