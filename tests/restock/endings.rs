//! How rounds and holds end: nobody may be taken for told who was not, and nobody is told twice.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::{
    demo::receiver::Reaction,
    ids::{Round, UserId},
    redis::scripts::StockChange,
    round::Status,
};

use super::{
    FIRST,
    crew::{seed, signal},
    proxy::Proxy,
    shop::Shop,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_last_in_line_is_not_taken_for_told_when_they_cannot_be() {
    for (status, blocked) in [(500, Some(UserId(3))), (404, None)] {
        let shop = Shop::open(500, move |delivery| match delivery.key.user.0 {
            3 => Reaction::status(status),
            _ => Reaction::accept(),
        })
        .await;
        let _roles = (shop.flusher(), shop.worker(&["--retry-max", "0"]));
        shop.product(42, 10, 3).await;
        shop.enqueue(42, 0).await;
        let state = shop.ended(42, FIRST).await;
        assert_eq!((state.status, state.blocked_user), (Status::CanceledByError, blocked), "answered {status}");
        shop.assert_told(42, FIRST, 1..=2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_who_cannot_be_told_the_first_in_line_blocks_the_round() {
    let shop = Shop::open(500, |delivery| match delivery.key.user.0 {
        2 => Reaction { delay: Duration::from_millis(300), ..Reaction::status(500) },
        3 => Reaction::status(500),
        _ => Reaction::accept(),
    })
    .await;
    let _roles = (shop.flusher(), shop.worker(&["--retry-max", "0"]));
    shop.product(42, 10, 4).await;
    shop.enqueue(42, 0).await;
    let state = shop.ended(42, FIRST).await;
    assert_eq!((state.blocked_user, state.cursor), (Some(UserId(2)), Some(Shop::place(1))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_in_flight_at_the_end_of_a_drain_is_told_by_the_next() {
    let hangs = AtomicBool::new(true);
    let shop = Shop::open(500, move |delivery| {
        let is_last = delivery.key.user.0 == 3;
        if is_last && hangs.swap(false, Ordering::SeqCst) { Reaction::hang() } else { Reaction::accept() }
    })
    .await;
    let _flusher = shop.flusher();
    let mut first = shop.worker(&["--drain-ms", "300"]);
    shop.product(42, 10, 3).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(3).await;
    signal("-TERM", &first).await;
    assert!(first.wait().await.expect("it ends").success());
    let _second = shop.worker(&[]);
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=3).await;
    assert_eq!(shop.receiver.count(), 4, "only the one without an answer is told again");
}

/// An answer of Redis is under way for so long that people start while it is: the round must not end without them.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_starts_while_a_sell_out_is_on_its_way_is_settled() {
    let mut shop = Shop::open(500, |_| Reaction::accept()).await;
    let proxy = Proxy::start(shop.redis_address(), Duration::from_millis(4)).await;
    shop.worker_redis_url = proxy.url();
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.product(42, 1, 3000).await;
    for round in 1..=12_u32 {
        let before = shop.receiver.count();
        shop.enqueue(42, 1).await;
        shop.receiver.wait_for(before + 25).await;
        shop.stock(42, StockChange::Set(0)).await;
        shop.ended(42, Round(round)).await;
        let mut told: Vec<i64> = shop.told(42, Round(round)).await.into_iter().map(|(user, _)| user).collect();
        told.sort_unstable();
        assert_eq!(shop.attempted(42, Round(round)), told, "whoever got a message in round {round} stands in MySQL");
    }
    let recording = shop.receiver.recording();
    let people: std::collections::HashSet<_> = recording.deliveries().iter().map(|d| d.key.user).collect();
    assert_eq!(people.len(), recording.deliveries().len(), "nobody is told in two rounds");
}

/// A process that is stopped for about as long as a permit lasts finds some permits lapsed and others not.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stutters_keeps_the_order() {
    let mut random = StdRng::seed_from_u64(seed());
    let shop = Shop::open(2000, |_| Reaction::accept()).await;
    let worker = shop.worker(&[]);
    let _flusher = shop.flusher();
    let people = 6000;
    shop.product(42, 10, people).await;
    shop.enqueue(42, 0).await;
    for step in 1..=100_usize {
        shop.receiver.wait_for(step * 40).await;
        signal("-STOP", &worker).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(2..30))).await;
        signal("-CONT", &worker).await;
    }
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=people).await;
    assert_eq!(shop.receiver.count(), people as usize);
}

/// The entry of the next round comes with the answer that ends the one before; it must not wait for a lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_waited_starts_as_soon_as_the_one_before_ends() {
    let slow = Reaction::accept().after(Duration::from_millis(20));
    let shop = Shop::open(0, move |_| slow).await;
    let _roles = (shop.flusher(), shop.worker(&["--claim-idle-ms", "30000"]));
    let people = 3;
    shop.product(42, 10, people).await;
    let start = std::time::Instant::now();
    let mut last = shop.enqueue(42, 0).await;
    for ended in 0..20 {
        let told = shop.receiver.wait_for(ended * people as usize + 1);
        tokio::time::timeout(Duration::from_secs(15), told).await.expect("a round that waited did not start");
        last = shop.enqueue(42, 0).await;
    }
    shop.completed(42, last).await;
    assert!(start.elapsed() < Duration::from_secs(15), "it waited for a lease: {:?}", start.elapsed());
}

/// Redis learns of the same hold through connections that break again and again.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_with_their_connection_count_once() {
    let mut shop = Shop::open(500, |_| Reaction::accept()).await;
    let proxy = Proxy::start(shop.redis_address(), Duration::from_millis(3)).await;
    shop.worker_redis_url = proxy.url();
    let _roles = (shop.flusher(), shop.worker(&["--claim-idle-ms", "20000"]));
    shop.product(42, 10, 2000).await;
    shop.enqueue(42, 0).await;
    let mut cuts = 0;
    while shop.round(42, FIRST).await.is_none_or(|state| state.status.is_open()) {
        let next = shop.receiver.count() + 100;
        let _ = tokio::time::timeout(Duration::from_secs(1), shop.receiver.wait_for(next)).await;
        proxy.cut();
        cuts += 1;
        assert!(cuts < 120, "it makes no headway");
    }
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=2000).await;
    assert_eq!(shop.receiver.count(), 2000, "nobody is told twice after {cuts} broken connections");
}

/// Nothing tells that such a connection is dead but that no answer comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_open_and_dead_is_given_up_and_nobody_is_told_twice() {
    let mut shop = Shop::open(500, |_| Reaction::accept()).await;
    let proxy = Proxy::start(shop.redis_address(), Duration::ZERO).await;
    shop.worker_redis_url = proxy.url();
    let _roles = (shop.flusher(), shop.worker(&["--claim-idle-ms", "60000"]));
    shop.product(42, 10, 1500).await;
    shop.enqueue(42, 0).await;
    for told in [200, 700] {
        let reached = tokio::time::timeout(Duration::from_secs(20), shop.receiver.wait_for(told));
        reached.await.expect("it did not connect again");
        proxy.mute();
    }
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=1500).await;
    assert_eq!(shop.receiver.count(), 1500, "nobody is told twice");
}
