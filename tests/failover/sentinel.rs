//! A primary with a replica, behind three sentinels.

use restock::{
    clock::wall_us,
    ids::Partition,
    local::{LocalSentinels, fresh_namespace},
    redis::{Patience, Redis},
};

use tokio::process::Child;

use super::{
    shop::{Shop, until},
    turn,
};

const PEOPLE: i64 = 1500;

/// A round of product 1 that has begun, and the processes that work it until they are dropped.
pub(crate) async fn under_way(people: i64) -> (LocalSentinels, Shop, [Child; 2]) {
    let redis = LocalSentinels::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), fresh_namespace(), 500).await;
    let roles = [shop.flusher(), shop.worker()];
    shop.product(1, people).await;
    shop.done(&["enqueue", "1"]).await;
    shop.receiver.wait_for(200).await;
    (redis, shop, roles)
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinels_everything_runs_with_only_another_url() {
    let _turn = turn().await;
    let redis = LocalSentinels::start_with_password("hush").await.expect("the servers start");
    let shop = Shop::open(redis.url(), fresh_namespace(), 500).await;
    let _roles = (shop.flusher(), shop.worker());
    shop.product(42, 30).await;
    shop.done(&["enqueue", "42", "--wait"]).await;
    shop.completed(42).await;
    assert_eq!(shop.told(42, 30).await, 0);
    shop.commands_work().await;
    let sheet = shop.done(&["doctor", "--json"]).await;
    assert!(sheet.contains("a primary with 1 replicas"), "{sheet}");
}

/// The replica has not what the primary accepted in its last moments, and MySQL has some of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lacks_the_last_writes_takes_over_and_nobody_is_lost() {
    let _turn = turn().await;
    let (redis, shop, _roles) = under_way(PEOPLE).await;
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
    let repeated = shop.told(1, PEOPLE).await;
    let after = |us: i64| (us - killed_us) / 1000;
    let on_us = shop.first_start_after(1, killed_us + 500_000).expect("it went on");
    eprintln!("cut off at {cut:?}, killed at {killed:?}, {repeated} told twice");
    eprintln!("promoted after {} ms, on after {} ms", after(promoted_us), after(on_us));
    assert!(repeated <= killed.in_doubt(), "{repeated} told twice, {} were in doubt", killed.in_doubt());
    shop.verified().await;
}

/// The old primary wakes among workers that it still takes for its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_freezes_is_replaced_and_nobody_listens_to_it_when_it_wakes() {
    let _turn = turn().await;
    let (redis, shop, _roles) = under_way(PEOPLE).await;
    let (primary, _) = redis.pair().await.expect("a sentinel answers");
    primary.freeze().await.expect("it runs");
    let frozen_us = wall_us();
    let frozen = shop.standing(1).await;
    redis.replaced(primary).await.expect("the replica is promoted");
    until("the round goes on", || async { shop.first_start_after(1, frozen_us + 500_000).is_some() }).await;
    primary.thaw().await.expect("it runs");
    shop.completed(1).await;
    let repeated = shop.told(1, PEOPLE).await;
    let on_us = shop.first_start_after(1, frozen_us + 500_000).expect("it went on");
    eprintln!("frozen at {frozen:?}, on after {} ms, {repeated} told twice", (on_us - frozen_us) / 1000);
    assert!(repeated <= frozen.in_doubt(), "{repeated} told twice, {} were in doubt", frozen.in_doubt());
    shop.verified().await;
}

/// Once connected, the client knows the sentinels that the first one named, which does not name itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_of_the_url_is_asked_again_when_those_it_named_are_gone() {
    let _turn = turn().await;
    let redis = LocalSentinels::start().await.expect("the servers start");
    let client =
        Redis::connect(&redis.url().into(), &fresh_namespace(), Patience::Endless).await.expect("Redis answers");
    for spared in 0..redis.sentinels().len() {
        for sentinel in redis.sentinels().iter().enumerate().filter(|(at, _)| *at != spared).map(|(_, node)| node) {
            sentinel.kill().await.expect("it is killed");
        }
        let (primary, _) = redis.pair().await.expect("a sentinel answers");
        primary.command("CLIENT KILL TYPE normal").await.expect("Redis answers");
        until("Redis is found again", || async { client.now_ms(Partition(0)).await.is_ok() }).await;
        for sentinel in redis.sentinels() {
            sentinel.start_again().await.expect("it starts");
        }
    }
}
