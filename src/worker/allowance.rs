//! The permits that a lane has in hand.

use std::collections::VecDeque;

use crate::{
    clock::BootTime,
    pace::{Permit, Permits},
};

/// For so long an answer that there is no pace holds, in µs.
const UNLIMITED_US: i64 = 250_000;

/// What the pace allows a lane to start.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    timed: VecDeque<Permit>,
    unlimited_until: Option<BootTime>,
}

/// Whether somebody may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Yes.
    Now,
    /// Not before this moment.
    At(BootTime),
    /// Not without another permit.
    Never,
}

impl Allowance {
    pub(crate) fn receive(&mut self, permits: Permits, now: BootTime) {
        match permits {
            Permits::Timed(permits) => {
                self.unlimited_until = None;
                self.timed.extend(permits);
            }
            Permits::Unlimited => self.unlimited_until = Some(now.plus_us(UNLIMITED_US)),
        }
    }

    fn is_unlimited(&self, now: BootTime) -> bool {
        self.unlimited_until.is_some_and(|until| now < until)
    }

    /// Drops what has passed, and says how many may be started by what is in hand.
    pub(crate) fn in_hand(&mut self, now: BootTime) -> usize {
        while self.timed.front().is_some_and(|permit| permit.span().latest < now) {
            self.timed.pop_front();
        }
        if self.is_unlimited(now) { usize::MAX } else { self.timed.len() }
    }

    /// Whose turn it is.
    pub(crate) fn turn(&mut self, now: BootTime) -> Turn {
        self.in_hand(now);
        match self.timed.front() {
            Some(permit) if permit.span().earliest <= now => Turn::Now,
            Some(permit) => Turn::At(permit.span().earliest),
            None if self.is_unlimited(now) => Turn::Now,
            None => Turn::Never,
        }
    }

    /// The permit whose turn it is; `None` where there is no pace.
    pub(crate) fn take(&mut self) -> Option<Permit> {
        self.timed.pop_front()
    }

    /// When the next permit in hand is of no use any more.
    pub(crate) fn lapses_at(&self) -> Option<BootTime> {
        self.timed.front().map(|permit| permit.span().latest.plus_us(1))
    }
}
