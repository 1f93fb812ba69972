//! A request that was answered after somebody read it has no second round, though Redis forgot it.

use restock::{
    ids::{ProductId, Round},
    local::{LocalRedis, Servers},
    mysql::request::{self, Request},
    producer::{Producer, accept},
    sync::Relayed,
};
use tokio_util::sync::CancellationToken;

use super::fixture::{Shop, flush};

const STATES: &str = "SELECT CONCAT_WS(' ', product_id, state, restock_round) FROM restock_request ORDER BY id";

#[tokio::test]
async fn a_producer_returns_the_round_that_its_request_got_meanwhile() {
    let redis = LocalRedis::start().await.unwrap();
    let shop = Shop::open_on(&redis.url()).await;
    shop.product(7, 0, &[101]).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let read: Request = accept(shop.db(), ProductId(7), 5, None).await.unwrap();
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(1));
    assert!(flush(&mut lead).await);
    shop.redis_command("FLUSHALL").await;

    let producer = Producer::new(shop.stores.clone());
    assert_eq!(producer.push(&read).await.unwrap().round, Some(Round(1)));
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', stock, restock_round) FROM product").await, ["5 1"]);
}

#[tokio::test]
async fn the_relay_leaves_out_what_was_answered_since_it_read_the_page() {
    let own = Servers::start().await.unwrap();
    let shop = Shop::open_on_own(&own).await;
    for product in [7, 8] {
        shop.product(product, 0, &[101]).await;
    }
    let mut somebody = shop.db().begin().await.unwrap();
    sqlx::query("SELECT id FROM product WHERE id = 8 FOR UPDATE").execute(&mut *somebody).await.unwrap();
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (8, 1), (7, 5)").await;
    let stop = CancellationToken::new();
    let running = shop.run(stop.clone()).await;
    // The relay has read both rows, and waits for product 8.
    let waits =
        "SELECT 'waits' FROM information_schema.processlist WHERE info LIKE 'UPDATE product SET reserved_epoch%'";
    shop.wait_for(waits, "waits").await;
    let second = request::find(shop.db(), 2).await.unwrap().unwrap();
    assert_eq!(Producer::new(shop.stores.clone()).push(&second).await.unwrap().round, Some(Round(1)));
    shop.wait_for("SELECT state FROM restock_request WHERE id = 2", "ACCEPTED").await;
    shop.redis_command("FLUSHALL").await;
    somebody.rollback().await.unwrap();
    shop.wait_for("SELECT state FROM restock_request WHERE id = 1", "ACCEPTED").await;
    // Its next step, which comes after all that it had read.
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (8, 1)").await;
    shop.wait_for("SELECT state FROM restock_request WHERE id = 3", "ACCEPTED").await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(shop.rows(STATES).await, ["8 ACCEPTED 1", "7 ACCEPTED 1", "8 ACCEPTED 2"]);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', id, stock, restock_round) FROM product").await, ["7 5 1", "8 2 2"]);
}
