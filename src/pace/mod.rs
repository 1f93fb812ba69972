//! The shared pace: who may start an attempt, and when.
//!
//! One pacer per process reserves moments in Redis for all its lanes and deals them out in turn. A moment that is
//! not used within [`START_WITHIN_US`] is lost; it is never saved up. Redis spaces the moments so that no second has
//! more than the limit, whichever process uses them.

mod clock;
mod deal;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use self::clock::RedisClock;
use self::deal::Waiting;
use crate::{
    clock::BootTime,
    mysql::setting::Settings,
    redis::{
        RETRY_PAUSE, Redis,
        scripts::{Reserve, Reserved},
    },
};

/// The pace of all starts.
pub const PACE: &str = "total";
/// A start falls within this time after its moment.
pub const START_WITHIN_US: i64 = 20_000;
/// How far ahead moments are reserved.
const HORIZON_US: u64 = 100_000;
/// The time left for `advance` before the first moment.
const LEAD_US: u64 = 8_000;
/// After there was nothing to reserve, this much is left to gather, so that a call is worth its while.
const GATHER: Duration = Duration::from_millis(15);
/// For so long the answer that there is no pace is believed, in µs.
const UNLIMITED_US: i64 = 250_000;
/// While everything is paused, permits are asked for so often.
const PAUSED_PAUSE: Duration = Duration::from_millis(250);
/// The most moments reserved by one call.
const RESERVE_MAX: u32 = 2_000;

/// The right to start one attempt in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Not before.
    pub earliest: BootTime,
    /// Not after.
    pub latest: BootTime,
}

/// What an asker gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permits {
    /// These, in the order of their moments.
    Timed(Vec<Permit>),
    /// There is no pace for now: start as many as there are connections, and ask again when those are started.
    Unlimited,
}

/// Where lanes ask for permits.
#[derive(Debug, Clone)]
pub struct Pacer {
    requests: mpsc::Sender<Waiting>,
}

impl Pacer {
    /// Starts the process' pacer for the pace of this name. Redis takes over a limit that is newer than its own.
    #[must_use]
    pub fn start(
        redis: Redis,
        name: &'static str,
        settings: watch::Receiver<Settings>,
        stop: CancellationToken,
    ) -> Self {
        let (requests, receiver) = mpsc::channel(4096);
        let dealer = Dealer { redis, name, settings, clock: RedisClock::default(), unlimited_at: None };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = dealer.run(receiver) => {}
            }
        });
        Self { requests }
    }

    /// Waits for up to `wanted` permits; `None` once the pacer has stopped.
    pub async fn acquire(&self, wanted: usize) -> Option<Permits> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Waiting { wanted, reply, granted: Vec::new() }).await.ok()?;
        answer.await.ok()
    }
}

struct Dealer {
    redis: Redis,
    name: &'static str,
    settings: watch::Receiver<Settings>,
    clock: RedisClock,
    unlimited_at: Option<BootTime>,
}

impl Dealer {
    async fn run(mut self, mut requests: mpsc::Receiver<Waiting>) {
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            if waiting.is_empty() {
                match requests.recv().await {
                    Some(request) => waiting.push(request),
                    None => return,
                }
            }
            while let Ok(request) = requests.try_recv() {
                waiting.push(request);
            }
            waiting.retain(|request| !request.reply.is_closed());
            if waiting.is_empty() {
                continue;
            }
            match self.reserve(&waiting).await {
                Ok(Some(permits)) => deal::deal(&mut waiting, permits),
                Ok(None) => deal::lift(&mut waiting),
                Err(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Moments for those who wait; `None` without a pace; else the time after which to ask again.
    async fn reserve(&mut self, waiting: &[Waiting]) -> Result<Option<Vec<Permit>>, Duration> {
        if self.unlimited_at.is_some_and(|at| at.age_us(BootTime::now()) < UNLIMITED_US) {
            return Ok(None);
        }
        let wanted: usize = waiting.iter().map(|request| request.wanted).sum();
        let wanted = u32::try_from(wanted).unwrap_or(RESERVE_MAX).clamp(1, RESERVE_MAX);
        let limit = self.settings.borrow().limit();
        let ask = Reserve { name: self.name, wanted, horizon_us: HORIZON_US, lead_us: LEAD_US, limit };
        let sent = BootTime::now();
        match self.redis.reserve_pace(&ask).await {
            Ok(Reserved::Granted { count, first_us, interval_us, now_us }) => {
                let received = BootTime::now();
                self.clock.observe(sent, received, now_us);
                let moments = (0..i64::from(count)).map(|n| first_us + n * interval_us);
                Ok(Some(moments.map(|moment| self.clock.permit(moment, received)).collect()))
            }
            Ok(Reserved::Wait(us)) => Err(Duration::from_micros(us) + GATHER),
            Ok(Reserved::Unlimited) => {
                self.unlimited_at = Some(sent);
                Ok(None)
            }
            Ok(Reserved::Paused) => Err(PAUSED_PAUSE),
            Err(error) => {
                tracing::debug!(%error, pace = self.name, "no permits; asking again");
                Err(RETRY_PAUSE)
            }
        }
    }
}
