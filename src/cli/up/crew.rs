//! The flusher, the worker and the API of `up`: tasks of this process, each with connections of its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::anyhow;
use clap::{Args as _, FromArgMatches};
use reqwest::StatusCode;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Args;
use crate::{
    api::{Listening, RunError, options::ApiOptions},
    config::Backends,
    mysql::{connect_lazily, setting::Settings},
    observe::Observer,
    redis::{Redis, RedisError},
    stores::{SettingsWatch, Stores},
    sync::{self, Flusher},
    worker::{self, Worker},
};

/// The longest that the API is waited for.
const API_WAIT: Duration = Duration::from_secs(10);
const API_PAUSE: Duration = Duration::from_millis(20);

/// What runs until it is told to stop.
pub(super) struct Crew {
    flusher: JoinHandle<()>,
    flusher_redis: Redis,
    worker: JoinHandle<Result<(), RedisError>>,
    api: JoinHandle<Result<(), RunError>>,
    address: SocketAddr,
    watch: SettingsWatch,
    stop_flusher: CancellationToken,
    stop_worker: CancellationToken,
    stop_api: CancellationToken,
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
        let Args { flush_interval_ms, listen, worker: options, channel_options: channels, .. } = args;
        // First: an address that cannot be listened to is a wrong option.
        let api = listen_at(listen, options.drain_ms).await?;
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
        let worker = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            worker = Worker::new(stores, watch.settings(), options, channels, observer.vitals()) => worker?,
        };

        let (stop_flusher, stop_worker, stop_api) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let address = api.address();
        let serving = {
            let (backends, stop, observer) = (backends.clone(), stop_api.clone(), observer.clone());
            async move { api.run(&backends, stop, observer).await }
        };
        let crew = Self {
            flusher: tokio::spawn(sync::run(flusher, stop_flusher.clone())),
            flusher_redis,
            worker: tokio::spawn(worker::run(worker, stop_worker.clone())),
            api: tokio::spawn(serving),
            address,
            watch,
            stop_flusher,
            stop_worker,
            stop_api,
        };
        crew.wait_for_api(stop).await;
        Ok(Some(crew))
    }

    /// Waits until the API has both stores, so that what is printed then can be tried at once.
    async fn wait_for_api(&self, stop: &CancellationToken) {
        let Ok(client) = reqwest::Client::builder().tls_certs_only([]).no_proxy().build() else { return };
        let url = format!("{}/api/products?limit=1", self.api_url());
        let ready = async {
            // With tokens it is refused, by an API that is ready to do so.
            while client.get(&url).send().await.is_ok_and(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE) {
                sleep(API_PAUSE).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = timeout(API_WAIT, ready) => {}
        }
    }

    /// Where the API answers.
    pub(super) fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Works until `stop`; then the API ends first, which gives the others work, and the worker before the flusher, which so
    /// has the worker's last words too.
    pub(super) async fn work(mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let early = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = &mut self.worker => Err(anyhow!("the worker ended by itself: {ended:?}; start `up` again")),
            refusal = self.watch.refused() => Err(refusal.into()),
            ended = &mut self.flusher => Err(anyhow!("the flusher ended by itself: {ended:?}; start `up` again")),
            ended = &mut self.api => Err(anyhow!("the API ended by itself: {ended:?}; start `up` again")),
        };
        self.stop_api.cancel();
        if !self.api.is_finished() {
            (&mut self.api).await??;
        }
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

/// Where the API listens when nothing is said and the port is free.
const USUAL: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8000));

/// Listens there, or nearby.
async fn listen_at(given: Option<SocketAddr>, drain_ms: u64) -> anyhow::Result<Listening> {
    if let Some(address) = given {
        return Ok(Listening::start(api_options(address, drain_ms)?).await?);
    }
    match Listening::start(api_options(USUAL, drain_ms)?).await {
        Err(RunError::Listen { .. }) => {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            Ok(Listening::start(api_options(any, drain_ms)?).await?)
        }
        listening => Ok(listening?),
    }
}

/// Those of the environment, such as tokens, and the defaults.
fn api_options(listen: SocketAddr, drain_ms: u64) -> anyhow::Result<ApiOptions> {
    let (listen, drain_ms) = (listen.to_string(), drain_ms.to_string());
    let command = ApiOptions::augment_args(clap::Command::new("restock-api"));
    let matches = command.try_get_matches_from(["restock-api", "--listen", &listen, "--drain-ms", &drain_ms])?;
    Ok(ApiOptions::from_arg_matches(&matches)?)
}
