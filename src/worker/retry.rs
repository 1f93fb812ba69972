//! When a person is tried again, and when that ends.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::{config::WorkerOptions, window::Tries};

/// The budget that one person has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryBudget {
    retry_max: u32,
    budget: Duration,
}

impl RetryBudget {
    pub(crate) fn new(options: &WorkerOptions) -> Self {
        Self { retry_max: options.retry_max, budget: Duration::from_millis(options.retry_budget_ms) }
    }

    /// The pause before the next attempt; `None` when the budget is used up, or would be before it.
    ///
    /// `tries` counts the attempt that just failed; `after` is the provider's Retry-After.
    pub(crate) fn pause(&self, tries: Tries, after: Option<Duration>, now_us: i64) -> Option<Duration> {
        if tries.count > self.retry_max {
            return None;
        }
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(usize::try_from(tries.count).unwrap_or(usize::MAX))
            .with_jitter()
            .build()
            .last()
            .unwrap_or(Duration::from_millis(200));
        let pause = after.map_or(backoff, |after| after.max(backoff));
        let spent_us = now_us - tries.first_us.unwrap_or(now_us);
        let spent = Duration::from_micros(u64::try_from(spent_us).unwrap_or(0));
        (spent + pause <= self.budget).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> RetryBudget {
        RetryBudget { retry_max: 5, budget: Duration::from_secs(30) }
    }

    #[test]
    fn pauses_grow_with_jitter_and_end_with_the_tries() {
        for (count, at_least_ms, at_most_ms) in [(1, 200, 400), (2, 400, 800), (5, 3_200, 6_400)] {
            let pause = budget().pause(Tries { count, first_us: Some(0) }, None, 0).expect("tries are left");
            let ms = pause.as_millis();
            assert!((at_least_ms..=at_most_ms).contains(&ms), "after {count} tries: {ms} ms");
        }
        assert_eq!(budget().pause(Tries { count: 6, first_us: Some(0) }, None, 0), None);
    }

    #[test]
    fn retry_after_is_honoured_and_ends_the_budget_when_it_lies_beyond() {
        let tries = Tries { count: 1, first_us: Some(0) };
        assert_eq!(budget().pause(tries, Some(Duration::from_secs(7)), 0), Some(Duration::from_secs(7)));
        assert_eq!(budget().pause(tries, Some(Duration::from_secs(31)), 0), None);
        assert_eq!(budget().pause(tries, Some(Duration::from_secs(7)), 25_000_000), None);
    }
}
