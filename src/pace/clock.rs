//! Redis' clock as seen from here.
//!
//! An answer that says "it is T" was made between the call and its return, so the offset lies in a known interval
//! (Cristian, 1989). The narrowest interval seen lately is kept, widened by what the clocks may have drifted.

use super::{START_WITHIN_US, Span};
use crate::clock::BootTime;

/// After this time a narrow interval gives way to whatever comes.
const KEEP_US: i64 = 10_000_000;
/// Two good clocks drift less than this in a second.
const DRIFT_PPM: i64 = 100;

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// The least and the greatest that (boot time − Redis time) can be, in µs.
    low: i64,
    high: i64,
    at: BootTime,
}

impl Sample {
    fn widened(self, now: BootTime) -> Self {
        let drift = self.at.age_us(now).max(0) * DRIFT_PPM / 1_000_000;
        Self { low: self.low - drift, high: self.high + drift, at: self.at }
    }
}

/// An estimate of Redis' clock that is never surer than it may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct RedisClock {
    best: Option<Sample>,
}

impl RedisClock {
    /// Learns from an answer: sent, received, and the time it told, in µs since the epoch.
    pub fn observe(&mut self, sent: BootTime, received: BootTime, redis_us: i64) {
        let fresh = Sample { low: sent.0 - redis_us, high: received.0 - redis_us, at: received };
        let kept = self.best.map(|best| best.widened(received));
        let keep = kept.is_some_and(|old| {
            let overlaps = old.low <= fresh.high && fresh.low <= old.high;
            overlaps && old.at.age_us(received) < KEEP_US && old.high - old.low <= fresh.high - fresh.low
        });
        if !keep {
            self.best = Some(fresh);
        }
    }

    /// The span in which a start surely falls within [`START_WITHIN_US`] after a moment of Redis' clock. It is empty
    /// when the clock is not known well enough.
    pub(super) fn span(&self, moment_us: i64, now: BootTime) -> Span {
        let Some(sample) = self.best.map(|best| best.widened(now)) else {
            return Span { earliest: now, latest: now.plus_us(-1) };
        };
        Span { earliest: BootTime(moment_us + sample.high), latest: BootTime(moment_us + sample.low + START_WITHIN_US) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_lies_within_the_span_for_every_offset_that_is_possible() {
        let mut clock = RedisClock::default();
        clock.observe(BootTime(1_000), BootTime(1_400), 5_001_200);
        let span = clock.span(5_010_000, BootTime(1_400));
        for offset in [-5_000_200_i64, -4_999_800] {
            assert!(span.earliest.0 - offset >= 5_010_000);
            assert!(span.latest.0 - offset <= 5_010_000 + START_WITHIN_US);
        }
    }

    #[test]
    fn a_slow_answer_does_not_spoil_a_good_estimate_until_it_is_old() {
        let mut clock = RedisClock::default();
        clock.observe(BootTime(0), BootTime(200), 100);
        clock.observe(BootTime(1_000_000), BootTime(1_050_000), 1_020_000);
        let width = |clock: &RedisClock, now| {
            let span = clock.span(0, BootTime(now));
            START_WITHIN_US - (span.latest.0 - span.earliest.0)
        };
        assert!(width(&clock, 1_050_000) < 1_000);
        clock.observe(BootTime(20_000_000), BootTime(20_050_000), 20_020_000);
        assert!(width(&clock, 20_050_000) >= 50_000);
    }

    #[test]
    fn a_clock_that_jumped_is_believed_at_once() {
        let mut clock = RedisClock::default();
        clock.observe(BootTime(0), BootTime(200), 100);
        clock.observe(BootTime(1_000), BootTime(1_300), 9_000_000);
        assert_eq!(clock.span(9_000_000, BootTime(1_300)).earliest, BootTime(1_300));
    }
}
