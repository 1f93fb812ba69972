//! An operator's hands in a running deployment: XCLAIM by redis-cli, reclaim.

use std::time::Duration;

use restock::{
    clock::wall_us,
    demo::receiver::Reaction,
    redis::{
        inspect::job_streams,
        jobs::Line,
        scripts::{Reclaimed, Silence},
    },
};

use super::{
    FIRST,
    checker::{Excuse, Kill},
    shop::{Shop, lane, webhook},
};

const PEOPLE: i64 = 1500;
const WINDOW: usize = 64;
const OPTIONS: [&str; 4] = ["--claim-idle-ms", "1500", "--window", "64"];
/// So long after it was authorised an owner that does not know of its loss may start somebody, in µs.
const AUTHORISED_US: i64 = 250_000;

/// Gives the lane's entry to `consumer`, as `redis-cli XCLAIM` does.
async fn xclaim(shop: &Shop, consumer: &str) {
    let partition = shop.stores.partition_of(lane(42).product);
    let views = shop.stores.redis.read_lanes(partition, &[lane(42)]).await.expect("Redis answers");
    let entry = views[0].as_ref().and_then(|view| view.entry.clone()).expect("an open lane has an entry");
    let line = if entry.starts_with("j:") { Line::Fresh } else { Line::Again };
    let stream = shop.stores.redis.keys().stream(partition, &webhook(), line);
    shop.redis_command(&format!("XCLAIM {stream} workers {consumer} 0 {}", &entry[2..])).await;
}

async fn assert_nothing_pending(shop: &Shop) {
    for partition in shop.stores.partitions() {
        for stream in job_streams(partition, &webhook()) {
            let pending = shop.stores.redis.pending(&stream, None, 10).await;
            assert_eq!(pending.expect("Redis answers").entries, []);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_xclaim_to_whatever_consumer_stops_no_lane() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    let mut owner = shop.worker(&OPTIONS);
    shop.product(42, 100, PEOPLE).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(200).await;
    xclaim(&shop, "nobody").await;
    shop.receiver.wait_for(500).await;
    // The owner has claimed it back by renewing, or not yet: then it dies, with the entry in nobody's hands.
    let _other = shop.worker(&OPTIONS);
    xclaim(&shop, "nobody").await;
    owner.kill().await.expect("it is killed");
    let at_us = wall_us();
    shop.completed(42, FIRST).await;
    let kills = [Kill { since_us: at_us, at_us, products: vec![42] }];
    shop.assert_told_despite(42, FIRST, 1..=PEOPLE, Excuse { kills: &kills, window: WINDOW }).await;
    assert_nothing_pending(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_reclaimed_from_a_living_owner_again_and_again_is_told_to_the_end_in_order() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&OPTIONS), shop.worker(&OPTIONS));
    shop.product(42, 100, PEOPLE).await;
    shop.enqueue(42, 0).await;
    let partition = shop.stores.partition_of(lane(42).product);
    let mut reclaims = Vec::new();
    for step in 1..=5_usize {
        shop.receiver.wait_for(step * 200).await;
        let since_us = wall_us();
        let taken = shop.stores.redis.reclaim(partition, &lane(42), Silence::AtLeast(0), false).await;
        assert!(matches!(taken, Ok(Reclaimed::Taken(_))), "{taken:?}");
        // What its owner had in flight is cut off, some of it before it was on its way.
        reclaims.push(Kill { since_us, at_us: wall_us() + AUTHORISED_US, products: vec![42] });
        tokio::time::timeout(Duration::from_secs(5), shop.receiver.wait_for(step * 200 + 100))
            .await
            .expect("another worker takes over at once, long before a lease could end");
    }
    shop.completed(42, FIRST).await;
    shop.assert_told_despite(42, FIRST, 1..=PEOPLE, Excuse { kills: &reclaims, window: WINDOW }).await;
    assert_nothing_pending(&shop).await;
}
