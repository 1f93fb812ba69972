//! `enqueue --direct`: past the outbox, and past MySQL where Redis knows enough.

use std::{io::ErrorKind, net::TcpListener};

use serde_json::json;

use super::shop::Shop;

#[tokio::test]
async fn direct_requests_leave_the_outbox_alone() {
    let shop = Shop::open().await;
    let args = ["enqueue", "42", "--direct", "--key", "d1"];
    let expected = json!({ "product": 42, "round": 1, "request": null });
    assert_eq!(shop.json(&args).await, expected);
    assert_eq!(shop.json(&args).await, expected);
    shop.run(&["enqueue", "42", "--direct", "--key", "d1", "--quantity", "2"]).await.fails(4, &["d1", "quantity 0"]);
    shop.run(&["enqueue", "999", "--direct"]).await.fails(3, &["999"]);
    shop.run(&["enqueue", "7", "--direct"]).await.fails(4, &["7", "no stock"]);
}

#[tokio::test]
async fn a_direct_request_for_what_redis_knows_asks_mysql_for_nothing() {
    let shop = Shop::open().await;
    assert_eq!(shop.json(&["enqueue", "42"]).await["round"], 1);
    // Somebody who listens and never answers: it would be waited for, were it asked.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mysql_url = format!("mysql://root@{}/restock", silent.local_addr().unwrap());
    let (redis_url, namespace) = (shop.redis_url.clone(), shop.namespace.clone());
    let alone = Shop { redis_url, mysql_url, namespace };
    let args = ["enqueue", "42", "--direct", "--key", "d1", "--quantity", "3"];
    let expected = json!({ "product": 42, "round": 2, "request": null });
    assert_eq!(alone.json(&args).await, expected);
    assert_eq!(alone.json(&args).await, expected, "one key, one round");
    alone.run(&["enqueue", "42", "--direct", "--key", "d1"]).await.fails(4, &["d1", "quantity 3"]);
    silent.set_nonblocking(true).unwrap();
    assert_eq!(silent.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "MySQL was asked");
    assert_eq!(shop.json(&["stock", "show", "42"]).await["stock"], 5, "as last flushed");
    assert_eq!(shop.json(&["enqueue", "42", "--direct"]).await["round"], 3);
}

#[tokio::test]
async fn a_direct_request_for_what_redis_does_not_know_says_that_mysql_is_missing() {
    let shop = Shop::open().await;
    let alone = shop.without_mysql();
    alone.run(&["enqueue", "42", "--direct"]).await.fails(5, &["nothing was announced", "product 42", "MySQL at"]);
    shop.done(&["enqueue", "42"]).await;
    alone.run(&["enqueue", "7", "--direct"]).await.fails(5, &["nothing was announced", "product 7", "MySQL at"]);
    alone.run(&["enqueue", "sku:47566", "--direct"]).await.fails(5, &["sku:47566", "MySQL at"]);
    shop.without_redis().run(&["enqueue", "42", "--direct"]).await.fails(5, &["Redis at"]);
}
