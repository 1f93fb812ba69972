//! Announcing, cancelling and going on.

use serde_json::json;

use super::shop::Shop;

#[tokio::test]
async fn one_key_gives_one_round() {
    let shop = Shop::open().await;
    shop.done(&["subscribe", "42", "1001", "1002"]).await;
    let first = shop.json(&["enqueue", "42", "--quantity", "3", "--key", "k1"]).await;
    assert_eq!(first["product"], 42);
    assert_eq!(first["round"], 1);
    assert!(first["request"].is_i64());
    assert_eq!(shop.json(&["enqueue", "sku:47566", "--quantity", "3", "--key", "k1"]).await, first);
    let other = shop.run(&["enqueue", "42", "--quantity", "4", "--key", "k1"]).await;
    other.fails(4, &["k1", "42", "quantity 3"]);
    assert_eq!(shop.json(&["enqueue", "42"]).await["round"], 2);
}

#[tokio::test]
async fn nothing_is_announced_without_stock() {
    let shop = Shop::open().await;
    shop.run(&["enqueue", "7"]).await.fails(4, &["7", "no stock", "--quantity"]);
    assert_eq!(shop.json(&["enqueue", "7", "--quantity", "1"]).await["round"], 1);
    shop.run(&["enqueue", "999"]).await.fails(3, &["999", "product list"]);
    shop.run(&["enqueue", "sku:nope"]).await.fails(3, &["nope"]);
}

#[tokio::test]
async fn stock_is_set_and_added_but_never_below_zero() {
    let shop = Shop::open().await;
    assert_eq!(shop.json(&["stock", "set", "42", "9"]).await["stock"], 9);
    assert_eq!(shop.json(&["stock", "add", "42", "-4"]).await["stock"], 5);
    assert_eq!(shop.json(&["stock", "add", "sku:47566", "2"]).await["stock"], 7);
    shop.run(&["stock", "add", "42", "-8"]).await.fails(4, &["42", "7", "below zero"]);
    assert_eq!(shop.run(&["stock", "set", "42", "-1"]).await.code, 2);
    shop.run(&["stock", "set", "999", "1"]).await.fails(3, &["999"]);
}

#[tokio::test]
async fn a_canceled_round_goes_on() {
    let shop = Shop::open().await;
    shop.run(&["resume", "42"]).await.fails(4, &["42", "nothing to resume"]);
    shop.run(&["resume", "42", "--skip"]).await.fails(4, &["42", "nothing to resume"]);
    shop.run(&["cancel", "42"]).await.fails(4, &["42", "nothing to cancel"]);
    shop.done(&["enqueue", "42"]).await;
    shop.run(&["resume", "42"]).await.fails(4, &["42", "QUEUED"]);
    shop.done(&["cancel", "42"]).await;
    // No flusher runs: what is newer than MySQL is Redis'.
    let status = shop.json(&["status", "42"]).await;
    assert_eq!(status[0]["status"], "CANCELED_BY_ADMIN");
    assert_eq!(status[0]["sku"], "47566");
    assert_eq!(shop.json(&["status"]).await, status);
    shop.run(&["resume", "42", "--skip"]).await.fails(4, &["nobody blocks"]);
    shop.done(&["stock", "set", "42", "0"]).await;
    shop.run(&["resume", "42"]).await.fails(4, &["42", "no stock"]);
    shop.done(&["stock", "set", "42", "1"]).await;
    shop.done(&["resume", "42", "--channel", "webhook"]).await;
    let status = shop.json(&["status", "42"]).await;
    assert_eq!((&status[0]["round"], &status[0]["status"]), (&json!(1), &json!("QUEUED")));
    shop.run(&["resume", "999"]).await.fails(3, &["999"]);
    shop.run(&["cancel", "999"]).await.fails(3, &["999"]);
}

#[tokio::test]
async fn waiting_ends_with_the_round() {
    let shop = Shop::open().await;
    let (waited, ()) = tokio::join!(shop.run(&["enqueue", "42", "--wait"]), async {
        // Until the round is there; then it is canceled.
        while shop.run(&["cancel", "42"]).await.code == 4 {}
    });
    assert_eq!(waited.code, 12, "{waited:?}");
    assert!(waited.stderr.contains("CANCELED_BY_ADMIN"), "{waited:?}");
    let (waited, ()) = tokio::join!(shop.run(&["resume", "42", "--wait"]), async {
        while shop.run(&["cancel", "42"]).await.code == 4 {}
    });
    assert_eq!(waited.code, 12, "{waited:?}");
}
