//! `restock-flusher`: makes MySQL follow Redis, and repairs Redis from MySQL.

use std::process::ExitCode;

use clap::Parser;
use restock::{
    cli::{arguments, service},
    config::{Backends, Logging},
    mysql::connect_lazily,
    stores::{SettingsWatch, Stores},
    sync::{self, Flusher, FlusherOptions},
};
use tokio_util::sync::CancellationToken;

/// Makes MySQL follow Redis; several may run, one leads each partition
#[derive(Debug, Parser)]
#[command(name = "restock-flusher", version, after_help = "Example: restock-flusher --log-format json")]
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
    let Some(stores) = Stores::wait_for(backends, sync::CONNECTIONS_MAX, &stop).await? else { return Ok(()) };
    let redis = stores.redis.clone();
    tracing::info!(partitions = stores.settings.partitions, namespace = %stores.settings.namespace, "flushing");
    let mut watch = SettingsWatch::start(connect_lazily(&backends.mysql_url, 1)?, stores.settings.clone());
    let (flush_interval, drain, settings) = (options.flush_interval(), options.drain(), watch.settings());
    tokio::select! {
        () = sync::run(Flusher { stores, flush_interval, drain, settings }, stop) => {}
        // What is in the log is another deployment's: not one more batch of it may reach this database.
        // And it is not the conflict that a wrong option is at the start: what was right has changed.
        refusal = watch.refused() => return Err(anyhow::Error::msg(refusal.to_string())),
    }
    redis.close().await;
    Ok(())
}
