//! A primary with a replica, behind three sentinels.

use restock::{
    clock::wall_us,
    local::{LocalSentinels, fresh_namespace},
};

use super::shop::{Shop, until};

const PEOPLE: i64 = 1500;

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinels_everything_runs_with_only_another_url() {
    let redis = LocalSentinels::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), fresh_namespace(), 500).await;
    let _roles = (shop.flusher(), shop.worker());
    shop.product(42, 30).await;
    let told = shop.done(&["enqueue", "42", "--wait"]).await;
    assert!(told.contains("COMPLETED"), "{told}");
    shop.completed(42).await;
    assert_eq!(shop.told(42, 30).await, 0);
    for command in [["status", "42"], ["verify", "42"], ["pending", "--output=json"], ["rate", "--output=json"]] {
        shop.done(&command).await;
    }
    let sheet = shop.done(&["doctor", "--json"]).await;
    assert!(sheet.contains("a primary with 1 replicas"), "{sheet}");
}

/// The replica has not what the primary accepted in its last moments, and MySQL has some of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lacks_the_last_writes_takes_over_and_nobody_is_lost() {
    let redis = LocalSentinels::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), fresh_namespace(), 500).await;
    let _roles = (shop.flusher(), shop.worker());
    shop.product(1, PEOPLE).await;
    shop.done(&["enqueue", "1"]).await;
    shop.receiver.wait_for(200).await;
    let (primary, replica) = redis.pair().await.expect("a sentinel answers");
    primary.cut_off(replica).await.expect("both answer");
    let cut = shop.standing(1).await;
    shop.receiver.wait_for(cut.started + 200).await;
    primary.kill().await.expect("it is killed");
    let killed_us = wall_us();
    let killed = shop.standing(1).await;
    redis.replaced(primary).await.expect("the replica is promoted");
    let promoted_us = wall_us();
    shop.completed(1).await;
    let on_us = shop.first_start_after(1, killed_us + 500_000).expect("it went on");
    let repeated = shop.told(1, PEOPLE).await;
    eprintln!(
        "cut off at {cut:?}, killed at {killed:?}; promoted after {} ms, on after {} ms; {repeated} told twice",
        (promoted_us - killed_us) / 1000,
        (on_us - killed_us) / 1000
    );
    assert!(repeated <= killed.started - killed.recorded + 256, "{repeated} of those whom MySQL did not have");
    until("nothing is left to be found", || async { shop.command(&["verify"]).await.status.success() }).await;
}
