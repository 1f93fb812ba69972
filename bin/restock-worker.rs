//! `restock-worker`: takes lanes and tells their people.

use std::{collections::HashMap, process::ExitCode};

use anyhow::{Context, bail};
use clap::Parser;
use restock::{
    channel::ChannelOptions,
    config::{Backends, Logging, install_tls_provider},
    ids::Channel,
    redis::scripts::random_hex,
    stop,
    stores::Stores,
    worker::{self, Worker, WorkerOptions},
};

/// Pages of the line and checks of products; lanes wait for one another beyond that.
const CONNECTIONS_MAX: u32 = 8;

/// Takes lanes and tells their people, in order, at the shared pace; any number may run
#[derive(Debug, Parser)]
#[command(name = "restock-worker", version)]
struct Command {
    #[command(flatten)]
    backends: Backends,
    #[command(flatten)]
    options: WorkerOptions,
    #[command(flatten)]
    channels: ChannelOptions,
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

async fn run(Command { backends, options, channels, logging }: Command) -> anyhow::Result<()> {
    logging.install()?;
    backends.validate()?;
    install_tls_provider();
    let stop = stop::on_signals().context("cannot listen for signals")?;
    let Some(stores) = Stores::wait_for(&backends, CONNECTIONS_MAX, &stop).await? else { return Ok(()) };
    let mut senders = HashMap::new();
    for channel in served(&stores.settings.channels, &options.only)? {
        senders.insert(channel.clone(), channels.build(&channel)?);
    }
    let consumer = format!("{}-{}", std::process::id(), &random_hex()[..8]);
    tracing::info!(consumer, lanes = options.lanes, rate = stores.settings.rate, "working");
    worker::run(Worker { stores, options, senders, consumer }, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// The enabled channels that this worker serves.
fn served(enabled: &[Channel], only: &[Channel]) -> anyhow::Result<Vec<Channel>> {
    if let Some(other) = only.iter().find(|channel| !enabled.contains(channel)) {
        bail!("--only / RESTOCK_ONLY names `{other}`, which is not enabled; see `restock-cli settings`");
    }
    Ok(if only.is_empty() { enabled.to_vec() } else { only.to_vec() })
}
