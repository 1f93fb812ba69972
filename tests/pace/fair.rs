//! A small round does not wait behind large ones (rules 8 and 26).

use std::time::Duration;

use futures_util::{StreamExt, stream};
use restock::{clock::wall_us, demo::receiver::Reaction};
use tokio::time::timeout;

use super::{
    place,
    shop::{Shop, lane, until},
};

const SMALL: i64 = 10;

impl Shop {
    /// Products `first..first + products`, each with the users 1 to `people` in line; fast for millions.
    async fn many_products(&self, first: i64, products: i64, people: i64) {
        let digit = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL
            SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
        let number = "a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d";
        let numbers = format!("{digit} a, {digit} b, {digit} c, {digit} e, {digit} f, {digit} g");
        self.execute(&format!(
            "INSERT INTO product (id, name, stock) SELECT {first} + {number}, 'a product', 10 FROM {numbers}
             WHERE {number} < {products} ORDER BY 1"
        ))
        .await;
        self.execute(&format!(
            "INSERT INTO product_user_notification (product_id, created_at, user_id)
             SELECT p.id, '2024-01-01' + INTERVAL n.n MICROSECOND, n.n
             FROM product p JOIN (SELECT 1 + {number} n FROM {numbers} WHERE {number} < {people}) n
             WHERE p.id >= {first} AND p.id < {first} + {products} ORDER BY 1, 2"
        ))
        .await;
    }

    /// When the last attempt for somebody in the line of a product arrived, once there was one for everybody.
    fn told_us(&self, product: i64, people: i64) -> Option<i64> {
        let recording = self.receiver.recording();
        let arrivals: Vec<i64> =
            recording.deliveries().iter().filter(|d| d.key.lane == lane(product)).map(|d| d.arrived_us).collect();
        (arrivals.len() as i64 >= people).then(|| arrivals.into_iter().max()).flatten()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_small_rounds_are_told_within_two_seconds_beside_one_of_a_million() {
    let _place = place().await;
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    let _crew = (shop.ready_worker(&[]).await, shop.ready_worker(&[]).await);
    shop.many_products(1, 1, 1_000_000).await;
    shop.many_products(101, 40, SMALL).await;
    shop.enqueue(1, 0).await;
    shop.receiver.wait_for(500).await;
    let enqueue = async |product| {
        let from_us = wall_us();
        shop.enqueue(product, 0).await;
        (product, from_us)
    };
    let enqueued: Vec<(i64, i64)> = stream::iter(101..=140).map(enqueue).buffer_unordered(40).collect().await;
    until("all small rounds are told", || async { (101..=140).all(|product| shop.told_us(product, SMALL).is_some()) })
        .await;
    let mut took_ms: Vec<i64> = enqueued
        .into_iter()
        .map(|(product, from_us)| (shop.told_us(product, SMALL).unwrap_or(i64::MAX) - from_us) / 1000)
        .collect();
    took_ms.sort_unstable();
    eprintln!("forty small rounds beside a million: {} to {} ms, median {}", took_ms[0], took_ms[39], took_ms[20]);
    assert!(took_ms[39] <= 2_000, "{took_ms:?}");
    let before = shop.receiver.count();
    timeout(Duration::from_secs(3), shop.receiver.wait_for(before + 500)).await.expect("the large one goes on");
    let most = shop.receiver.recording().starts_in_a_second_max();
    assert!(most <= 500, "{most} starts in a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_round_is_told_within_five_seconds_among_a_thousand_large_ones() {
    let _place = place().await;
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    let _crew = (shop.ready_worker(&[]).await, shop.ready_worker(&[]).await);
    shop.many_products(1, 1_000, 200).await;
    shop.many_products(2_001, 4, SMALL).await;
    let enqueues = stream::iter(1..=1_000).map(|product| shop.enqueue(product, 0));
    enqueues.buffer_unordered(8).for_each(|_| async {}).await;
    let started_us = wall_us();
    let mut took_ms = Vec::new();
    for product in 2_001..=2_004 {
        let from_us = wall_us();
        shop.enqueue(product, 0).await;
        until("the small round is told", || async { shop.told_us(product, SMALL).is_some() }).await;
        let told_us = shop.told_us(product, SMALL).unwrap_or(i64::MAX);
        took_ms.push(((from_us - started_us) / 1000, (told_us - from_us) / 1000));
        let lanes: std::collections::HashSet<i64> =
            shop.receiver.recording().deliveries().iter().map(|d| d.key.lane.product.0).collect();
        eprintln!(
            "a small one among a thousand, told after {} ms; lanes begun so far: {}",
            (told_us - from_us) / 1000,
            lanes.len()
        );
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(took_ms.iter().all(|(_, took)| *took <= 5_000), "enqueued at, told after, ms: {took_ms:?}");
}
