//! One lane in one worker: permits → advance → send, in a sliding window, until the lane ends or is handed back.
//!
//! Invariant: somebody starts only under an authorisation that Redis gave this hold less than 250 ms ago, on a permit
//! of the pace, in line order. One call to Redis is under way at a time; nothing else waits for it.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Deps,
    allowance::{Allowance, Turn},
    calls::{self, Call, Reply},
    crew::Exit,
    flight::{Flight, Landed, LaneSignal},
    line::Line,
    window::{SeatNo, Window},
};
use crate::{
    channel::{Message, ProductCard},
    clock::BootTime,
    ids::{LaneId, Round, UserId},
    pace::Permits,
    redis::scripts::{Advance, Advanced, Hold, Renew, Settlement, Stop},
};

/// Redis learns of what is settled at least this often, in µs.
const SETTLE_EVERY_US: i64 = 100_000;
/// The pause while MySQL is too far behind, in µs.
const FULL_PAUSE_US: i64 = 200_000;
/// The pause while all connections of the channel are taken, in µs.
const CONNECTION_PAUSE_US: i64 = 2_000;
/// The most permits asked for at once.
const PERMITS_MAX: usize = 512;
/// An authorisation that will lapse before its permits are used is renewed at this age, in µs.
const REFRESH_US: i64 = 120_000;
/// Entries in the log of a partition at which nobody is authorised.
pub(crate) const BACKLOG_MAX: u64 = 100_000;

/// Why nobody is started any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Redis said so.
    Drain(Stop),
    /// The channel cannot go on, perhaps because of one person.
    Fail { reason: String, blocked_user: Option<UserId> },
    /// This worker stops, or is full while others wait.
    HandBack,
}

/// A lane that this worker holds.
pub(crate) struct Lane {
    pub(super) deps: Arc<Deps>,
    pub(super) id: LaneId,
    pub(super) round: Round,
    pub(super) card: Arc<ProductCard>,
    pub(super) exit: Arc<Exit>,
    pub(super) signal: Arc<LaneSignal>,
    pub(super) hold: Hold,
    pub(super) window: Window,
    pub(super) line: Line,
    pub(super) unstarted: BTreeSet<SeatNo>,
    pub(super) retries: BTreeSet<(BootTime, SeatNo)>,
    pub(super) flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    pub(super) allowance: Allowance,
    pub(super) asked: Option<BoxFuture<'static, Option<Permits>>>,
    pub(super) call: Option<Call>,
    /// When the last `go` was asked for.
    pub(super) authorised: Option<BootTime>,
    pub(super) last_advance: BootTime,
    pub(super) renew_at: BootTime,
    pub(super) not_before: BootTime,
    /// Stock is to be looked at, whether or not somebody could start.
    pub(super) recheck: bool,
    pub(super) ending: Option<Ending>,
    /// Nothing in flight is waited for after this moment.
    pub(super) deadline: Option<BootTime>,
}

impl Lane {
    /// Works until the lane has ended, was handed back or is somebody else's.
    pub(crate) async fn work(mut self, stop: CancellationToken) {
        loop {
            let now = BootTime::now();
            self.line.read_ahead(now);
            self.start_due(now);
            if self.ending.is_some() && self.call.is_none() && self.has_landed(now) {
                return self.close().await;
            }
            self.ask_permits(now);
            self.make_call(now);
            let wake = self.wake_at(now).until(now);
            tokio::select! {
                biased;
                reply = answered(&mut self.call) => {
                    self.call = None;
                    if !self.hear(reply) {
                        return;
                    }
                }
                Some(landed) = self.flights.next(), if !self.flights.is_empty() => self.land_all(landed),
                permits = granted(&mut self.asked) => {
                    self.asked = None;
                    if let Some(permits) = permits {
                        self.allowance.receive(permits, BootTime::now());
                    }
                }
                () = self.line.arrived() => {}
                () = self.signal.notify.notified() => self.heed_signal(),
                () = stop.cancelled(), if self.deadline.is_none() => {
                    self.deadline = Some(BootTime::now().plus_us(self.deps.drain_us()));
                    self.ending.get_or_insert(Ending::HandBack);
                }
                () = sleep(wake) => {}
            }
        }
    }

    fn has_landed(&mut self, now: BootTime) -> bool {
        if self.deadline.is_some_and(|deadline| deadline <= now) && !self.flights.is_empty() {
            tracing::warn!(lane = %self.id, in_flight = self.flights.len(), "not waiting for answers any longer");
            self.flights = FuturesUnordered::new();
        }
        self.flights.is_empty()
    }

    fn is_fresh(&self, now: BootTime) -> bool {
        self.authorised.is_some_and(|handed| self.signal.is_fresh(handed, now))
    }

    fn due_retry(&self, now: BootTime) -> Option<(BootTime, SeatNo)> {
        self.retries.first().copied().filter(|(due, _)| *due <= now)
    }

    /// People who are authorised, or were, and could start now.
    fn startable(&self, now: BootTime) -> usize {
        self.unstarted.len() + self.retries.iter().take_while(|(due, _)| *due <= now).count()
    }

    /// People who could be authorised and have not been.
    fn room(&self, now: BootTime) -> usize {
        self.line.ready(now).min(self.deps.window_max().saturating_sub(self.window.len()))
    }

    fn start_due(&mut self, now: BootTime) {
        if self.ending.is_some() || !self.is_fresh(now) {
            return;
        }
        let Some(handed) = self.authorised else { return };
        while self.allowance.turn(now) == Turn::Now {
            let retry = self.due_retry(now);
            let Some(seat) = retry.map(|(_, seat)| seat).or_else(|| self.unstarted.first().copied()) else { return };
            let Ok(connection) = self.exit.connection() else { return };
            match retry {
                Some(due) => self.retries.remove(&due),
                None => self.unstarted.remove(&seat),
            };
            let Some(person) = self.window.seat(seat) else { continue };
            let message = Message {
                product: self.card.clone(),
                round: self.round,
                channel: self.id.channel.clone(),
                user: person.user,
                started_us: 0,
            };
            let permit = self.allowance.take();
            let (sender, signal) = (self.exit.sender.clone(), self.signal.clone());
            let flight = Flight { seat, sender, message, handed, permit, signal, connection };
            self.flights.push(flight.fly().boxed());
        }
    }

    fn ask_permits(&mut self, now: BootTime) {
        if self.ending.is_some() || self.asked.is_some() || now < self.not_before {
            return;
        }
        let wanted = (self.startable(now) + self.room(now)).min(PERMITS_MAX);
        let missing = wanted.saturating_sub(self.allowance.in_hand(now));
        if missing > 0 {
            let pacer = self.exit.pacer.clone();
            self.asked = Some(async move { pacer.acquire(missing).await }.boxed());
        }
    }

    /// Makes the call that is due, if any.
    fn make_call(&mut self, now: BootTime) {
        if self.call.is_some() {
            return;
        }
        if self.ending.is_none() && now >= self.not_before && self.wants_advance(now) {
            self.advance(now);
        } else if now >= self.renew_at {
            self.renew_at = now.plus_us(self.deps.renew_us());
            let tries = self.window.tries_of_next();
            let renew = Renew {
                claim_idle_ms: self.deps.options.claim_idle_ms,
                consumer: &self.deps.consumer,
                tries: tries.count,
                tried_us: tries.first_us,
            };
            self.call = Some(calls::renew(self.hold.renew(&renew)));
        }
    }

    fn wants_advance(&mut self, now: BootTime) -> bool {
        let in_hand = self.allowance.in_hand(now);
        let startable = self.startable(now);
        let aged = self.authorised.is_none_or(|handed| handed.age_us(now) >= REFRESH_US) || !self.is_fresh(now);
        self.recheck
            || (in_hand > 0 && startable > 0 && aged)
            || (in_hand > startable && self.room(now) > 0)
            || (self.window.can_move() && self.last_advance.age_us(now) >= SETTLE_EVERY_US)
            || self.is_exhausted()
    }

    /// Whether everybody up to `upto` is settled.
    pub(super) fn is_exhausted(&self) -> bool {
        self.line.is_exhausted() && self.unstarted.is_empty() && self.retries.is_empty() && self.flights.is_empty()
    }

    fn advance(&mut self, now: BootTime) {
        let settlement = self.window.take_prefix();
        self.fail_if_refused();
        let exhausted = self.is_exhausted();
        if self.ending.is_none() {
            let more = self.allowance.in_hand(now).saturating_sub(self.startable(now)).min(self.room(now));
            for person in (0..more).map_while(|_| self.line.take()) {
                self.unstarted.extend(self.window.push(person.place, person.user));
            }
        }
        self.recheck = false;
        self.last_advance = now;
        let outstanding = self.flights.len() + self.window.settled_ahead();
        self.call = Some(self.advance_call(settlement, outstanding, exhausted));
    }

    pub(super) fn advance_call(&mut self, settlement: Settlement, outstanding: usize, exhausted: bool) -> Call {
        let claim_idle_ms = self.deps.options.claim_idle_ms;
        let advance = Advance { settlement, outstanding, exhausted, claim_idle_ms, backlog_max: BACKLOG_MAX };
        calls::advance(self.hold.advance(&advance))
    }

    /// Takes in an answer of Redis. `false` when this worker has nothing more to do with the lane.
    fn hear(&mut self, reply: Reply) -> bool {
        let (handed, advanced) = match reply {
            Reply::Renewed => return true,
            Reply::Lost => (BootTime::now(), Advanced::Lost),
            Reply::Advanced(handed, advanced) => (handed, advanced),
        };
        match advanced {
            Advanced::Go => {
                self.authorised = Some(handed);
                // A signal overtook the answer: it may tell of a stock that is gone by now.
                self.recheck = self.signal.has_lapsed(handed);
                true
            }
            Advanced::Full => {
                self.not_before = BootTime::now().plus_us(FULL_PAUSE_US);
                self.recheck = true;
                true
            }
            Advanced::Drain(stop) => {
                self.ending.get_or_insert(Ending::Drain(stop));
                true
            }
            Advanced::Completed | Advanced::Stopped(_) | Advanced::Lost => {
                tracing::info!(lane = %self.id, round = %self.round, how = ?advanced, "done with the lane");
                false
            }
        }
    }

    fn heed_signal(&mut self) {
        if self.signal.is_asked_back() {
            self.ending.get_or_insert(Ending::HandBack);
        }
        self.recheck |= self.authorised.is_some_and(|handed| self.signal.has_lapsed(handed));
    }

    fn wake_at(&mut self, now: BootTime) -> BootTime {
        let mut wake = self.renew_at;
        let mut sooner = |at: BootTime| wake = wake.min(at);
        if let Some(deadline) = self.deadline {
            sooner(deadline);
        }
        if let Some((due, _)) = self.retries.first() {
            sooner(*due);
        }
        if self.window.can_move() {
            sooner(self.last_advance.plus_us(SETTLE_EVERY_US));
        }
        if self.not_before > now {
            sooner(self.not_before);
        }
        // What lapses is given back while its second lasts.
        if let Some(lapse) = self.allowance.lapses_at() {
            sooner(lapse);
        }
        if self.ending.is_none() && self.startable(now) > 0 {
            match self.allowance.turn(now) {
                Turn::At(moment) => sooner(moment),
                Turn::Now if self.is_fresh(now) => sooner(now.plus_us(CONNECTION_PAUSE_US)),
                Turn::Now | Turn::Never => {}
            }
        }
        wake.max(now.plus_us(if self.renew_at <= now { 1_000 } else { 0 }))
    }
}

/// Waits for the answer of the call under way; never, when there is none.
async fn answered(call: &mut Option<Call>) -> Reply {
    match call {
        Some(call) => Pin::new(call).await,
        None => std::future::pending().await,
    }
}

async fn granted(asked: &mut Option<BoxFuture<'static, Option<Permits>>>) -> Option<Permits> {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}
