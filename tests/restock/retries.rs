//! Telling those again who FAILED.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use restock::{
    demo::receiver::{Delivery, Reaction},
    ids::Round,
    local::Servers,
    redis::scripts::{Before, Resumed, StockChange},
    round::{Counts, Status},
};

use super::shop::{Shop, lane, until};

const FIRST: Round = Round(1);

/// A provider that refuses every tenth person for good until it is mended.
fn refuse_every_tenth() -> (Arc<AtomicBool>, impl Fn(&Delivery) -> Reaction + Send + Sync + 'static) {
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = is_mended.clone();
    let react = move |delivery: &Delivery| match delivery.key.user.0 % 10 == 0 && !mended.load(Ordering::Acquire) {
        true => Reaction::status(410),
        false => Reaction::accept(),
    };
    (is_mended, react)
}

async fn shop() -> (Shop, Arc<AtomicBool>) {
    let (is_mended, react) = refuse_every_tenth();
    (Shop::open(500, react).await, is_mended)
}

async fn retry_failed(shop: &Shop) {
    let partition = shop.stores.partition_of(lane(42).product);
    until("Redis takes it", || async {
        match shop.stores.redis.resume(partition, &lane(42), Before::RetryFailed).await.expect("Redis answers") {
            Resumed::Queued(round) => round == FIRST,
            Resumed::Unchecked => shop.stores.check(lane(42).product).await.is_err(),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

async fn until_retried(shop: &Shop, failed: u64) {
    until("the failed were told again", || async {
        shop.round(42, FIRST).await.is_some_and(|r| r.status == Status::Completed && r.counts.failed == failed)
    })
    .await;
}

/// Users of the attempts that arrived from the `first`-th on, in the order in which they started.
fn attempts(shop: &Shop, first: usize) -> Vec<i64> {
    let recording = shop.receiver.recording();
    let mut deliveries: Vec<&Delivery> = recording.deliveries()[first..].iter().collect();
    deliveries.sort_by_key(|delivery| delivery.started_us);
    deliveries.into_iter().map(|delivery| delivery.key.user.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_completed_round_only_those_who_failed_and_still_want_to_hear_are_told_again() {
    let (shop, is_mended) = shop().await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.product(42, 3, 200).await;
    shop.enqueue(42, 0).await;
    shop.completed(42, FIRST).await;
    let state = shop.round(42, FIRST).await.expect("a row");
    assert_eq!(state.counts, Counts { sent: 180, failed: 20, ..Counts::default() });

    shop.execute("UPDATE product_user_notification SET is_active = 0 WHERE product_id = 42 AND user_id = 30").await;
    is_mended.store(true, Ordering::Release);
    let before = shop.receiver.count();
    retry_failed(&shop).await;
    until_retried(&shop, 1).await;
    let expected: Vec<i64> = (1..=20).map(|n| n * 10).filter(|user| *user != 30).collect();
    assert_eq!(attempts(&shop, before), expected);
    let after = shop.round(42, FIRST).await.expect("a row");
    assert_eq!(after.counts, Counts { sent: 199, failed: 1, ..Counts::default() });
    assert_eq!((after.cursor, after.last_user, after.retry_of), (state.cursor, state.last_user, None));
    let told = shop.told(42, FIRST).await;
    assert_eq!(told.iter().filter(|(_, outcome)| outcome == "SENT").count(), 199);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_sold_out_tells_its_failed_again_and_then_goes_on() {
    let (shop, is_mended) = shop().await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.product(42, 3, 400).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(150).await;
    shop.stock(42, StockChange::Set(0)).await;
    let state = shop.ended(42, FIRST).await;
    assert_eq!(state.status, Status::CanceledBySoldOut);
    is_mended.store(true, Ordering::Release);
    shop.stock(42, StockChange::Set(5)).await;
    let (before, last) = (shop.receiver.count(), state.last_user.expect("somebody was told").0);
    retry_failed(&shop).await;
    until_retried(&shop, 0).await;
    let expected: Vec<i64> = (1..=last).filter(|user| user % 10 == 0).chain(last + 1..=400).collect();
    assert_eq!(attempts(&shop, before), expected);
    let told = shop.told(42, FIRST).await;
    assert_eq!((told.len(), told.iter().all(|(_, outcome)| outcome == "SENT")), (400, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn telling_the_failed_again_survives_a_killed_worker_and_an_emptied_redis() {
    let own = Arc::new(Servers::start().await.expect("private servers start"));
    let (is_mended, react) = refuse_every_tenth();
    let shop = Shop::open_on(own, 500, react).await;
    let _flusher = shop.flusher();
    let options = ["--claim-idle-ms", "1000", "--window", "16"];
    let mut worker = shop.worker(&options);
    shop.product(42, 3, 2_000).await;
    shop.enqueue(42, 0).await;
    shop.completed(42, FIRST).await;
    is_mended.store(true, Ordering::Release);
    let before = shop.receiver.count();
    retry_failed(&shop).await;
    shop.receiver.wait_for(before + 50).await;
    worker.kill().await.expect("it is killed");
    let _next = shop.worker(&options);
    shop.receiver.wait_for(before + 110).await;
    shop.redis_command("FLUSHALL").await;
    until_retried(&shop, 0).await;
    let again = attempts(&shop, before);
    let told: BTreeSet<i64> = again.iter().copied().collect();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), (1..=200).map(|n| n * 10).collect::<Vec<_>>());
    // A window for the kill; a window and what MySQL had not yet at 500/s for the loss of Redis.
    assert!(again.len() <= 200 + 16 + 16 + 100, "{} attempts", again.len());
}
