//! The worker: takes lanes and tells their people, in order, at the shared pace.
//!
//! ```text
//! claim: jobs, silent owners ─► take: begin.lua ─► lane: permits ─► advance.lua ─► channel ─► landing
//!                                                   ▲ pages of the line (MySQL)      │ outcomes
//!                                                   └──────────── window ◄──────────┘
//! ```

mod allowance;
mod board;
mod calls;
mod claim;
mod config;
mod flight;
mod landing;
mod lane;
mod line;
mod retry;
mod take;
mod window;

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{board::Board, claim::Claimer, retry::RetryBudget};
use crate::{
    channel::Sender,
    ids::{Channel, Partition},
    pace::{PACE, Pacer},
    redis::{RedisError, jobs::Jobs, signal},
    stores::Stores,
};

pub use config::{OnPersonError, WorkerOptions};

/// The most products that one worker checks against MySQL in a second: a cold start must not storm it.
const CHECKS_PER_SECOND: NonZeroU32 = NonZeroU32::new(500).expect("not zero");

/// A worker, ready to run.
pub struct Worker {
    /// Both stores.
    pub stores: Stores,
    /// How it works.
    pub options: WorkerOptions,
    /// The channels it serves.
    pub senders: HashMap<Channel, Arc<dyn Sender>>,
    /// Its name in the consumer group; unique to this process.
    pub consumer: String,
}

/// What all lanes of a worker share.
pub(crate) struct Deps {
    stores: Stores,
    options: WorkerOptions,
    senders: HashMap<Channel, Arc<dyn Sender>>,
    connections: HashMap<Channel, Arc<Semaphore>>,
    consumer: String,
    pacer: Pacer,
    retry: RetryBudget,
    slots: Arc<Semaphore>,
    board: Board,
    check_limit: DefaultDirectRateLimiter,
}

impl Deps {
    fn drain_us(&self) -> i64 {
        i64::try_from(self.options.drain_ms * 1000).unwrap_or(i64::MAX)
    }

    fn renew_us(&self) -> i64 {
        i64::try_from(self.options.claim_idle_ms * 1000 / 3).unwrap_or(i64::MAX)
    }

    fn window_max(&self) -> usize {
        self.options.window as usize
    }

    /// About one second's share of the pace.
    fn page_size(&self) -> u32 {
        match self.stores.settings.rate {
            0 => line::PAGE_MAX,
            rate => {
                let lanes = self.options.lanes as usize - self.slots.available_permits();
                rate / u32::try_from(lanes.max(1)).unwrap_or(1)
            }
        }
    }

    fn connection(&self, channel: &Channel) -> Result<OwnedSemaphorePermit, tokio::sync::TryAcquireError> {
        self.connections[channel].clone().try_acquire_owned()
    }
}

/// Works lanes until `stop`; then finishes what is in flight, for as long as the drain lasts, and hands them back.
///
/// # Errors
/// When the readers' connections cannot be made at start.
pub async fn run(worker: Worker, stop: CancellationToken) -> Result<(), RedisError> {
    let Worker { stores, options, senders, consumer } = worker;
    let signals = signal::listen(&stores.redis, stores.settings.partitions).await?;
    let (_, limit) = watch::channel(stores.settings.limit());
    let connections = |sender: &Arc<dyn Sender>| Arc::new(Semaphore::new(sender.connections_max().min(1 << 20)));
    let deps = Arc::new(Deps {
        pacer: Pacer::start(stores.redis.clone(), PACE, limit, CancellationToken::new()),
        connections: senders.iter().map(|(channel, sender)| (channel.clone(), connections(sender))).collect(),
        retry: RetryBudget::new(&options),
        slots: Arc::new(Semaphore::new(options.lanes as usize)),
        board: Board::default(),
        check_limit: DefaultDirectRateLimiter::direct(Quota::per_second(CHECKS_PER_SECOND)),
        stores,
        options,
        senders,
        consumer,
    });
    let listener = tokio::spawn(pass_on(deps.clone(), signals));

    let mut readers = Vec::new();
    let (lanes, claims) = (TaskTracker::new(), TaskTracker::new());
    for partition in (0..deps.stores.settings.partitions).map(Partition) {
        for channel in deps.senders.keys() {
            let jobs = |redis| Jobs::new(redis, partition, channel.clone(), deps.consumer.clone());
            let reader = deps.stores.redis.reader().await?;
            readers.push(reader.clone());
            let claimer = Claimer {
                deps: deps.clone(),
                jobs: jobs(deps.stores.redis.clone()),
                waiter: jobs(reader),
                lanes: lanes.clone(),
                stop: stop.clone(),
            };
            if let Err(error) = claimer.jobs.ensure_groups().await {
                tracing::debug!(%error, "no groups yet");
            }
            claims.spawn(claimer.clone().read());
            claims.spawn(claimer.clone().reclaim());
            claims.spawn(claimer.make_room());
        }
    }
    stop.cancelled().await;
    lanes.close();
    lanes.wait().await;
    claims.close();
    claims.wait().await;
    // The process may go on without this worker: nothing of it may stay connected.
    listener.abort();
    for reader in readers {
        reader.close().await;
    }
    deps.stores.redis.close().await;
    Ok(())
}

async fn pass_on(deps: Arc<Deps>, mut signals: tokio::sync::mpsc::Receiver<signal::Signal>) {
    while let Some(signal) = signals.recv().await {
        deps.board.pass_on(signal);
    }
}
