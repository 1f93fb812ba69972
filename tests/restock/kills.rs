//! A worker is killed each second.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::{clock::wall_us, demo::receiver::Reaction};
use tokio::process::Child;

use super::{
    FIRST,
    checker::{Excuse, Kill},
    crew::seed,
    shop::{Shop, lane},
};

const PRODUCTS: i64 = 4;
const PEOPLE: i64 = 5000;
const WORKERS: usize = 4;
const WINDOW: usize = 64;

/// The products whose lanes this process holds.
async fn held_by(shop: &Shop, pid: u32) -> Vec<i64> {
    let mut held = Vec::new();
    for product in 1..=PRODUCTS {
        let partition = shop.stores.partition_of(lane(product).product);
        let views = shop.stores.redis.read_lanes(partition, &[lane(product)]).await.expect("Redis answers");
        let owner = views.into_iter().flatten().find_map(|view| view.owner);
        if owner.is_some_and(|owner| owner.starts_with(&format!("{pid}-"))) {
            held.push(product);
        }
    }
    held
}

/// Which worker of the crew holds most lanes.
async fn busiest(shop: &Shop, crew: &[Child]) -> usize {
    let mut most = (0, 0);
    for (at, worker) in crew.iter().enumerate() {
        let held = held_by(shop, worker.id().expect("it runs")).await.len();
        if held > most.0 {
            most = (held, at);
        }
    }
    most.1
}

async fn all_have_ended(shop: &Shop) -> bool {
    for product in 1..=PRODUCTS {
        if shop.round(product, FIRST).await.is_none_or(|state| state.status.is_open()) {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_everybody_is_told_in_order() {
    let options = ["--claim-idle-ms", "1500", "--window", &WINDOW.to_string(), "--attempts-max", "50"];
    let mut random = StdRng::seed_from_u64(seed());
    let shop = Shop::open(2000, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    for product in 1..=PRODUCTS {
        shop.product(product, 100, PEOPLE).await;
        shop.enqueue(product, 0).await;
    }
    let mut crew: Vec<_> = (0..WORKERS).map(|_| shop.worker(&options)).collect();
    let mut kills = Vec::new();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    while !all_have_ended(&shop).await {
        second.tick().await;
        // Two kills of idle workers in a row show nothing: the next one is of a worker that has lanes.
        let idle = kills.iter().rev().take(2).filter(|kill: &&Kill| kill.products.is_empty()).count() == 2;
        let victim = if idle { busiest(&shop, &crew).await } else { random.random_range(0..WORKERS) };
        let pid = crew[victim].id().expect("it runs");
        crew[victim].kill().await.expect("it is killed");
        // The dead keep their lanes until the leases run out, so that Redis still says whose they were.
        let at_us = wall_us();
        kills.push(Kill { since_us: at_us, at_us, products: held_by(&shop, pid).await });
        crew[victim] = shop.worker(&options);
        assert!(kills.len() < 120, "it makes no headway");
    }
    let hits: usize = kills.iter().map(|kill| kill.products.len()).sum();
    eprintln!("{} kills, which hit {hits} lanes", kills.len());
    assert!(hits > 0, "no kill hit a lane: this test has shown nothing");
    let excuse = Excuse { kills: &kills, window: WINDOW };
    for product in 1..=PRODUCTS {
        shop.completed(product, FIRST).await;
        shop.assert_told_despite(product, FIRST, 1..=PEOPLE, excuse).await;
    }
    let most = shop.receiver.recording().starts_in_a_second_max();
    assert!(most <= 2000, "{most} starts in a second");
}
