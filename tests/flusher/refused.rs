//! Rows that MySQL refuses are set aside alone, and mark their lane until MySQL has a newer state of them.

use restock::{
    ids::ProductId,
    mysql::refused::{Refused, refused, rows},
    outcome::Outcome,
    redis::scripts::{Advanced, Finish, Settlement, StockChange},
    round::Status,
    sync,
};

use super::{
    fixture::{PARTITION, Shop, advance, flush, settled, webhook},
    process,
};

const ROUNDS: &str = "SELECT CONCAT_WS(' ', product_id, status) FROM product_notification_history ORDER BY product_id";
const DEAD: &str = "SELECT CONCAT_WS(' ', product_id, kind, channel, restock_round, `sqlstate`, mended_at IS NULL)
    FROM log_dead ORDER BY id";

async fn finish_with(shop: &Shop, reason: String) {
    let mut begun = shop.take().await;
    let settlement = Settlement { cursor: begun.hold.cursor(), ..Default::default() };
    let finish = Finish { settlement, status: Status::CanceledByError, reason, blocked_user: None };
    assert!(begun.hold.finish(&finish).await.expect("Redis answers"));
}

fn mark(product: i64, rows: u64) -> Refused {
    Refused { product: Some(ProductId(product)), channel: Some(webhook()), rows }
}

#[tokio::test]
async fn a_refused_row_is_set_aside_and_its_neighbours_flow() {
    let shop = Shop::open().await;
    for product in [7, 8, 9] {
        shop.product(product, 0, &[101]).await;
        shop.restock(product).await;
    }
    let mut lead = shop.lead().await;
    for reason in ["refused".to_owned(), "x".repeat(300), "refused".to_owned()] {
        finish_with(&shop, reason).await;
    }
    // It ends: what was logged again and refused again is left.
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["7 CANCELED_BY_ERROR", "9 CANCELED_BY_ERROR"]);
    assert_eq!(shop.rows(DEAD).await, ["8 round webhook 1 22001 1"]);
    assert_eq!(refused(shop.db(), None).await.unwrap(), [mark(8, 1)]);
    assert_eq!(shop.rows("SELECT CAST(restock_round AS CHAR) FROM product WHERE id = 8").await, ["1"]);
    // What is refused is all that MySQL does not have: it stays in Redis.
    assert_eq!(lead.evict(-1_000).await.unwrap(), 2);
    assert!(shop.view(8).await.is_some() && shop.view(7).await.is_none());

    // Once it fits, the same lane flows again, and its mark is gone; the leader need not be the same.
    lead.resign().await;
    shop.execute("ALTER TABLE product_notification_history MODIFY reason VARCHAR(1000) NULL").await;
    shop.stores.redis.relog(PARTITION, ProductId(8), &[webhook()]).await.unwrap();
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUNDS).await[1], "8 CANCELED_BY_ERROR");
    assert_eq!(shop.rows(DEAD).await, ["8 round webhook 1 22001 0"]);
    assert_eq!(refused(shop.db(), None).await.unwrap(), []);
    assert_eq!(lead.evict(-1_000).await.unwrap(), 1);
}

#[tokio::test]
async fn status_shows_the_mark() {
    let shop = Shop::open().await;
    for product in [7, 8] {
        shop.product(product, 0, &[101]).await;
        shop.restock(product).await;
    }
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    finish_with(&shop, "refused".to_owned()).await;
    finish_with(&shop, "x".repeat(300)).await;
    assert!(flush(&mut lead).await);
    let output = process::cli(&shop, &["--output", "json", "status"]).await;
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let marks: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["product"], &row["refused"])).collect();
    assert_eq!(format!("{marks:?}"), "[(Number(7), Number(0)), (Number(8), Number(1))]");
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(notes.contains("refused 1 rows of product 8 on webhook"), "{notes}");
}

#[tokio::test]
async fn a_refused_product_with_a_refused_lane_is_not_logged_again_for_ever() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    shop.take().await;
    // A round waits behind the one that runs: two rows of one lane, and the row of the product.
    shop.restock(7).await;
    shop.execute(
        "ALTER TABLE product ADD CONSTRAINT one CHECK (restock_round = 0);
         ALTER TABLE product_notification_history ADD CONSTRAINT two CHECK (product_id <> 7)",
    )
    .await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let dead = "SELECT CONCAT_WS(' ', kind, restock_round) FROM log_dead ORDER BY kind, restock_round";
    assert_eq!(shop.rows(dead).await, ["product", "round 1", "round 2"]);
    assert_eq!(refused(shop.db(), Some(ProductId(7))).await.unwrap().len(), 2);

    // A change is another content: it is tried, and mends what it can.
    shop.execute("ALTER TABLE product DROP CONSTRAINT one").await;
    shop.stores.redis.change_stock(PARTITION, ProductId(7), StockChange::Set(40)).await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', stock, restock_round) FROM product").await, ["40 2"]);
    assert_eq!(refused(shop.db(), Some(ProductId(7))).await.unwrap(), [mark(7, 2)]);
}

#[tokio::test]
async fn a_refused_person_costs_nobody_else_and_marks_the_lane() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102, 103]).await;
    shop.restock(7).await;
    let line = shop.line(7).await;
    shop.execute("ALTER TABLE product_user_notification_history ADD CONSTRAINT one CHECK (user_id <> 102)").await;
    assert_eq!(advance(&mut *shop.take().await, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let people = "SELECT CAST(user_id AS CHAR) FROM product_user_notification_history ORDER BY place";
    assert_eq!(shop.rows(people).await, ["101", "103"]);
    assert_eq!(shop.rows(ROUNDS).await, ["7 COMPLETED"]);
    assert_eq!(refused(shop.db(), None).await.unwrap(), [mark(7, 1)]);
    let detail = shop.rows("SELECT detail FROM log_dead").await.remove(0);
    assert!(detail.contains(",102,S,"), "{detail}");
    assert_eq!(lead.evict(-1_000).await.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_person_keeps_the_mark_until_mysql_has_them() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102]).await;
    shop.restock(7).await;
    let line = shop.line(7).await;
    shop.execute("ALTER TABLE product_user_notification_history ADD CONSTRAINT one CHECK (user_id <> 102)").await;
    assert_eq!(advance(&mut *shop.take().await, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let only = async || rows(shop.db(), None, 0, 2).await.unwrap().remove(0);
    // Redis loses what was logged again before it is flushed: the row is all there is of the outcome.
    sync::replay(&shop.stores, &only().await).await.unwrap();
    shop.redis_command(&format!("XTRIM {} MAXLEN 0", shop.log_key())).await;
    assert!(flush(&mut lead).await);
    assert_eq!((only().await.times, refused(shop.db(), None).await.unwrap()), (1, vec![mark(7, 1)]));
    // Tried twice at once and refused, it stands there once, as it was the last time.
    let row = only().await;
    sync::replay(&shop.stores, &row).await.unwrap();
    sync::replay(&shop.stores, &row).await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(refused(shop.db(), None).await.unwrap(), [mark(7, 1)]);
    assert!(only().await.times > 1);
    shop.execute("ALTER TABLE product_user_notification_history DROP CONSTRAINT one").await;
    sync::replay(&shop.stores, &only().await).await.unwrap();
    assert_eq!(refused(shop.db(), None).await.unwrap(), [mark(7, 1)]);
    assert!(flush(&mut lead).await);
    assert_eq!(refused(shop.db(), None).await.unwrap(), []);
    let people = "SELECT CAST(user_id AS CHAR) FROM product_user_notification_history ORDER BY place";
    assert_eq!(shop.rows(people).await, ["101", "102"]);
}

#[tokio::test]
async fn the_key_of_a_request_whose_answer_is_refused_does_not_expire() {
    let shop = Shop::open().await;
    for product in [7, 8] {
        shop.product(product, 0, &[101]).await;
    }
    shop.execute(
        "INSERT INTO restock_request (product_id, quantity, idempotency_key) VALUES (7, 5, 'a'), (8, 5, 'b');
         ALTER TABLE restock_request ADD CONSTRAINT one CHECK (product_id <> 7 OR restock_round IS NULL)",
    )
    .await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.relay().await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows("SELECT state FROM restock_request ORDER BY id").await, ["PENDING", "ACCEPTED"]);
    let keys = shop.stores.redis.keys();
    let ttl = |product: i64, key: &str| format!("TTL {}", keys.seen(PARTITION, ProductId(product), key));
    assert!(shop.redis_command(&ttl(7, "a")).await.starts_with(":-1\r\n"));
    assert!(shop.redis_command(&ttl(8, "b")).await.starts_with(":86"));
}
