//! What a MySQL that was set back must learn again, it learns before its position moves on.

use restock::{
    outcome::Outcome,
    redis::scripts::Advanced,
    sync::{Flushed, Relayed},
};

use super::fixture::{PARTITION, Shop, advance, flush, settled};

const ROUNDS: &str = "SELECT CONCAT_WS(' ', product_id, restock_round, status, sent_count)
    FROM product_notification_history ORDER BY product_id";

/// Products whose only round has ended and is flushed.
async fn with_ended_rounds(shop: &Shop, products: &[i64]) {
    for product in products {
        shop.product(*product, 0, &[101]).await;
        shop.restock(*product).await;
        let line = shop.line(*product).await;
        let ended = advance(&mut *shop.take().await, settled(&line, Outcome::Sent), true).await;
        assert_eq!(ended, Advanced::Completed);
    }
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.resign().await;
}

async fn set_back(shop: &Shop) {
    shop.execute(
        "DELETE FROM product_notification_history;
         UPDATE product SET stock = 0, restock_round = 0, epoch = 0, version = 0, reserved_epoch = 0;
         UPDATE flush_position SET last_entry = '1-1'",
    )
    .await;
}

/// As when the second batch of a leader that has lost its lock is committed, and deleted, after the next one read the position
/// and before it looks whether that still stands.
#[tokio::test]
async fn a_position_that_somebody_moved_meanwhile_is_no_mysql_that_was_set_back() {
    let shop = Shop::open().await;
    with_ended_rounds(&shop, &[7]).await;
    shop.restock(7).await;
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 1)").await;
    let mut late = shop.lead().await;
    let (_, entries) = shop.stores.redis.read_log(PARTITION, "0-0", 100).await.unwrap();
    let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    shop.execute(&format!("UPDATE flush_position SET last_entry = '{}'", ids.last().unwrap())).await;
    shop.redis_command(&format!("XDEL {} {}", shop.log_key(), ids.join(" "))).await;
    assert_eq!(late.flush().await.unwrap(), Flushed::Deposed);
    let held = "SELECT CAST(held_upto_request AS CHAR) FROM flush_position";
    assert_eq!(shop.rows(held).await, ["0"], "no request waits for a repair");
}

#[tokio::test]
async fn a_product_that_somebody_holds_is_learned_before_the_position_moves() {
    let shop = Shop::open().await;
    with_ended_rounds(&shop, &[7, 8]).await;
    set_back(&shop).await;
    let mut lead = shop.lead().await;
    let mut somebody = shop.db().begin().await.unwrap();
    sqlx::query("SELECT id FROM product WHERE id = 7 FOR UPDATE").execute(&mut *somebody).await.unwrap();
    let error = lead.flush().await.unwrap_err();
    assert!(error.is_contended(), "{error}");
    assert_eq!(shop.rows("SELECT last_entry FROM flush_position").await, ["1-1"]);
    somebody.rollback().await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["7 1 COMPLETED 1", "8 1 COMPLETED 1"]);
}

#[tokio::test]
async fn a_product_that_changes_during_the_walk_is_learned_with_its_ended_rounds() {
    let shop = Shop::open().await;
    with_ended_rounds(&shop, &[7, 8]).await;
    set_back(&shop).await;
    // As if its stock had changed after the walk began.
    let products = shop.stores.redis.keys().products(PARTITION);
    shop.redis_command(&format!("ZADD {products} 99999999999999 7")).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["7 1 COMPLETED 1", "8 1 COMPLETED 1"]);
}

#[tokio::test]
async fn what_a_deleted_log_held_of_a_product_that_somebody_holds_is_logged_again() {
    let shop = Shop::open().await;
    with_ended_rounds(&shop, &[7, 8]).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    // What the log still held of both is in Redis alone.
    shop.execute("UPDATE product_notification_history SET status = 'IN_PROGRESS', version = version - 1").await;
    lead.resign().await;
    shop.redis_command(&format!("DEL {}", shop.log_key())).await;
    let mut lead = shop.lead().await;
    let mut somebody = shop.db().begin().await.unwrap();
    sqlx::query("SELECT id FROM product WHERE id = 7 FOR UPDATE").execute(&mut *somebody).await.unwrap();
    assert!(lead.flush().await.is_err());
    somebody.rollback().await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["7 1 COMPLETED 1", "8 1 COMPLETED 1"]);
}

/// What becomes of a row of the outbox that was there when MySQL's position was changed, after so many looks at the log.
async fn relayed_after(shop: &Shop, (incarnation, last): (&str, &str), looks: usize) -> Relayed {
    shop.execute(&format!(
        "UPDATE flush_position SET incarnation = '{incarnation}', last_entry = '{last}';
         INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)"
    ))
    .await;
    for _ in 1..looks {
        // The next leader looks again.
        let mut lead = shop.lead().await;
        assert!(flush(&mut lead).await);
        lead.resign().await;
    }
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.relay().await.expect("both stores answer")
}

#[tokio::test]
async fn a_mysql_from_before_redis_was_emptied_holds_requests_from_the_first_look_on() {
    let shop = Shop::open().await;
    with_ended_rounds(&shop, &[7]).await;
    assert_eq!(relayed_after(&shop, ("elder", "1-1"), 1).await, Relayed::Done(0));
}

#[tokio::test]
async fn a_redis_from_before_it_was_emptied_holds_no_requests() {
    let shop = Shop::open().await;
    with_ended_rounds(&shop, &[7]).await;
    assert_eq!(relayed_after(&shop, ("younger", "99999999999999-0"), 2).await, Relayed::Done(1));
}
