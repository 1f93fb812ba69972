//! The pace changes while everything runs: for all workers, within a second, and for good.

use std::{sync::Arc, time::Duration};

use restock::{
    clock::wall_us,
    demo::receiver::{Reaction, Recording},
    local::Servers,
};
use tokio::time::timeout;

use super::{
    exact::starts_between,
    place,
    shop::{Shop, until},
};

const SECOND_US: i64 = 1_000_000;

/// The most attempts in a second that began at `from_us` or later.
fn most_in_a_second_since(recording: &Recording, from_us: i64) -> usize {
    let mut starts: Vec<i64> =
        recording.deliveries().iter().map(|d| d.started_us).filter(|start| *start >= from_us).collect();
    starts.sort_unstable();
    let in_second = |first: &i64| starts.iter().filter(|start| (*first..*first + SECOND_US).contains(*start)).count();
    starts.iter().map(in_second).max().unwrap_or(0)
}

/// Lets it run for so many seconds.
async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_rate_holds_everywhere_within_a_second_and_survives_workers_and_redis() {
    let _place = place().await;
    let own = Arc::new(Servers::start().await.expect("private servers start"));
    let shop = Shop::open_on(own, 500, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    let options = ["--claim-idle-ms", "1500"];
    let mut crew = vec![shop.ready_worker(&options).await, shop.ready_worker(&options).await];
    for product in 1..=4 {
        shop.product(product, 10, 20_000).await;
        shop.enqueue(product, 0).await;
    }
    shop.receiver.wait_for(800).await;
    shop.cli(&["rate", "set", "300"]).await;
    let changed_us = wall_us();
    seconds(3).await;
    let recording = shop.receiver.recording();
    let most = most_in_a_second_since(&recording, changed_us + SECOND_US);
    let used = starts_between(&recording, changed_us + SECOND_US, changed_us + 3 * SECOND_US);
    eprintln!("after the change: at most {most} starts in a second, {used} in two");
    assert!(most <= 300 && used > 500, "{most} in a second, {used} in two");
    let rows = shop.cli_json(&["rate"]).await;
    assert_eq!((&rows[0]["name"], &rows[0]["limit"]), (&"total".into(), &300.into()));
    let shown = rows[0]["used"].as_i64().expect("a number");
    assert!((200..=300).contains(&shown), "{rows}");

    for worker in &mut crew {
        worker.kill().await.expect("it is killed");
        *worker = shop.ready_worker(&options).await;
    }
    shop.redis_command("FLUSHALL").await;
    let emptied = shop.receiver.count();
    timeout(Duration::from_secs(30), shop.receiver.wait_for(emptied + 1_200)).await.expect("it goes on");
    let most = most_in_a_second_since(&shop.receiver.recording(), changed_us + SECOND_US);
    assert!(most <= 300, "{most} starts in a second after workers and Redis were lost");
    assert_eq!(shop.rate_in_redis().await, Some(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_everything_by_the_command_holds_at_once_and_ends_so() {
    let _place = place().await;
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&[]), shop.worker(&[]));
    for product in 1..=2 {
        shop.product(product, 10, 5_000).await;
        shop.enqueue(product, 0).await;
    }
    shop.receiver.wait_for(200).await;
    shop.cli(&["pause"]).await;
    let paused_us = wall_us();
    seconds(2).await;
    let late = starts_between(&shop.receiver.recording(), paused_us + SECOND_US, paused_us + 2 * SECOND_US);
    assert_eq!(late, 0, "{late} starts a second after the pause");
    shop.cli(&["unpause"]).await;
    let before = shop.receiver.count();
    timeout(Duration::from_secs(2), shop.receiver.wait_for(before + 100)).await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_with_a_rate_of_its_own_leaves_the_rest_of_the_total_to_the_others() {
    let _place = place().await;
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("told.jsonl");
    let lines = || std::fs::read_to_string(&written).map_or(0, |text| text.lines().count());
    shop.cli(&["settings", "set", "channels=webhook,file"]).await;
    shop.cli(&["rate", "set", "webhook=100"]).await;
    let _flusher = shop.flusher();
    let _crew: Vec<_> = (0..2)
        .map(|_| {
            let mut worker = shop.role(env!("CARGO_BIN_EXE_restock-worker"));
            worker.env("RESTOCK_FILE_PATH", &written).spawn().expect("it starts")
        })
        .collect();
    for product in 1..=4 {
        shop.product(product, 10, 5_000).await;
        shop.cli(&["enqueue", &product.to_string()]).await;
    }
    until("both channels are busy", || async { shop.receiver.count() >= 100 && lines() >= 500 }).await;
    let (from_us, before) = (wall_us(), lines());
    seconds(5).await;
    let (to_us, written) = (wall_us(), lines() - before);
    let rows = shop.cli_json(&["rate"]).await;
    let recording = shop.receiver.recording();
    let slow = starts_between(&recording, from_us, to_us);
    let all = (slow + written) as f64 / (to_us - from_us) as f64 * 1e6;
    eprintln!("webhook {slow}, file {written}, {all:.0}/s together; {rows}");
    assert!(recording.starts_in_a_second_max() <= 100, "{}", recording.starts_in_a_second_max());
    // Four fifths on a quiet machine. On a loaded one it asks more seldom, but it must not starve.
    assert!(slow >= 300, "the slow channel gets three fifths of its own beside a greedy one: {slow} in 5 s");
    assert!((440.0..=501.0).contains(&all), "the total is used: {all}/s");
    assert_eq!((&rows[1]["name"], &rows[1]["limit"]), (&"webhook".into(), &100.into()));
    assert!(rows[1]["used"].as_i64().is_some_and(|used| (40..=100).contains(&used)), "{rows}");
    assert!(rows[2]["limit"].is_null() && rows[2]["used"].as_i64() > Some(300), "{rows}");

    shop.cli(&["rate", "set", "webhook=none"]).await;
    let before = shop.receiver.count();
    timeout(Duration::from_secs(4), shop.receiver.wait_for(before + 500)).await.expect("both share again");
}
