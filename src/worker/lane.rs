//! One lane in one worker: permits → advance → send, in a sliding window, until the lane ends or is handed back.
//!
//! Invariant: somebody starts only under an authorisation that Redis gave this hold less than 250 ms ago, on a permit
//! of the pace, in line order. One call to Redis is under way at a time; nothing else waits for it.
//!
//! The loop is here; who starts is decided in `departure`, what Redis is told and answers in `keeping`, what an
//! attempt's answer means in `landing`, and how the hold ends in `ending`.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Deps,
    allowance::{Allowance, Turn},
    calls::{Call, Reply},
    crew::Exit,
    ending::Ending,
    flight::{Landed, LaneSignal},
    following::Following,
    line::Line,
    window::{SeatNo, Window},
};
use crate::{
    channel::ProductCard,
    clock::BootTime,
    ids::{LaneId, Round},
    pace::Permits,
    redis::scripts::Hold,
};

/// Redis learns of what is settled at least this often, in µs.
pub(super) const SETTLE_EVERY_US: i64 = 100_000;
/// A lane looks at least this often what is due, in µs.
const LOOK_EVERY_US: i64 = 1_000_000;
/// The pause while all connections of the channel are taken, in µs.
const CONNECTION_PAUSE_US: i64 = 2_000;

/// A lane that this worker holds.
pub(crate) struct Lane {
    pub(super) deps: Arc<Deps>,
    pub(super) id: LaneId,
    pub(super) round: Round,
    /// Those who FAILED in the round are told again.
    pub(super) is_retry: bool,
    pub(super) card: Arc<ProductCard>,
    pub(super) exit: Arc<Exit>,
    pub(super) signal: Arc<LaneSignal>,
    pub(super) following: Following,
    pub(super) hold: Hold,
    pub(super) window: Window,
    pub(super) line: Line,
    pub(super) unstarted: BTreeSet<SeatNo>,
    pub(super) retries: BTreeSet<(BootTime, SeatNo)>,
    pub(super) flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    pub(super) allowance: Allowance,
    pub(super) asked: Option<BoxFuture<'static, Option<Permits>>>,
    pub(super) call: Option<Call>,
    /// When the last `go`, or the lane, was asked for.
    pub(super) authorised: Option<BootTime>,
    /// The `begin` that took the lane authorised the first people, and none was seated yet.
    pub(super) opening: bool,
    /// Seats before this one are authorised by it.
    pub(super) authorised_before: SeatNo,
    /// Seats before this one are authorised if the call under way is answered with `go`.
    pub(super) asked_before: SeatNo,
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
    pub(crate) async fn work(mut self: Box<Self>, stop: CancellationToken) {
        loop {
            let now = BootTime::now();
            self.line.read_ahead(now, || self.deps.page_size());
            self.seat_first(now);
            self.start_due();
            if self.ending.is_some() && self.call.is_none() && self.has_landed(now) {
                return Box::pin(self.close()).await;
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

    fn heed_signal(&mut self) {
        if self.signal.is_asked_back() {
            self.ending.get_or_insert(Ending::HandBack);
        }
        self.recheck |= self.authorised.is_none_or(|handed| self.signal.has_lapsed(handed));
    }

    /// When to look again, if nothing happens before. Each moment lies ahead, or something else wakes the lane: it
    /// must not spin while Redis is away or answers are waited for.
    fn wake_at(&mut self, now: BootTime) -> BootTime {
        let mut wake = now.plus_us(LOOK_EVERY_US);
        let mut by = |at: BootTime| {
            if at > now {
                wake = wake.min(at);
            }
        };
        if let Some(deadline) = self.deadline {
            by(deadline);
        }
        if self.call.is_none() {
            by(self.renew_at);
            by(self.not_before);
            if self.window.can_move() {
                by(self.last_advance.plus_us(SETTLE_EVERY_US));
            }
        }
        if let Some((due, _)) = self.retries.iter().find(|(due, _)| *due > now) {
            by(*due);
        }
        // What lapses is given back while its second lasts.
        if let Some(lapse) = self.allowance.lapses_at() {
            by(lapse);
        }
        if self.ending.is_none() && self.startable(now) > 0 {
            match self.allowance.turn(now) {
                Turn::At(moment) => by(moment),
                Turn::Now if self.is_fresh(now) => by(now.plus_us(CONNECTION_PAUSE_US)),
                Turn::Now | Turn::Never => {}
            }
        }
        wake
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
