//! `restock-worker`: takes lanes and tells their people.

use std::{collections::HashMap, process::ExitCode};

use clap::Parser;
use restock::{
    channel::ChannelOptions,
    cli::{
        arguments,
        exit::{Exit, Failure},
        service,
    },
    config::{Backends, Logging},
    ids::Channel,
    redis::scripts::random_hex,
    stores::Stores,
    worker::{self, Worker, WorkerOptions},
};
use tokio_util::sync::CancellationToken;

/// Pages of the line and checks of products; lanes wait for one another beyond that.
const CONNECTIONS_MAX: u32 = 8;

/// Takes lanes and tells their people, in order, at the shared pace; any number may run
#[derive(Debug, Parser)]
#[command(name = "restock-worker", version)]
struct Command {
    #[command(flatten)]
    backends: Backends,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    channels: ChannelOptions,
    #[command(flatten)]
    logging: Logging,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command { backends, worker, channels, logging } = arguments::parse();
    service::run("restock-worker", &backends, &logging, async |stop| work(&backends, worker, &channels, stop).await)
        .await
}

async fn work(
    backends: &Backends,
    options: WorkerOptions,
    channels: &ChannelOptions,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(stores) = Stores::wait_for(backends, CONNECTIONS_MAX, &stop).await? else { return Ok(()) };
    let mut senders = HashMap::new();
    for channel in served(&stores.settings.channels, &options.only)? {
        senders.insert(channel.clone(), channels.build(&channel)?);
    }
    let consumer = format!("{}-{}", std::process::id(), &random_hex()[..8]);
    tracing::info!(consumer, lanes = options.lanes, rate = stores.settings.rate, "working");
    worker::run(Worker { stores, options, senders, consumer }, stop).await?;
    Ok(())
}

/// The enabled channels that this worker serves.
fn served(enabled: &[Channel], only: &[Channel]) -> Result<Vec<Channel>, Failure> {
    if let Some(other) = only.iter().find(|channel| !enabled.contains(channel)) {
        let what = format!("--only / RESTOCK_ONLY names `{other}`, which is not enabled; see `restock-cli settings`");
        return Err(Failure::new(Exit::Usage, what));
    }
    Ok(if only.is_empty() { enabled.to_vec() } else { only.to_vec() })
}
