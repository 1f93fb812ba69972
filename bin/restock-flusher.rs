//! `restock-flusher`: makes MySQL follow Redis, and repairs Redis from MySQL.

use std::process::ExitCode;

use restock::{
    cli::{arguments, programs::FlusherProgram, service},
    config::Backends,
    meter::Role,
    mysql::connect_lazily,
    observe::Observer,
    stores::{SettingsWatch, Stores},
    sync::{self, Flusher, FlusherOptions},
};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let FlusherProgram { backends, options, logging, observing, threads } = arguments::parse();
    let flushing = async |stop, observer| flush(&backends, &options, stop, observer).await;
    threads.run(service::run("restock-flusher", &backends, &logging, (Role::Flusher, &observing), flushing))
}

async fn flush(
    backends: &Backends,
    options: &FlusherOptions,
    stop: CancellationToken,
    observer: Observer,
) -> anyhow::Result<()> {
    let Some(stores) = Stores::wait_for(backends, sync::CONNECTIONS_MAX, &stop).await? else { return Ok(()) };
    let redis = stores.redis.clone();
    tracing::info!(partitions = stores.settings.partitions, namespace = %stores.settings.namespace, "flushing");
    let mut watch = SettingsWatch::start(connect_lazily(&backends.mysql_url, 1)?, stores.settings.clone());
    let (flush_interval, drain, settings) = (options.flush_interval(), options.drain(), watch.settings());
    observer.attach(backends, &stores, watch.settings())?;
    let flusher = Flusher { stores, flush_interval, drain, settings, vitals: observer.vitals() };
    tokio::select! {
        () = sync::run(flusher, stop) => {}
        // What is in the log is another deployment's: not one more batch of it may reach this database.
        // And it is not the conflict that a wrong option is at the start: what was right has changed.
        refusal = watch.refused() => return Err(anyhow::Error::msg(refusal.to_string())),
    }
    redis.close().await;
    Ok(())
}
