//! Pausing a product, and everything, in the middle of a round.

use std::sync::Arc;

use restock::{
    clock::wall_us, demo::receiver::Reaction, ids::ProductId, local::Servers, mysql::setting, redis::scripts::Paused,
};

use super::{
    FIRST,
    shop::{Shop, until, webhook},
};

async fn pause(shop: &Shop, paused: bool) {
    let (redis, product) = (&shop.stores.redis, ProductId(42));
    let done = redis.pause(shop.stores.partition_of(product), product, &[webhook()], paused).await;
    assert!(matches!(done, Ok(Paused::Done { .. })), "{done:?}");
}

async fn assert_quiet(shop: &Shop, since_us: i64, slack_us: i64) {
    let before = shop.receiver.count();
    // The lane would go on within a lease; that nothing comes can only be seen by waiting.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(shop.receiver.count(), before, "messages while everything stands still");
    let last = shop.receiver.recording().deliveries().iter().map(|d| d.started_us).max().unwrap_or(0);
    assert!(last - since_us < slack_us, "an attempt started {} µs after the pause", last - since_us);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_product_stands_still_through_the_loss_of_redis_and_then_goes_on() {
    let own = Arc::new(Servers::start().await.expect("private servers start"));
    let shop = Shop::open_on(own, 500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.product(42, 10, 600).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(100).await;
    pause(&shop, true).await;
    let paused_us = wall_us();
    until("MySQL knows of the pause and the log is empty", || async {
        let stored = sqlx::query_scalar("SELECT is_paused FROM product WHERE id = 42").fetch_one(&shop.stores.mysql);
        let log = shop.stores.redis.log_head(shop.stores.partition_of(ProductId(42))).await;
        stored.await.unwrap_or(false) && log.is_ok_and(|log| log.entries == 0)
    })
    .await;
    assert_quiet(&shop, paused_us, 50_000).await;
    shop.redis_command("FLUSHALL").await;
    until("the product is in Redis again", || async { shop.stores.check(ProductId(42)).await.is_ok() }).await;
    assert_quiet(&shop, paused_us, 50_000).await;
    pause(&shop, false).await;
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=600).await;
    assert_eq!(shop.receiver.count(), 600, "nobody is told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_everything_holds_for_all_lanes_and_loses_nobody() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&[]), shop.worker(&[]));
    for product in [42, 43] {
        shop.product(product, 10, 300).await;
        shop.enqueue(product, 0).await;
    }
    shop.receiver.wait_for(100).await;
    let set = async |paused| {
        setting::set(&shop.stores.mysql, "paused", paused).await.expect("MySQL answers");
        let settings = setting::Settings::load(&shop.stores.mysql).await.expect("MySQL answers");
        shop.stores.redis.set_limit(&webhook(), settings.limit_of(&webhook())).await.expect("Redis answers");
        wall_us()
    };
    // Moments are reserved up to 100 ms ahead.
    let paused_us = set("yes").await;
    until("what was reserved is used", || async { wall_us() - paused_us > 150_000 }).await;
    assert_quiet(&shop, paused_us, 130_000).await;
    set("no").await;
    for product in [42, 43] {
        shop.completed(product, FIRST).await;
        shop.assert_told(product, FIRST, 1..=300).await;
    }
    assert_eq!(shop.receiver.count(), 600);
}
