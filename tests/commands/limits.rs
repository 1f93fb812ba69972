//! More pieces than can be counted exactly: refused before anything is written.

use serde_json::json;

use super::shop::Shop;

const MOST: &str = "1000000000000";

#[tokio::test]
async fn more_pieces_than_a_product_can_have_are_refused_and_change_nothing() {
    let shop = Shop::open().await;
    shop.done(&["stock", "set", "42", "3"]).await;
    shop.done(&["stock", "add", "42", "-3"]).await;
    for pieces in ["9223372036854775807", "9007199254740993", "1000000000001"] {
        shop.run(&["stock", "add", "42", pieces]).await.fails(2, &[pieces, MOST]);
        shop.run(&["stock", "set", "42", pieces]).await.fails(2, &[pieces, MOST]);
        shop.run(&["product", "add", "9", "--name", "Lamp", "--stock", pieces]).await.fails(2, &[pieces, MOST]);
        let csv = format!("id,name,stock\n9,Lamp,{pieces}\n");
        shop.run_with(&["import", "products", "-"], &csv).await.fails(2, &["line 2", pieces, MOST]);
    }
    assert_eq!(shop.json(&["stock", "add", "42", MOST]).await["stock"], json!(1_000_000_000_000_i64));
    let product = format!("{{{}:0}}:product:42", shop.namespace);
    let before = shop.redis(&format!("HGETALL {product}")).await;
    shop.run(&["stock", "add", "42", "1"]).await.fails(4, &["42", MOST]);
    shop.run(&["enqueue", "42", "--quantity", "1", "--dry-run"]).await.fails(4, &["42", MOST]);
    shop.run(&["enqueue", "42", "--quantity", "1", "--direct"]).await.fails(4, &["42", MOST]);
    shop.run(&["enqueue", "42", "--quantity", "1", "--key", "k"]).await.fails(4, &["42", MOST]);
    assert_eq!(shop.redis(&format!("HGETALL {product}")).await, before);

    // What was refused stays so under its key, also once there is room.
    assert_eq!(shop.json(&["stock", "add", "42", "-5"]).await["stock"], json!(999_999_999_995_i64));
    shop.run(&["enqueue", "42", "--quantity", "1", "--key", "k"]).await.fails(4, &["42"]);
    let _flusher = shop.flusher();
    let settled = |row: &serde_json::Value| row["stock"] == json!(999_999_999_995_i64);
    shop.until(&["product", "show", "42"], settled).await;
    assert_eq!(shop.json(&["dead", "list"]).await, json!([]));
    shop.until(&["verify", "42"], |report| report["ok"] == true).await;
}
