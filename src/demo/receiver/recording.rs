//! What a record of deliveries says: who was told, how often, in which order, how fast.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Delivery, DeliveryKey};
use crate::ids::{LaneId, Round, UserId};

const SECOND_US: i64 = 1_000_000;

/// Deliveries in the order of their arrival.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    deliveries: Vec<Delivery>,
}

/// One round of one lane, as the receiver saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundSummary {
    /// Requests, retries and repeats included.
    pub attempts: usize,
    /// Different people for whom there was a request.
    pub people: usize,
    /// Different people for whom a request was answered with 2xx.
    pub told: usize,
    /// Requests answered with 2xx for somebody who had been told already.
    pub repeats: usize,
}

/// First attempts compared with the line in which people stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderCheck {
    /// Different people of the line for whom there was an attempt.
    pub attempted: usize,
    /// Pairs of people whose first attempts started the other way round than they stand in line. 0 means in order;
    /// two attempts that started in the same microsecond are in order.
    pub out_of_order_pairs: u64,
    /// People in the line without any attempt.
    pub missing: usize,
    /// People with an attempt who are not in the line.
    pub unexpected: usize,
}

impl Recording {
    pub(super) fn new(deliveries: Vec<Delivery>) -> Self {
        Self { deliveries }
    }

    /// The deliveries that started before a moment, and those since, without people who had one before.
    #[must_use]
    pub fn split(self, at_us: i64) -> (Self, Self) {
        let (before, mut since): (Vec<_>, Vec<_>) = self.deliveries.into_iter().partition(|d| d.started_us < at_us);
        let seen: HashSet<&DeliveryKey> = before.iter().map(|delivery| &delivery.key).collect();
        since.retain(|delivery| !seen.contains(&delivery.key));
        drop(seen);
        (Self::new(before), Self::new(since))
    }

    /// The deliveries themselves.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// A summary of each round of each lane.
    #[must_use]
    pub fn rounds(&self) -> BTreeMap<(LaneId, Round), RoundSummary> {
        let mut rounds: BTreeMap<(LaneId, Round), RoundSummary> = BTreeMap::new();
        let (mut people, mut told) = (HashSet::<&DeliveryKey>::new(), HashSet::<&DeliveryKey>::new());
        for delivery in &self.deliveries {
            let key = &delivery.key;
            let round = rounds.entry((key.lane.clone(), key.round)).or_default();
            round.attempts += 1;
            round.people += usize::from(people.insert(key));
            if delivery.is_accepted() {
                let first = told.insert(key);
                round.told += usize::from(first);
                round.repeats += usize::from(!first);
            }
        }
        rounds
    }

    /// A summary of one round; all zero when nothing came.
    #[must_use]
    pub fn round(&self, lane: &LaneId, round: Round) -> RoundSummary {
        self.rounds().remove(&(lane.clone(), round)).unwrap_or_default()
    }

    /// Compares the first attempts of a round with the line, by when the sender started them.
    #[must_use]
    pub fn order(&self, lane: &LaneId, round: Round, line: &[UserId]) -> OrderCheck {
        let mut first_us: HashMap<UserId, i64> = HashMap::new();
        for delivery in self.deliveries.iter().filter(|d| d.key.round == round && d.key.lane == *lane) {
            let first = first_us.entry(delivery.key.user).or_insert(delivery.started_us);
            *first = delivery.started_us.min(*first);
        }
        let mut starts: Vec<i64> = line.iter().filter_map(|user| first_us.remove(user)).collect();
        OrderCheck {
            attempted: starts.len(),
            missing: line.len() - starts.len(),
            unexpected: first_us.len(),
            out_of_order_pairs: sort_counting_inversions(&mut starts),
        }
    }

    /// The most attempts that the sender started in any half-open second `[t, t + 1 s)`.
    #[must_use]
    pub fn starts_in_a_second_max(&self) -> usize {
        most_in_a_second(self.deliveries.iter().map(|delivery| delivery.started_us).collect())
    }

    /// The most requests that arrived in any half-open second `[t, t + 1 s)`.
    #[must_use]
    pub fn arrivals_in_a_second_max(&self) -> usize {
        most_in_a_second(self.deliveries.iter().map(|delivery| delivery.arrived_us).collect())
    }

    /// The first and the last arrival, in µs since the epoch.
    #[must_use]
    pub fn span_us(&self) -> Option<(i64, i64)> {
        let arrivals = || self.deliveries.iter().map(|delivery| delivery.arrived_us);
        arrivals().min().zip(arrivals().max())
    }
}

fn most_in_a_second(mut times_us: Vec<i64>) -> usize {
    times_us.sort_unstable();
    let mut start = 0;
    let mut most = 0;
    for (end, time_us) in times_us.iter().enumerate() {
        while time_us - times_us[start] >= SECOND_US {
            start += 1;
        }
        most = most.max(end - start + 1);
    }
    most
}

/// Merge sort: whenever an element of the right half goes first, it overtakes all that remain of the left half.
fn sort_counting_inversions(values: &mut [i64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let (left, right) = values.split_at_mut(values.len() / 2);
    let mut inversions = sort_counting_inversions(left) + sort_counting_inversions(right);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() && r < right.len() {
        if right[r] < left[l] {
            inversions += (left.len() - l) as u64;
            merged.push(right[r]);
            r += 1;
        } else {
            merged.push(left[l]);
            l += 1;
        }
    }
    merged.extend_from_slice(&left[l..]);
    merged.extend_from_slice(&right[r..]);
    values.copy_from_slice(&merged);
    inversions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delivery(key: &str, started_us: i64, status: Option<u16>) -> Delivery {
        Delivery {
            key: key.parse().unwrap(),
            arrived_us: started_us + 500,
            started_us,
            timestamp: None,
            signature: None,
            body: Default::default(),
            status,
        }
    }

    fn lane() -> LaneId {
        "7-1-webhook-1".parse::<DeliveryKey>().unwrap().lane
    }

    fn line(users: &[i64]) -> Vec<UserId> {
        users.iter().copied().map(UserId).collect()
    }

    #[test]
    fn a_key_has_four_valid_parts() {
        let key: DeliveryKey = "42-3-webhook-1001".parse().unwrap();
        assert_eq!((key.lane.to_string().as_str(), key.round, key.user), ("42/webhook", Round(3), UserId(1001)));
        for bad in ["", "42-3-webhook", "42-3-webhook-1001-1", "x-3-webhook-1", "42-3-Web-1"] {
            assert!(bad.parse::<DeliveryKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_person_is_told_by_the_first_2xx_and_repeated_by_the_next() {
        let recording = Recording::new(vec![
            delivery("7-1-webhook-1", 1, Some(503)),
            delivery("7-1-webhook-1", 2, Some(200)),
            delivery("7-1-webhook-1", 3, Some(204)),
            delivery("7-1-webhook-2", 4, None),
            delivery("7-2-webhook-1", 5, Some(200)),
        ]);
        let summary = recording.round(&lane(), Round(1));
        assert_eq!(summary, RoundSummary { attempts: 4, people: 2, told: 1, repeats: 1 });
        assert_eq!(recording.rounds().len(), 2);
        assert_eq!(recording.round(&lane(), Round(3)), RoundSummary::default());
        assert_eq!(recording.span_us(), Some((501, 505)));
    }

    #[test]
    fn order_looks_at_first_attempts_by_their_start() {
        let recording = Recording::new(vec![
            delivery("7-1-webhook-2", 20, Some(200)),
            delivery("7-1-webhook-1", 10, Some(503)),
            delivery("7-1-webhook-1", 90, Some(200)),
            delivery("7-1-webhook-9", 30, Some(200)),
        ]);
        let in_order = recording.order(&lane(), Round(1), &line(&[1, 2, 3]));
        assert_eq!(in_order, OrderCheck { attempted: 2, out_of_order_pairs: 0, missing: 1, unexpected: 1 });
        assert_eq!(recording.order(&lane(), Round(1), &line(&[9, 2, 1])).out_of_order_pairs, 3);
    }

    #[test]
    fn who_was_tried_before_a_moment_is_not_tried_first_after_it() {
        let keys = [("7-1-webhook-1", 10), ("7-1-webhook-3", 20), ("7-1-webhook-2", 30), ("7-1-webhook-3", 31)];
        let all = keys.map(|(key, at_us)| delivery(key, at_us, Some(200))).to_vec();
        let (before, since) = Recording::new(all).split(30);
        let users = |of: &Recording| of.deliveries().iter().map(|d| d.key.user.0).collect::<Vec<_>>();
        assert_eq!((users(&before), users(&since)), (vec![1, 3], vec![2]));
    }

    #[test]
    fn a_second_is_half_open() {
        assert_eq!(most_in_a_second(vec![]), 0);
        assert_eq!(most_in_a_second(vec![0, 1_000_000]), 1);
        assert_eq!(most_in_a_second(vec![999_999, 0, 1_500_000, 1_999_998]), 3);
    }

    proptest! {
        #[test]
        fn inversions_are_the_pairs_the_wrong_way_round(mut values in prop::collection::vec(0_i64..50, 0..60)) {
            let pairs = (0..values.len()).flat_map(|a| (a + 1..values.len()).map(move |b| (a, b)));
            let expected = pairs.filter(|&(a, b)| values[a] > values[b]).count() as u64;
            let mut sorted = values.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sort_counting_inversions(&mut values), expected);
            prop_assert_eq!(values, sorted);
        }
    }
}
