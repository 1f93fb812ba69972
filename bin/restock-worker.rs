//! `restock-worker`: takes lanes and tells their people.

use std::process::ExitCode;

use restock::{
    channel::ChannelOptions,
    cli::{arguments, programs::WorkerProgram, service},
    config::Backends,
    meter::Role,
    mysql::connect_lazily,
    observe::Observer,
    stores::{SettingsWatch, Stores},
    worker::{self, Worker, WorkerOptions},
};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let WorkerProgram { backends, worker, channels, logging, observing, threads } = arguments::parse();
    let working = async |stop, observer| work(&backends, worker, channels, stop, observer).await;
    threads.run(service::run("restock-worker", &backends, &logging, (Role::Worker, &observing), working))
}

async fn work(
    backends: &Backends,
    options: WorkerOptions,
    channels: ChannelOptions,
    stop: CancellationToken,
    observer: Observer,
) -> anyhow::Result<()> {
    let Some(stores) = Stores::wait_for(backends, worker::CONNECTIONS_MAX, &stop).await? else { return Ok(()) };
    options.check_only(&stores.settings.channels)?;
    let mut watch = SettingsWatch::start(connect_lazily(&backends.mysql_url, 1)?, stores.settings.clone());
    observer.attach(backends, &stores, watch.settings())?;
    let (lanes, rate) = (options.lanes, stores.settings.rate);
    let worker = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        worker = Worker::new(stores, watch.settings(), options, channels, observer.vitals()) => worker?,
    };
    tracing::info!(consumer = worker.consumer, lanes, rate, "working");
    let work = worker::run(worker, stop.clone());
    tokio::pin!(work);
    tokio::select! {
        worked = &mut work => worked?,
        refusal = watch.refused() => {
            // What is in flight is settled where it was taken from.
            stop.cancel();
            work.await?;
            // Not the conflict that a wrong option is at the start: what was right has changed.
            return Err(anyhow::Error::msg(refusal.to_string()));
        }
    }
    Ok(())
}
