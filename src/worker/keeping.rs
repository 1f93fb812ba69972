//! How a lane is kept: which call of the hold is due, what it carries, and what its answer means.

use super::{
    calls::{self, Call, Reply},
    ending::Ending,
    lane::{Lane, SETTLE_EVERY_US},
};
use crate::{
    clock::BootTime,
    meter::HoldEnd,
    producer::BACKLOG_MAX,
    redis::scripts::{Advance, Advanced, Renew, Settlement, Stop},
};

/// The pause while MySQL is too far behind, in µs.
const FULL_PAUSE_US: i64 = 200_000;
/// An authorisation that will lapse before its permits are used is renewed at this age, in µs.
const REFRESH_US: i64 = 120_000;

impl Lane {
    /// Makes the call that is due, if any. A renewal goes first: a busy lane always has something to advance.
    pub(super) fn make_call(&mut self, now: BootTime) {
        if self.call.is_some() {
            return;
        }
        if now >= self.renew_at {
            self.renew(now);
        } else if self.ending.is_none() && now >= self.not_before && self.wants_advance(now) {
            self.advance(now);
        }
    }

    fn renew(&mut self, now: BootTime) {
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

    /// Whether everybody up to `upto` is settled: nobody is left to come, and nobody in the window is open. Somebody
    /// may be open who is neither in flight nor waits for anything: who stopped the round, or was given up on.
    pub(super) fn is_exhausted(&self) -> bool {
        self.line.is_exhausted() && self.window.len() == 0
    }

    fn advance(&mut self, now: BootTime) {
        let settlement = self.window.take_prefix();
        self.fail_if_refused();
        let exhausted = self.is_exhausted();
        if self.ending.is_none() {
            let more = self.allowance.in_hand(now).saturating_sub(self.startable(now)).min(self.room(now));
            self.seat(more);
        }
        self.recheck = false;
        self.last_advance = now;
        self.asked_before = self.window.end();
        // Who may start before the answer comes counts as started: a round must not end while they do.
        let outstanding = self.flights.len() + self.window.settled_ahead() + self.may_start(now);
        self.call = Some(self.advance_call(settlement, outstanding, exhausted));
    }

    pub(super) fn advance_call(&mut self, settlement: Settlement, outstanding: usize, exhausted: bool) -> Call {
        let claim_idle_ms = self.deps.options.claim_idle_ms;
        let advance = Advance { settlement, outstanding, exhausted, claim_idle_ms, backlog_max: BACKLOG_MAX };
        calls::advance(self.hold.advance(&advance), self.exit.meters.advance_seconds.clone())
    }

    /// Takes in an answer of Redis. `false` when this worker has nothing more to do with the lane.
    pub(super) fn hear(&mut self, reply: Reply) -> bool {
        let (handed, advanced) = match reply {
            Reply::Renewed => return true,
            Reply::Lost => (BootTime::now(), Advanced::Lost),
            Reply::Advanced(handed, advanced) => (handed, advanced),
        };
        match advanced {
            Advanced::Go => {
                self.authorised = Some(handed);
                self.authorised_before = self.asked_before;
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
            Advanced::Completed | Advanced::Retried | Advanced::Stopped(_) | Advanced::Lost => {
                tracing::info!(lane = %self.id, round = %self.round, how = ?advanced, "done with the lane");
                self.exit.meters.endings.count(end_of(advanced));
                false
            }
        }
    }
}

/// How a hold ended that Redis ended by this answer.
pub(super) fn end_of(advanced: Advanced) -> HoldEnd {
    match advanced {
        Advanced::Completed | Advanced::Retried => HoldEnd::Completed,
        Advanced::Stopped(Stop::SoldOut) => HoldEnd::SoldOut,
        Advanced::Stopped(Stop::Canceled) => HoldEnd::Admin,
        Advanced::Stopped(Stop::Paused) => HoldEnd::Paused,
        Advanced::Lost | Advanced::Go | Advanced::Full | Advanced::Drain(_) => HoldEnd::Lost,
    }
}
