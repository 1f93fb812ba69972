//! A batch that was read, and not committed when a check came by: it counts only if the log still has it.

use restock::{
    ids::{ProductId, Round},
    local::LocalRedis,
    outcome::Outcome,
    redis::scripts::Advanced,
    round::Status,
    stores::Checked,
    sync::{Flushed, Lead},
};
use tokio::task::JoinHandle;

use super::fixture::{PARTITION, Shop, advance, flush, keep, settled};

const ROUND: &str = "SELECT CONCAT_WS(' ', restock_round, status, sent_count)
    FROM product_notification_history WHERE product_id = 7";

/// Product 7 has a round that MySQL knows as queued; its end, and a change of product 6, are in the log.
async fn with_an_end_in_the_log(shop: &Shop) -> Lead {
    for product in [6, 7] {
        shop.product(product, 0, &[101]).await;
    }
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let line = shop.line(7).await;
    let ended = advance(&mut *shop.take_of(7).await, settled(&line, Outcome::Sent), true).await;
    assert_eq!(ended, Advanced::Completed);
    shop.restock(6).await;
    lead
}

/// Lets the leader read all of the log and then wait for product 6; meanwhile this happens.
async fn while_it_waits(shop: &Shop, mut lead: Lead, meanwhile: impl AsyncFnOnce()) -> (Lead, Flushed) {
    let mut somebody = shop.db().begin().await.expect("the store answers");
    sqlx::query("SELECT id FROM product WHERE id = 6 FOR UPDATE")
        .execute(&mut *somebody)
        .await
        .expect("the store answers");
    let flushing: JoinHandle<_> = tokio::spawn(async move {
        let flushed = lead.flush().await;
        (lead, flushed)
    });
    let waits = "SELECT 'waits' FROM information_schema.processlist
        WHERE info LIKE 'SELECT id, reserved_epoch FROM product%' AND db = DATABASE()";
    shop.wait_for(waits, "waits").await;
    meanwhile().await;
    somebody.rollback().await.expect("the store answers");
    let (lead, flushed) = flushing.await.expect("it ends");
    (lead, flushed.expect("the store answers"))
}

#[tokio::test]
async fn what_redis_lost_and_got_again_from_mysql_is_not_committed() {
    let redis = LocalRedis::start().await.unwrap();
    let shop = Shop::open_on(&redis.url()).await;
    let lead = with_an_end_in_the_log(&shop).await;
    let (mut lead, flushed) = while_it_waits(&shop, lead, async || {
        shop.redis_command("FLUSHALL").await;
        assert_eq!(shop.stores.check(ProductId(7)).await.unwrap(), Checked::Done(1));
    })
    .await;
    assert_eq!(flushed, Flushed::Applied { entries: 0, more: true });
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUND).await, ["1 QUEUED 0"]);
    let queued = shop.view(7).await.unwrap();
    assert_eq!((queued.round, queued.status), (Round(1), Status::Queued));

    let mut again = shop.take_of(7).await;
    keep(&mut again).await;
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUND).await, ["1 IN_PROGRESS 0"], "it was not completed before");
    let line = shop.line(7).await;
    assert_eq!(advance(&mut again, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUND).await, ["1 COMPLETED 1"]);
}

#[tokio::test]
async fn what_redis_kept_through_a_check_is_committed() {
    let shop = Shop::open().await;
    let lead = with_an_end_in_the_log(&shop).await;
    let (mut lead, flushed) = while_it_waits(&shop, lead, async || {
        let product = shop.stores.redis.keys().product(PARTITION, ProductId(7));
        shop.redis_command(&format!("HSET {product} run another")).await;
        assert_eq!(shop.stores.check(ProductId(7)).await.unwrap(), Checked::Done(0));
    })
    .await;
    assert!(matches!(flushed, Flushed::Applied { entries, .. } if entries > 0), "{flushed:?}");
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUND).await, ["1 COMPLETED 1"]);
}
