//! Whether MySQL and the receiver say the same of a round, person by person, and whether they may say so.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use restock::ids::Round;

use super::shop::{Shop, lane};

/// One person of a round's history: the user and the outcome.
pub(crate) type Told = (i64, String);

/// A worker that was killed, or from which lanes were taken.
#[derive(Debug, Clone)]
pub(crate) struct Kill {
    /// Before that it had them, µs since the epoch; of a kill the same as `at_us`.
    pub(crate) since_us: i64,
    /// When it was surely dead, or started nobody of them any more, µs since the epoch.
    pub(crate) at_us: i64,
    /// The products whose lanes it held then: those that the kill hit.
    pub(crate) products: Vec<i64>,
}

/// What must be forgiven, because nothing can prevent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Excuse<'a> {
    pub(crate) kills: &'a [Kill],
    /// The workers' window.
    pub(crate) window: usize,
}

const NONE: Excuse<'_> = Excuse { kills: &[], window: 0 };

/// What the receiver saw of one person in a round.
#[derive(Debug, Default)]
struct Seen {
    /// When its attempts started, µs since the epoch.
    starts: Vec<i64>,
    accepted: usize,
}

impl Shop {
    fn seen(&self, product: i64, round: Round) -> BTreeMap<i64, Seen> {
        let recording = self.receiver.recording();
        let mut people: BTreeMap<i64, Seen> = BTreeMap::new();
        for delivery in recording.deliveries() {
            if delivery.key.lane == lane(product) && delivery.key.round == round {
                let seen = people.entry(delivery.key.user.0).or_default();
                seen.starts.push(delivery.started_us);
                seen.accepted += usize::from(delivery.is_accepted());
            }
        }
        for seen in people.values_mut() {
            seen.starts.sort_unstable();
        }
        people
    }

    /// Who stands in the history of a round, in line order.
    pub(crate) async fn told(&self, product: i64, round: Round) -> Vec<Told> {
        sqlx::query_as(
            "SELECT user_id, CAST(outcome AS CHAR) FROM product_user_notification_history
             WHERE product_id = ? AND restock_round = ? ORDER BY place",
        )
        .bind(product)
        .bind(round.0)
        .fetch_all(&self.stores.mysql)
        .await
        .expect("MySQL answers")
    }

    /// The users in the order in which their first attempts of a round started.
    pub(crate) fn attempted(&self, product: i64, round: Round) -> Vec<i64> {
        let mut first: Vec<(i64, i64)> =
            self.seen(product, round).into_iter().map(|(user, seen)| (seen.starts[0], user)).collect();
        first.sort_unstable();
        first.into_iter().map(|(_, user)| user).collect()
    }

    /// That exactly these users were told in this round, by MySQL and by the receiver, and tried in order.
    pub(crate) async fn assert_told(&self, product: i64, round: Round, users: RangeInclusive<i64>) {
        self.assert_told_despite(product, round, users, NONE).await;
    }

    /// The same; repeats and their order are judged by [`assert_repeats`] and [`assert_order`].
    pub(crate) async fn assert_told_despite(
        &self,
        product: i64,
        round: Round,
        users: RangeInclusive<i64>,
        excuse: Excuse<'_>,
    ) {
        let expected: BTreeMap<i64, String> = users.map(|user| (user, "SENT".to_owned())).collect();
        let told = self.told(product, round).await;
        let stored: BTreeMap<i64, String> = told.iter().cloned().collect();
        assert_eq!(stored.len(), told.len(), "somebody has two outcomes in product {product}");
        let wrong: Vec<_> = differences(&expected, &stored);
        assert!(wrong.is_empty(), "product {product}: MySQL differs at users {wrong:?}");
        let seen = self.seen(product, round);
        let received: BTreeSet<i64> =
            seen.iter().filter(|(_, seen)| seen.accepted > 0).map(|(user, _)| *user).collect();
        let stored: BTreeSet<i64> = stored.into_keys().collect();
        let wrong: Vec<_> = stored.symmetric_difference(&received).collect();
        assert!(wrong.is_empty(), "product {product}: MySQL and the receiver differ at users {wrong:?}");
        let hits: Vec<&Kill> = excuse.kills.iter().filter(|kill| kill.products.contains(&product)).collect();
        if !hits.is_empty() {
            assert_repeats(product, &seen, &hits, excuse.window);
        }
        assert_order(product, &seen, &hits, excuse.window);
    }
}

fn differences(expected: &BTreeMap<i64, String>, found: &BTreeMap<i64, String>) -> Vec<i64> {
    let users: BTreeSet<i64> = expected.keys().chain(found.keys()).copied().collect();
    users.into_iter().filter(|user| expected.get(user) != found.get(user)).collect()
}

/// Who was tried again was tried before and after a kill that hit the lane; and each such kill repeats at most one
/// window of people.
fn assert_repeats(product: i64, seen: &BTreeMap<i64, Seen>, hits: &[&Kill], window: usize) {
    let mut repeated = vec![0; hits.len()];
    for (user, seen) in seen {
        for pair in seen.starts.windows(2) {
            let hit = hits.iter().position(|hit| pair[0] <= hit.at_us && hit.since_us < pair[1]);
            let hit = hit.unwrap_or_else(|| panic!("user {user} of product {product} was repeated without a kill"));
            repeated[hit] += 1;
        }
    }
    let most = repeated.iter().max().copied().unwrap_or(0);
    assert!(most <= window, "product {product}: repeats by kill {repeated:?}, more than a window of {window}");
    eprintln!("product {product}: repeats by kill that hit it {repeated:?}, window {window}");
}

/// First attempts start in line order. The receiver cannot know of an attempt that a kill cut off before it was on its
/// way. So somebody may be seen for the first time after people who stand behind them only if a kill that hit the lane
/// lies between, and only among people who were in flight together: fewer than a window of places apart.
fn assert_order(product: i64, seen: &BTreeMap<i64, Seen>, hits: &[&Kill], window: usize) {
    let firsts: Vec<(i64, i64)> = seen.iter().map(|(user, seen)| (*user, seen.starts[0])).collect();
    let mut latest = i64::MIN;
    for (at, (user, start)) in firsts.iter().enumerate() {
        if *start < latest {
            for (before, late) in firsts[..at].iter().filter(|(_, late)| late > start) {
                let cut_off = hits.iter().any(|hit| *start <= hit.at_us && hit.since_us < *late);
                let together = usize::try_from(user - before).is_ok_and(|apart| apart < window);
                assert!(cut_off && together, "product {product}: user {user} started before user {before}");
            }
        }
        latest = latest.max(*start);
    }
}
