//! What must hold when parts fail.

use std::{sync::Arc, time::Duration};

use restock::{clock::wall_us, demo::receiver::Reaction, local::Servers};

use super::{
    FIRST,
    checker::{Excuse, Kill},
    crew::signal,
    proxy::Proxy,
    shop::{Shop, until},
};

/// So long an authorisation starts people after its giver is gone.
const AUTHORISATION_US: i64 = 250_000;
/// A worker's window by default.
const WINDOW: usize = 256;
/// So many are told at 500 a second while the flusher pauses.
const UNFLUSHED: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_beyond_its_lease_sends_nothing_when_it_wakes() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    let frozen = shop.worker(&["--claim-idle-ms", "1000"]);
    shop.product(42, 100, 1500).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(200).await;
    signal("-STOP", &frozen).await;
    let frozen_us = wall_us();
    let _other = shop.worker(&["--claim-idle-ms", "1000"]);
    shop.completed(42, FIRST).await;
    let before = shop.receiver.count();
    signal("-CONT", &frozen).await;
    signal("-TERM", &frozen).await;
    let mut frozen = frozen;
    assert!(frozen.wait().await.expect("it ends").success());
    // What had started before the freeze may come out of the process only now; nothing may start.
    let after: Vec<i64> = shop.receiver.recording().deliveries()[before..].iter().map(|late| late.started_us).collect();
    assert!(after.iter().all(|started_us| *started_us <= frozen_us), "frozen at {frozen_us}, it started {after:?}");
    shop.assert_told(42, FIRST, 1..=1500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_emptied_and_mysql_stopped_in_the_middle_lose_nobody() {
    let own = Arc::new(Servers::start().await.expect("private servers start"));
    let shop = Shop::open_on(own.clone(), 500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&["--claim-idle-ms", "1500"]));
    shop.product(42, 100, 3000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(500).await;
    until("MySQL knows of the round", || async { shop.round(42, FIRST).await.is_some_and(|r| r.counts.sent > 100) })
        .await;
    let flushed = shop.round(42, FIRST).await.expect("it has begun").counts.sent;
    let since_us = wall_us();
    shop.redis_command("FLUSHALL").await;
    let emptied_us = wall_us();
    let at_flush = shop.receiver.count();
    shop.receiver.wait_for(at_flush + 500).await;
    own.mysql.kill().await.expect("MySQL is killed");
    tokio::time::timeout(Duration::from_secs(15), shop.receiver.wait_for(usize::MAX)).await.expect_err("a pause");
    own.mysql.start_again().await.expect("MySQL starts again");
    shop.completed(42, FIRST).await;
    // The hold is lost with Redis' memory, and with it attempts that were not on their way yet.
    let emptied = [Kill { since_us, at_us: emptied_us + AUTHORISATION_US, products: vec![42] }];
    let excuse = Excuse { kills: &emptied, window: WINDOW + UNFLUSHED };
    shop.assert_told_despite(42, FIRST, 1..=3000, excuse).await;
    // Repeated is at most who was told, and MySQL had not heard of it: those whose attempt started before Redis was
    // emptied or on an authorisation given before, without those that MySQL had. The pace key is lost as well, so that
    // the next holder starts nobody within the second after.
    let attempts = shop.receiver.recording();
    let old_hold = attempts.deliveries().iter().filter(|d| d.started_us <= emptied_us + AUTHORISATION_US).count();
    let repeats = shop.receiver.count() - 3000;
    let most = old_hold - usize::try_from(flushed).expect("a count");
    eprintln!("{repeats} repeats; {old_hold} had been told and {flushed} of them flushed");
    assert!(repeats <= most, "{repeats} repeats, {most} may be");
    for user in 1..=3000 {
        let times = attempts.deliveries().iter().filter(|d| d.key.user.0 == user).count();
        let most = if u64::try_from(user).is_ok_and(|place| place <= flushed) { 1 } else { 2 };
        assert!(times <= most, "user {user} was told {times} times");
    }
}

/// Nothing tells that a connection to MySQL is dead but that no answer comes.
#[tokio::test(flavor = "multi_thread")]
async fn questions_that_mysql_never_answers_are_asked_again() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    // So slow that questions are under way at any moment.
    let proxy = Proxy::start(shop.mysql_address(), Duration::from_millis(100)).await;
    let mysql_url = shop.mysql_url_by(&proxy.address());
    let mut worker = shop.role(env!("CARGO_BIN_EXE_restock-worker"));
    let _roles = (shop.flusher(), worker.env("RESTOCK_MYSQL_URL", &mysql_url).spawn().expect("it starts"));
    for product in 42..46 {
        shop.product(product, 100, 600).await;
        shop.enqueue(product, 0).await;
    }
    shop.receiver.wait_for(300).await;
    proxy.mute();
    shop.receiver.wait_for(1500).await;
    proxy.mute();
    for product in 42..46 {
        shop.completed(product, FIRST).await;
        shop.assert_told(product, FIRST, 1..=600).await;
    }
    assert_eq!(shop.receiver.count(), 4 * 600, "nobody is told twice");
}

/// All leases run out while Redis is away; the owners have them again before anybody looks for silent ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_for_longer_than_a_lease_costs_nobody_a_lane() {
    let own = Arc::new(Servers::start().await.expect("private servers start"));
    let shop = Shop::open_on(own.clone(), 500, |_| Reaction::accept()).await;
    let options = ["--claim-idle-ms", "1000"];
    let _roles = (shop.flusher(), [(); 4].map(|()| shop.worker(&options)));
    for product in 1..=4 {
        shop.product(product, 100, 800).await;
        shop.enqueue(product, 0).await;
    }
    for away in 1..=3 {
        shop.receiver.wait_for(away * 500).await;
        own.redis.stop().await.expect("Redis stops");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        own.redis.start_again().await.expect("Redis starts again");
    }
    for product in 1..=4 {
        shop.completed(product, FIRST).await;
        shop.assert_told(product, FIRST, 1..=800).await;
    }
    assert_eq!(shop.receiver.count(), 4 * 800, "nobody is told twice");
}
