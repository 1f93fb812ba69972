//! The flusher and the worker of `up`: two tasks of this process, each with connections of its own.

use std::time::Duration;

use anyhow::anyhow;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Args;
use crate::{
    config::Backends,
    mysql::{connect_lazily, setting::Settings},
    observe::Observer,
    redis::{Redis, RedisError},
    stores::{SettingsWatch, Stores},
    sync::{self, Flusher},
    worker::{self, Worker},
};

/// What runs until it is told to stop.
pub(super) struct Crew {
    flusher: JoinHandle<()>,
    flusher_redis: Redis,
    worker: JoinHandle<Result<(), RedisError>>,
    watch: SettingsWatch,
    stop_flusher: CancellationToken,
    stop_worker: CancellationToken,
}

impl Crew {
    /// `None` when it was told to stop before both stores answered.
    pub(super) async fn start(
        backends: &Backends,
        settings: &Settings,
        args: Args,
        stop: &CancellationToken,
        observer: &Observer,
    ) -> anyhow::Result<Option<Self>> {
        let Args { flush_interval_ms, worker: options, channel_options: channels, .. } = args;
        options.check_only(&settings.channels)?;
        let Some(stores) = Stores::wait_for(backends, sync::CONNECTIONS_MAX, stop).await? else { return Ok(None) };
        let watch = SettingsWatch::start(connect_lazily(&backends.mysql_url, 1)?, stores.settings.clone());
        let flusher_redis = stores.redis.clone();
        let (flush_interval, drain) =
            (Duration::from_millis(flush_interval_ms), Duration::from_millis(options.drain_ms));
        observer.attach(backends, &stores, watch.settings())?;
        let (settings, vitals) = (watch.settings(), observer.vitals());
        let flusher = Flusher { stores, flush_interval, drain, settings, vitals };
        let Some(stores) = Stores::wait_for(backends, worker::CONNECTIONS_MAX, stop).await? else { return Ok(None) };
        let worker = Worker::new(stores, watch.settings(), options, channels, observer.vitals())?;

        let (stop_flusher, stop_worker) = (CancellationToken::new(), CancellationToken::new());
        Ok(Some(Self {
            flusher: tokio::spawn(sync::run(flusher, stop_flusher.clone())),
            flusher_redis,
            worker: tokio::spawn(worker::run(worker, stop_worker.clone())),
            watch,
            stop_flusher,
            stop_worker,
        }))
    }

    /// Works until `stop`; then the worker ends before the flusher, which so has the worker's last words too.
    pub(super) async fn work(mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let early = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = &mut self.worker => Err(anyhow!("the worker ended by itself: {ended:?}; start `up` again")),
            refusal = self.watch.refused() => Err(refusal.into()),
            ended = &mut self.flusher => Err(anyhow!("the flusher ended by itself: {ended:?}; start `up` again")),
        };
        self.stop_worker.cancel();
        if !self.worker.is_finished() {
            (&mut self.worker).await??;
        }
        self.stop_flusher.cancel();
        if !self.flusher.is_finished() {
            (&mut self.flusher).await?;
        }
        self.flusher_redis.close().await;
        early
    }
}
