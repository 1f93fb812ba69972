//! The shared pace: who may start an attempt, and when.
//!
//! One pacer per process and channel reserves moments in Redis for all its lanes and deals them out in turn. A start
//! falls within [`START_WITHIN_US`] after its moment; a permit that is not used by then, or not needed, goes back to
//! Redis, which gives its moment out again as long as its second has room. Redis keeps every window of a second and
//! [`START_WITHIN_US`] within the limit, so that no second has more starts than that, whichever process makes them.
//!
//! All of this is reckoned in Redis' clock alone: [`RedisClock`] knows how far off it may be, and a permit's span is
//! narrowed by that. So the limit holds over machines however their own clocks differ.

mod clock;
mod deal;
mod permit;

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

pub use self::{
    clock::RedisClock,
    permit::{Permit, Span},
};
use self::{deal::Waiting, permit::Unused};
use crate::{
    clock::BootTime,
    ids::Channel,
    meter::PaceMeters,
    mysql::setting::Settings,
    redis::{
        RETRY_PAUSE, Redis,
        scripts::{Reserve, Reserved},
    },
};

/// A start falls within this time after its moment.
pub const START_WITHIN_US: i64 = 20_000;
/// How far ahead moments are reserved: what dies with a process.
const HORIZON_US: u64 = 100_000;
/// The time left for `advance` before the first moment.
const LEAD_US: u64 = 8_000;
/// After there was nothing to reserve, this much is left to gather, so that a call is worth its while.
const GATHER: Duration = Duration::from_millis(15);
/// For so long the answer that there is no pace is believed, in µs.
const UNLIMITED_US: i64 = 250_000;
/// The longest pause before permits are asked for again, whatever Redis said: the limit may change.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// How often it is said that Redis is too far away, in µs.
const SAY_FAR_US: i64 = 10_000_000;
/// The most moments reserved by one call.
const RESERVE_MAX: u32 = 2_000;

/// What an asker gets.
#[derive(Debug)]
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
    meters: PaceMeters,
}

impl Pacer {
    /// Starts the process' pacer for a channel; it ends with its last clone. Redis takes over limits that are newer than its own.
    #[must_use]
    pub fn start(redis: Redis, channel: Channel, settings: watch::Receiver<Settings>) -> Self {
        let (requests, receiver) = mpsc::channel(4096);
        let (clock, unused) = (RedisClock::default(), Arc::default());
        let meters = PaceMeters::new(channel.as_str());
        let (unlimited_at, said_far_at) = (None, None);
        let dealer =
            Dealer { redis, channel, settings, clock, unused, unlimited_at, said_far_at, meters: meters.clone() };
        tokio::spawn(dealer.run(receiver));
        Self { requests, meters }
    }

    /// Waits for up to `wanted` permits; `None` once the pacer has stopped.
    pub async fn acquire(&self, wanted: usize) -> Option<Permits> {
        let asked = BootTime::now();
        let (reply, answer) = oneshot::channel();
        self.requests.send(Waiting { wanted, reply, granted: Vec::new() }).await.ok()?;
        let permits = answer.await.ok();
        self.meters.waited(asked.age_us(BootTime::now()));
        permits
    }
}

struct Dealer {
    redis: Redis,
    channel: Channel,
    settings: watch::Receiver<Settings>,
    clock: RedisClock,
    unused: Arc<Unused>,
    unlimited_at: Option<BootTime>,
    said_far_at: Option<BootTime>,
    meters: PaceMeters,
}

impl Dealer {
    async fn run(mut self, mut requests: mpsc::Receiver<Waiting>) {
        let unused = self.unused.clone();
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            if waiting.is_empty() {
                tokio::select! {
                    biased;
                    request = requests.recv() => match request {
                        Some(request) => waiting.push(request),
                        None => return,
                    },
                    // Nobody here needs them: others may.
                    () = unused.appeared.notified() => {}
                }
            }
            while let Ok(request) = requests.try_recv() {
                waiting.push(request);
            }
            waiting.retain(|request| !request.reply.is_closed());
            if waiting.is_empty() && unused.is_empty() {
                continue;
            }
            match self.reserve(&waiting).await {
                Ok(Some(permits)) => deal::deal(&mut waiting, permits),
                Ok(None) => deal::lift(&mut waiting),
                Err(pause) => tokio::select! {
                    () = tokio::time::sleep(pause.min(PAUSE_MAX)) => {}
                    Ok(()) = self.settings.changed() => {}
                },
            }
        }
    }

    /// Nobody can be told with such permits: without a word the workers would only seem to be idle.
    fn say_far(&mut self, sent: BootTime, received: BootTime) {
        if self.said_far_at.is_some_and(|at| at.age_us(received) < SAY_FAR_US) {
            return;
        }
        self.said_far_at = Some(received);
        tracing::warn!(
            channel = %self.channel,
            round_trip_us = sent.age_us(received),
            start_within_us = START_WITHIN_US,
            "Redis is too far away to keep its pace, and nobody is told: run this worker nearer to Redis, or set the rate to 0"
        );
    }

    /// Moments for those who wait; `None` without a pace; else the time after which to ask again.
    async fn reserve(&mut self, waiting: &[Waiting]) -> Result<Option<Vec<Permit>>, Duration> {
        if self.unlimited_at.is_some_and(|at| at.age_us(BootTime::now()) < UNLIMITED_US) {
            return Ok(None);
        }
        let wanted: usize = waiting.iter().map(|request| request.wanted).sum();
        let wanted = u32::try_from(wanted).unwrap_or(RESERVE_MAX).min(RESERVE_MAX);
        let unused = self.unused.take();
        let returned = unused.iter().map(|(_, count)| u64::from(*count)).sum();
        let limit = self.settings.borrow().limit_of(&self.channel);
        let (channel, unused) = (&self.channel, unused.as_slice());
        let ask = Reserve { channel, wanted, horizon_us: HORIZON_US, lead_us: LEAD_US, limit, unused };
        let sent = BootTime::now();
        let answer = self.redis.reserve_pace(&ask).await;
        if answer.is_ok() {
            self.meters.returned.increment(returned);
        }
        match answer {
            Ok(Reserved::Granted { now_us, moments }) => {
                let received = BootTime::now();
                self.clock.observe(sent, received, now_us);
                self.meters.granted.increment(moments.iter().map(|(_, count)| *count as u64).sum());
                let each = moments.into_iter().flat_map(|(moment, count)| (0..count).map(move |_| moment));
                let permit = |moment| Permit::new(self.clock.span(moment, received), moment, self.unused.clone());
                let permits: Vec<Permit> = each.map(permit).collect();
                if permits.first().is_some_and(|permit| permit.span().is_empty()) {
                    self.say_far(sent, received);
                }
                Ok(Some(permits))
            }
            Ok(Reserved::Wait(_)) if wanted == 0 => Err(GATHER),
            Ok(Reserved::Wait(us)) => Err(Duration::from_micros(us) + GATHER),
            Ok(Reserved::Unlimited) => {
                self.unlimited_at = Some(sent);
                Ok(None)
            }
            Ok(Reserved::Paused) => Err(PAUSE_MAX),
            Err(error) => {
                tracing::debug!(%error, channel = %self.channel, "no permits; asking again");
                Err(RETRY_PAUSE)
            }
        }
    }
}
