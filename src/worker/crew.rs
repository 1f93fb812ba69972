//! Which channels this worker serves, and who reads their entries. Channels come and go with the settings.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Deps, READING, claim::Claimer};
use crate::{
    channel::{ChannelError, ChannelOptions, Sender},
    ids::{Channel, Partition},
    meter::SendMeters,
    pace::Pacer,
    redis::{RedisError, inspect::job_streams, jobs::Jobs},
};

/// The pause before a channel that could not be served is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// After the drain, so much is left to hand back the lanes.
const LAST_CALLS: Duration = Duration::from_secs(2);
const PLACES_MAX: usize = 1 << 20;
/// A reader blocks for two seconds, and gives up a dead connection after eight.
const READING_AGE_MAX: Duration = Duration::from_secs(10);

/// The way out of one channel in this process.
pub(super) struct Exit {
    pub(super) sender: Arc<dyn Sender>,
    pub(super) pacer: Pacer,
    pub(super) meters: SendMeters,
    connections: Arc<Semaphore>,
}

impl Exit {
    fn new(channel: &Channel, sender: Arc<dyn Sender>, pacer: Pacer) -> Self {
        let connections = Arc::new(Semaphore::new(sender.connections_max().min(PLACES_MAX)));
        Self { sender, pacer, meters: SendMeters::new(channel.as_str()), connections }
    }

    pub(super) fn connection(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.connections.clone().try_acquire_owned()
    }
}

/// The readers of all channels that are served.
pub(super) struct Crew {
    deps: Arc<Deps>,
    channels: ChannelOptions,
    /// Made before the start, so that a wrong option ends the process and not a round.
    ready: HashMap<Channel, Arc<dyn Sender>>,
    served: HashMap<Channel, CancellationToken>,
    claimers: TaskTracker,
    stop: CancellationToken,
}

impl Crew {
    pub(super) fn new(
        deps: Arc<Deps>,
        channels: ChannelOptions,
        ready: HashMap<Channel, Arc<dyn Sender>>,
        stop: CancellationToken,
    ) -> Self {
        Self { deps, channels, ready, served: HashMap::new(), claimers: TaskTracker::new(), stop }
    }

    /// Serves the enabled channels until the stop.
    ///
    /// # Errors
    /// When Redis refuses what is asked of it at the start; that it does not answer, and all that comes later, is waited out.
    pub(super) async fn follow_settings(&mut self) -> Result<(), RedisError> {
        let mut settings = self.deps.settings.clone();
        let enabled = settings.borrow_and_update().channels.clone();
        // Redis answered a moment ago: it comes back.
        let mut complete = match self.follow(&enabled).await {
            Err(error) if error.is_unreachable() => false,
            followed => followed.map(|()| true)?,
        };
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = sleep(RETRY_PAUSE), if !complete => {}
                changed = settings.changed() => if changed.is_err() {
                    self.stop.cancelled().await;
                    return Ok(());
                },
            }
            let enabled = settings.borrow_and_update().channels.clone();
            complete = match self.follow(&enabled).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "cannot serve all channels yet");
                    false
                }
            };
        }
    }

    async fn follow(&mut self, enabled: &[Channel]) -> Result<(), RedisError> {
        let wanted = self.deps.options.served(enabled);
        self.served.retain(|channel, stop| {
            let stays = wanted.contains(channel);
            if !stays {
                // Its lanes are handed back, and the flusher ends their rounds.
                tracing::info!(%channel, "not serving this channel any more");
                stop.cancel();
            }
            stays
        });
        for channel in wanted {
            if !self.served.contains_key(&channel) {
                self.serve(channel).await?;
            }
        }
        Ok(())
    }

    async fn serve(&mut self, channel: Channel) -> Result<(), RedisError> {
        let sender = match self.sender(&channel).await {
            None => return Ok(()),
            Some(Ok(sender)) => sender,
            Some(Err(error)) => {
                tracing::error!(%channel, %error, "a channel is enabled that this process cannot serve");
                // Once is enough: the options stay as they are.
                self.served.insert(channel, CancellationToken::new());
                return Ok(());
            }
        };
        let (redis, settings) = (self.deps.stores.redis.clone(), self.deps.settings.clone());
        // It ends with the last lane that could ask: lanes go on to ask while they drain.
        let pacer = Pacer::start(redis, channel.clone(), settings);
        let (exit, stop) = (Arc::new(Exit::new(&channel, sender, pacer)), self.stop.child_token());
        let mut claimers = Vec::new();
        for partition in (0..self.deps.stores.settings.partitions).map(Partition) {
            let jobs = |redis| Jobs::new(redis, partition, channel.clone(), self.deps.consumer.clone());
            let claimer = Claimer {
                deps: self.deps.clone(),
                exit: exit.clone(),
                jobs: jobs(self.deps.stores.redis.clone()),
                waiter: jobs(self.deps.stores.redis.reader().await?),
                pulse: self.deps.vitals.pulse(READING, READING_AGE_MAX),
                lanes: TaskTracker::new(),
                stop: stop.clone(),
            };
            if let Err(error) = claimer.jobs.ensure_groups().await {
                tracing::debug!(%error, "no groups yet");
            }
            claimers.push(claimer);
        }
        for claimer in claimers {
            self.claimers.spawn(claimer.serve());
        }
        tracing::info!(%channel, "serving this channel");
        self.served.insert(channel, stop);
        Ok(())
    }

    /// What a channel is sent by; `None` at the stop.
    async fn sender(&mut self, channel: &Channel) -> Option<Result<Arc<dyn Sender>, ChannelError>> {
        if let Some(ready) = self.ready.remove(channel) {
            return Some(Ok(ready));
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            built = self.channels.build_on(&self.deps.stores, channel) => Some(built),
        }
    }

    /// Waits until all lanes are handed back, for as long as the drain lasts; then leaves the groups, so that a consumer
    /// that is still there has died.
    pub(super) async fn drain(self) {
        self.claimers.close();
        let time = self.deps.options.drain() + LAST_CALLS;
        if timeout(time, self.claimers.wait()).await.is_err() {
            tracing::warn!("Redis does not answer: what was not handed back is taken over when its leases run out");
        } else if !matches!(timeout(LAST_CALLS, self.leave_groups()).await, Ok(Ok(()))) {
            tracing::debug!("could not leave all groups");
        }
    }

    /// What is pending for it stays, for whoever takes it over.
    async fn leave_groups(&self) -> Result<(), RedisError> {
        let stores = &self.deps.stores;
        let mut streams = Vec::new();
        for partition in stores.partitions() {
            for channel in self.served.keys() {
                streams.extend(job_streams(partition, channel));
            }
        }
        for stream in streams {
            stores.redis.drop_consumer(&stream, &self.deps.consumer, 0).await?;
        }
        Ok(())
    }
}
