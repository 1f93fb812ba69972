//! The outbox: nothing in it is announced twice, and nothing is left out.

use restock::{
    ids::{IdempotencyKey, ProductId},
    producer::{Producer, ProducerError},
    sync::Relayed,
};
use tokio::task::JoinSet;

use super::fixture::{Shop, flush};

const STATES: &str = "SELECT CONCAT_WS(' ', id, product_id, state, restock_round) FROM restock_request ORDER BY id";
const PRODUCTS: &str = "SELECT CONCAT_WS(' ', id, stock, restock_round) FROM product ORDER BY id";

#[tokio::test]
async fn one_key_from_everywhere_at_once_is_one_round() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let key: IdempotencyKey = "spring".parse().unwrap();
    let mut callers = JoinSet::new();
    for n in 0..20 {
        let (producer, key) = (Producer::new(shop.stores.clone()), key.clone());
        callers.spawn(async move {
            if n % 2 == 0 {
                producer.enqueue(ProductId(7), 5, Some(&key)).await
            } else {
                producer.enqueue_direct(ProductId(7), 5, Some(&key)).await
            }
        });
    }
    while !callers.is_empty() {
        lead.relay().await.unwrap();
        lead.flush().await.unwrap();
        let accepted = callers.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(accepted.round.map(|round| round.0), Some(1));
    }
    lead.relay().await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(PRODUCTS).await, ["7 5 1"]);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', state, restock_round) FROM restock_request").await, ["ACCEPTED 1"]);
    let again = Producer::new(shop.stores.clone()).enqueue_direct(ProductId(7), 6, Some(&key)).await;
    assert!(matches!(again, Err(ProducerError::KeyConflict { quantity: 5, .. })), "{again:?}");
}

#[tokio::test]
async fn a_number_given_out_again_after_mysql_was_set_back_is_another_request() {
    let shop = Shop::open().await;
    for product in [7, 8] {
        shop.product(product, 0, &[101]).await;
    }
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)").await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(1));
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(STATES).await, ["1 7 ACCEPTED 1"]);
    lead.resign().await;

    shop.execute(
        "DELETE FROM restock_request;
         ALTER TABLE restock_request AUTO_INCREMENT = 1;
         DELETE FROM product_notification_history;
         UPDATE product SET stock = 0, restock_round = 0, epoch = 0, version = 0, reserved_epoch = 0;
         UPDATE flush_position SET last_entry = '1-1'",
    )
    .await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5), (8, 5)").await;
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(2));
    assert!(flush(&mut lead).await);
    let states = "SELECT CONCAT_WS(' ', product_id, state, restock_round) FROM restock_request ORDER BY id";
    assert_eq!(shop.rows(states).await, ["7 ACCEPTED 2", "8 ACCEPTED 1"]);
    assert_eq!(shop.rows(PRODUCTS).await, ["7 10 2", "8 5 1"]);
}

#[tokio::test]
async fn an_answer_finds_only_the_request_that_it_is_for() {
    let shop = Shop::open().await;
    for product in [7, 8] {
        shop.product(product, 0, &[101]).await;
    }
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)").await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(1));
    // Before the answer is flushed, the same number is another product's: MySQL was set back in between.
    shop.execute("UPDATE restock_request SET product_id = 8").await;
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(STATES).await, ["1 8 PENDING"]);
}

#[tokio::test]
async fn requests_of_one_product_keep_their_order_while_it_is_held() {
    let shop = Shop::open().await;
    for product in [7, 8] {
        shop.product(product, 0, &[101]).await;
    }
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let mut somebody = shop.db().begin().await.unwrap();
    sqlx::query("SELECT id FROM product WHERE id = 7 FOR UPDATE").execute(&mut *somebody).await.unwrap();
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5), (8, 1), (7, 6)").await;
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(1), "8 alone");
    somebody.rollback().await.unwrap();
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(2));
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(STATES).await, ["1 7 ACCEPTED 1", "2 8 ACCEPTED 1", "3 7 ACCEPTED 2"]);
}

#[tokio::test]
async fn what_other_programs_insert_is_dated_in_utc() {
    let shop = Shop::open().await;
    let mut tokyo = shop.db().acquire().await.unwrap();
    for sql in [
        "SET time_zone = '+09:00'",
        "INSERT INTO product (id, name) VALUES (7, 'seven')",
        "INSERT INTO product_user_notification (product_id, created_at, user_id) VALUES (7, '2024-01-01', 101)",
        "INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)",
    ] {
        sqlx::query(sql).execute(&mut *tokyo).await.unwrap();
    }
    tokyo.close().await.unwrap();
    let hours_off = "SELECT CONCAT_WS(' ', TIMESTAMPDIFF(HOUR, p.created_at, UTC_TIMESTAMP(6)),
          TIMESTAMPDIFF(HOUR, p.updated_at, UTC_TIMESTAMP(6)), TIMESTAMPDIFF(HOUR, n.added_at, UTC_TIMESTAMP(6)),
          TIMESTAMPDIFF(HOUR, r.created_at, UTC_TIMESTAMP(6)))
        FROM product p, product_user_notification n, restock_request r";
    assert_eq!(shop.rows(hours_off).await, ["0 0 0 0"]);
}
