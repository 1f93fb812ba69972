//! What must hold when parts fail.

use std::{sync::Arc, time::Duration};

use restock::{clock::wall_us, demo::receiver::Reaction, ids::Round, local::Servers};
use tokio::process::Command;

use super::shop::{Shop, until};

const FIRST: Round = Round(1);

async fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().await.expect("kill runs");
    assert!(sent.success(), "kill {name} {pid}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_everybody_is_told_in_order() {
    let (products, people, workers, window) = (4_i64, 5000_i64, 4, 64);
    let options = ["--claim-idle-ms", "1500", "--window", "64", "--attempts-max", "50"];
    let shop = Shop::open(2000, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    for product in 1..=products {
        shop.product(product, 100, people).await;
        shop.enqueue(product, 0).await;
    }
    let mut crew: Vec<_> = (0..workers).map(|_| shop.worker(&options)).collect();
    let mut kills = 0;
    for step in 1..=9_usize {
        shop.receiver.wait_for(step * 2000).await;
        let at = rand::random_range(0..crew.len());
        crew[at].kill().await.expect("it is killed");
        crew[at] = shop.worker(&options);
        kills += 1;
    }
    for product in 1..=products {
        shop.completed(product, FIRST).await;
        shop.assert_told(product, FIRST, 1..=people).await;
        let attempted = shop.attempted(product, FIRST);
        assert!(attempted.is_sorted(), "first attempts of product {product} start in order");
    }
    let repeats = shop.receiver.count() as i64 - products * people;
    assert!(repeats <= kills * window * products, "{repeats} repeats after {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_beyond_its_lease_sends_nothing_when_it_wakes() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    let frozen = shop.worker(&["--claim-idle-ms", "1000"]);
    shop.product(42, 100, 1500).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(200).await;
    let pid = frozen.id().expect("it runs");
    signal("-STOP", pid).await;
    let frozen_us = wall_us();
    let _other = shop.worker(&["--claim-idle-ms", "1000"]);
    shop.completed(42, FIRST).await;
    let before = shop.receiver.count();
    signal("-CONT", pid).await;
    signal("-TERM", pid).await;
    let mut frozen = frozen;
    assert!(frozen.wait().await.expect("it ends").success());
    assert_eq!(shop.receiver.count(), before, "it sent something after it woke at {frozen_us}");
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
    shop.redis_command("FLUSHALL").await;
    let at_flush = shop.receiver.count();
    shop.receiver.wait_for(at_flush + 500).await;
    own.mysql.kill().await.expect("MySQL is killed");
    tokio::time::timeout(Duration::from_secs(15), shop.receiver.wait_for(usize::MAX)).await.expect_err("a pause");
    own.mysql.start_again().await.expect("MySQL starts again");
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=3000).await;
    let repeats = shop.receiver.count() - 3000;
    assert!(repeats <= 256 + 500, "{repeats} repeats");
}
