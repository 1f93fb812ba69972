//! Whether people were told in line order, as far as their decisive attempts tell. Pure: no clock, no network.

use std::collections::VecDeque;

use super::{
    Finding, Kind,
    rounds::{at, subject},
};
use crate::{
    ids::{Place, UserId},
    round::RoundState,
};

/// How far the clocks of two workers may be apart, µs.
const CLOCKS_US: i64 = 1_000_000;

/// How many, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: u64,
    first: Option<(Place, UserId)>,
}

impl Tally {
    pub(super) fn add(&mut self, place: Place, user: UserId) {
        self.count += 1;
        self.first.get_or_insert((place, user));
    }

    pub(super) fn finding(&self, kind: Kind, state: &RoundState, what: &str) -> Option<Finding> {
        let (place, user) = self.first?;
        let detail = format!("{} {what}, the first is user {user} at {}", self.count, at(Some(place)));
        Some(Finding::new(kind, subject(state), detail))
    }
}

/// Sees when somebody was told although a person more than a window ahead of them was not settled yet.
///
/// Each person's decisive attempt is the last one, so that within a window any order can be sound; but nobody is started
/// while a person is unsettled who stands a window or more ahead.
#[derive(Debug)]
pub(super) struct Order {
    window_max: usize,
    /// The decisive attempts of the last people.
    window: VecDeque<i64>,
    /// The latest attempt of those who stand further ahead.
    ahead_us: i64,
    pub(super) broken: Tally,
}

impl Order {
    pub(super) fn new(window_max: usize) -> Self {
        Self { window_max, window: VecDeque::new(), ahead_us: i64::MIN, broken: Tally::default() }
    }

    pub(super) fn see(&mut self, place: Place, user: UserId, sent_us: i64) {
        if self.window.len() == self.window_max
            && let Some(passed_us) = self.window.pop_front()
        {
            self.ahead_us = self.ahead_us.max(passed_us);
        }
        if sent_us.saturating_add(CLOCKS_US) < self.ahead_us {
            self.broken.add(place, user);
        }
        self.window.push_back(sent_us);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn broken(window_max: usize, sent: impl IntoIterator<Item = i64>) -> Vec<UserId> {
        let mut order = Order::new(window_max);
        let mut found = Vec::new();
        for (n, sent_us) in (1..).zip(sent) {
            let before = order.broken.count;
            order.see(Place(n), UserId(n), sent_us);
            found.extend((order.broken.count > before).then_some(UserId(n)));
        }
        found
    }

    #[test]
    fn who_overtook_more_than_a_window_is_named() {
        let mut sent: Vec<i64> = (1..=100).map(|n| n * SECOND).collect();
        sent[49] = 20 * SECOND;
        assert_eq!(broken(10, sent.clone()), [UserId(50)]);
        assert_eq!(broken(50, sent), []);
    }

    proptest! {
        /// A window of people is told in any order, each again and again; nobody beyond is started before the first is
        /// settled. Whatever comes of it, the order is sound.
        #[test]
        fn what_a_sliding_window_does_is_sound(
            window_max in 1..20_usize,
            delays in prop::collection::vec(0..30_i64, 1..200),
        ) {
            let mut settled: Vec<i64> = Vec::new();
            for (at, delay) in delays.iter().enumerate() {
                let free_from = at.checked_sub(window_max).map_or(0, |ahead| settled[..=ahead].iter().max().copied().unwrap_or(0));
                settled.push(free_from + delay * SECOND);
            }
            prop_assert_eq!(broken(window_max, settled), []);
        }
    }
}
