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
mod crew;
mod departure;
mod ending;
mod errand;
mod flight;
mod following;
mod inquiry;
mod keeping;
mod landing;
mod lane;
mod line;
mod retry;
mod take;
mod window;

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota};
use tokio::{
    sync::{Mutex, Semaphore, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use self::{board::Board, crew::Crew, inquiry::Inquiries, retry::RetryBudget};
use crate::{
    channel::{ChannelError, ChannelOptions, Sender},
    ids::Channel,
    meter::Vitals,
    mysql::setting::Settings,
    redis::{RETRY_PAUSE, RedisError, scripts::random_hex, signal},
    stores::Stores,
};

/// The part that gives signs of life: a reader of job streams for each channel and partition.
pub const READING: &str = "reading_jobs";

pub use config::{NotEnabled, OnPersonError, WorkerOptions};

/// Connections to MySQL: two for questions of many lanes, the others for pages of the line and checks of products; lanes
/// wait for one another beyond that.
pub const CONNECTIONS_MAX: u32 = 10;

/// The most products that one worker checks against MySQL in a second: a cold start must not storm it.
const CHECKS_PER_SECOND: NonZeroU32 = NonZeroU32::new(500).expect("not zero");

/// A worker, ready to run.
pub struct Worker {
    /// Both stores.
    pub stores: Stores,
    /// How it works.
    pub options: WorkerOptions,
    /// The settings as they change.
    pub settings: watch::Receiver<Settings>,
    /// How it reaches people by a channel that is enabled later.
    pub channels: ChannelOptions,
    /// The channels it serves from the start.
    pub senders: HashMap<Channel, Arc<dyn Sender>>,
    /// Its name in the consumer group; unique to this process.
    pub consumer: String,
    /// Where its readers give signs of life.
    pub vitals: Vitals,
}

impl Worker {
    /// A worker under a name of its own, for the channels that are enabled now and that its options name.
    ///
    /// # Errors
    /// When a channel lacks an option.
    pub async fn new(
        stores: Stores,
        settings: watch::Receiver<Settings>,
        options: WorkerOptions,
        channels: ChannelOptions,
        vitals: Vitals,
    ) -> Result<Self, ChannelError> {
        let mut senders = HashMap::new();
        for channel in options.served(&stores.settings.channels) {
            let sender = channels.build_on(&stores, &channel).await?;
            senders.insert(channel, sender);
        }
        let consumer = format!("{}-{}", std::process::id(), &random_hex()[..8]);
        Ok(Self { stores, options, settings, channels, senders, consumer, vitals })
    }
}

/// What all lanes of a worker share.
pub(crate) struct Deps {
    stores: Stores,
    inquiries: Inquiries,
    settings: watch::Receiver<Settings>,
    options: WorkerOptions,
    consumer: String,
    retry: RetryBudget,
    slots: Arc<Semaphore>,
    /// Held by the reader that waits for places.
    turn: Mutex<()>,
    board: Board,
    check_limit: DefaultDirectRateLimiter,
    vitals: Vitals,
}

impl Deps {
    fn drain_us(&self) -> i64 {
        i64::try_from(self.options.drain().as_micros()).unwrap_or(i64::MAX)
    }

    fn renew_us(&self) -> i64 {
        i64::try_from(self.options.claim_idle_ms * 1000 / 3).unwrap_or(i64::MAX)
    }

    fn window_max(&self) -> usize {
        self.options.window as usize
    }

    /// About one second's share of the pace. By the lanes in hand, and not by the places taken: a reader takes all that
    /// are free for the moment in which it asks for entries.
    fn page_size(&self) -> u32 {
        match self.settings.borrow().rate {
            0 => line::PAGE_MAX,
            rate => rate / u32::try_from(self.board.len().max(1)).unwrap_or(1),
        }
    }

    /// Both stores, with the settings as they are now.
    fn stores_now(&self) -> Stores {
        Stores { settings: self.settings.borrow().clone(), ..self.stores.clone() }
    }
}

/// Works lanes until `stop`; then finishes what is in flight, for as long as the drain lasts, and hands them back.
///
/// # Errors
/// When Redis refuses what the readers need at start; that it does not answer is waited for.
pub async fn run(worker: Worker, stop: CancellationToken) -> Result<(), RedisError> {
    let Worker { stores, settings, options, channels, senders, consumer, vitals } = worker;
    let signals = loop {
        match signal::listen(&stores.redis, stores.settings.partitions).await {
            // It answered a moment ago: it comes back.
            Err(error) if error.is_unreachable() && !stop.is_cancelled() => {
                tracing::warn!(%error, "cannot listen for stop signals yet");
                sleep(RETRY_PAUSE).await;
            }
            listening => break listening?,
        }
    };
    let deps = Arc::new(Deps {
        retry: RetryBudget::new(&options),
        slots: Arc::new(Semaphore::new(options.lanes as usize)),
        turn: Mutex::new(()),
        board: Board::default(),
        inquiries: Inquiries::start(&stores.mysql),
        check_limit: DefaultDirectRateLimiter::direct(Quota::per_second(CHECKS_PER_SECOND)),
        stores,
        settings,
        options,
        consumer,
        vitals,
    });
    let listener = tokio::spawn(pass_on(deps.clone(), signals));
    let mut crew = Crew::new(deps.clone(), channels, senders, stop);
    crew.follow_settings().await?;
    crew.drain().await;
    // The process may go on without this worker: nothing of it may stay connected.
    listener.abort();
    deps.stores.redis.close().await;
    Ok(())
}

async fn pass_on(deps: Arc<Deps>, mut signals: tokio::sync::mpsc::Receiver<signal::Signal>) {
    while let Some(signal) = signals.recv().await {
        deps.board.pass_on(signal);
    }
}
