//! Who starts, and when: permits asked for, and attempts begun under a fresh authorisation, in line order.

use futures_util::FutureExt;

use super::{
    allowance::Turn,
    flight::{Flight, Started},
    lane::Lane,
    window::SeatNo,
};
use crate::{
    channel::Message,
    clock::{BootTime, wall_us},
};

/// The most permits asked for at once.
const PERMITS_MAX: usize = 512;

impl Lane {
    pub(super) fn is_fresh(&self, now: BootTime) -> bool {
        self.authorised.is_some_and(|handed| self.signal.is_fresh(handed, now))
    }

    fn due_retry(&self, now: BootTime) -> Option<(BootTime, SeatNo)> {
        self.retries.first().copied().filter(|(due, _)| *due <= now)
    }

    /// People in the window who wait for a permit or an authorisation, and for nothing else.
    pub(super) fn startable(&self, now: BootTime) -> usize {
        self.unstarted.len() + self.retries.iter().take_while(|(due, _)| *due <= now).count()
    }

    /// People who could be authorised and have not been.
    pub(super) fn room(&self, now: BootTime) -> usize {
        self.line.ready(now).min(self.deps.window_max().saturating_sub(self.window.len()))
    }

    /// Seats the first people under the authorisation that came with the lane: a short round needs no other.
    pub(super) fn seat_first(&mut self, now: BootTime) {
        self.opening &= self.call.is_none() && self.ending.is_none() && self.is_fresh(now);
        if !self.opening {
            return;
        }
        let first = self.allowance.in_hand(now).min(self.room(now));
        if first > 0 {
            self.opening = false;
            self.seat(first);
            self.authorised_before = self.window.end();
        }
    }

    /// Seats the next people of the line.
    pub(super) fn seat(&mut self, count: usize) {
        for person in (0..count).map_while(|_| self.line.take()) {
            self.unstarted.extend(self.window.push(person.place, person.user));
        }
    }

    /// Starts whoever may start now. Each is checked for itself right before the first step, and who may not start
    /// holds back all behind them: so first attempts start in line order, however long this process was stopped.
    pub(super) fn start_due(&mut self) {
        while self.ending.is_none() {
            let now = BootTime::now();
            if !self.is_fresh(now) {
                return;
            }
            if self.allowance.turn(now) != Turn::Now {
                return;
            }
            let retry = self.due_retry(now);
            let Some(seat) = retry.map(|(_, seat)| seat).or_else(|| self.next_authorised()) else { return };
            let Ok(connection) = self.exit.connection() else { return };
            // The time that is told lies between two looks at the clock, so that it is within the permit's span whatever
            // happened between them.
            let (permit, started_us, now) = (self.allowance.take(), wall_us(), BootTime::now());
            if !self.is_fresh(now) || permit.as_ref().is_some_and(|permit| permit.span().latest < now) {
                continue;
            }
            match retry {
                Some(due) => self.retries.remove(&due),
                None => self.unstarted.remove(&seat),
            };
            let Some(person) = self.window.seat(seat) else { continue };
            let traced = self.following.attempt();
            let message = Message {
                product: self.card.clone(),
                round: self.round,
                channel: self.id.channel.clone(),
                user: person.user,
                started_us,
                traceparent: traced.parent,
            };
            if let Some(permit) = permit {
                permit.spend();
            }
            self.exit.meters.attempts.increment(1);
            let flight = Flight { seat, sender: self.exit.sender.clone(), message, connection, span: traced.span };
            match flight.start() {
                Started::Flying(flight) => self.flights.push(flight),
                Started::Landed(landed) => self.land(landed),
            }
        }
    }

    /// The next person who was never tried, if a `go` was answered that counts them in.
    fn next_authorised(&self) -> Option<SeatNo> {
        self.unstarted.first().copied().filter(|seat| *seat < self.authorised_before)
    }

    /// How many may start before Redis is asked again.
    pub(super) fn may_start(&self, now: BootTime) -> usize {
        if self.is_fresh(now) { self.unstarted.range(..self.authorised_before).count() + self.retries.len() } else { 0 }
    }

    pub(super) fn ask_permits(&mut self, now: BootTime) {
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
}
