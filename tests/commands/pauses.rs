//! Standing still, the pace, and who did it.

use serde_json::json;

use super::shop::Shop;

#[tokio::test]
async fn a_product_is_paused_and_goes_on_and_both_are_kept_with_a_name() {
    let shop = Shop::open().await;
    shop.done(&["pause", "42", "--by", "ann"]).await;
    shop.done(&["pause", "sku:47566", "--by", "ann"]).await;
    shop.done(&["unpause", "42", "--by", "bob"]).await;
    shop.run(&["pause", "999"]).await.fails(3, &["999", "product list"]);
    let rows = shop.json(&["actions", "42"]).await;
    let said: Vec<_> =
        rows.as_array().expect("an array").iter().map(|row| (&row["by"], &row["action"], &row["result"])).collect();
    let (ann, bob) = (json!("ann"), json!("bob"));
    let (pause, unpause) = (json!("pause"), json!("unpause"));
    let results = [json!("goes on; open lanes: 0"), json!("is paused already"), json!("is paused; no round is open")];
    assert_eq!(said, [(&bob, &unpause, &results[0]), (&ann, &pause, &results[1]), (&ann, &pause, &results[2])]);
}

#[tokio::test]
async fn status_shows_what_stands_still() {
    let shop = Shop::open().await;
    shop.done(&["enqueue", "42"]).await;
    assert_eq!(shop.json(&["status", "42"]).await[0]["paused"], false);
    shop.done(&["pause", "42"]).await;
    assert_eq!(shop.json(&["status", "42"]).await[0]["paused"], true);
    let table = shop.done(&["status"]).await.stdout;
    assert!(table.contains("QUEUED, paused"), "{table}");
    shop.done(&["cancel", "42"]).await;
    shop.done(&["unpause", "42"]).await;
    let row = &shop.json(&["status", "42"]).await[0];
    assert_eq!(
        (&row["status"], &row["paused"], &row["refused"]),
        (&json!("CANCELED_BY_ADMIN"), &json!(false), &json!(0))
    );
    shop.done(&["pause"]).await;
    let said = shop.done(&["status"]).await.stderr;
    assert!(said.contains("all sending is paused"), "{said}");
}

#[tokio::test]
async fn a_cancel_says_who_did_it_and_a_refused_one_is_kept_too() {
    let shop = Shop::open().await;
    shop.run(&["cancel", "42", "--by", "ann"]).await.fails(4, &["nothing to cancel"]);
    shop.done(&["enqueue", "42"]).await;
    shop.done(&["cancel", "42", "--by", "ann"]).await;
    let rows = shop.json(&["actions"]).await;
    assert_eq!(rows[0]["result"], "round 1 on webhook has ended");
    assert!(rows[1]["result"].as_str().expect("text").starts_with("failed: product 42 has nothing to cancel"));
    assert_eq!(shop.json(&["actions", "--limit", "1"]).await.as_array().map(Vec::len), Some(1));
    assert_eq!(shop.run(&["cancel", "42", "--by", ""]).await.code, 2);
}

#[tokio::test]
async fn the_rate_is_set_for_all_and_everything_can_be_paused() {
    let shop = Shop::open().await;
    let rate = |limit: u32, paused: bool| {
        json!([
            { "name": "total", "limit": limit, "used": 0, "paused": paused },
            { "name": "webhook", "limit": null, "used": 0, "paused": paused }
        ])
    };
    assert_eq!(shop.json(&["rate", "set", "300"]).await, rate(300, false));
    shop.run(&["rate", "set", "fast"]).await.fails(2, &["fast", "whole number"]);
    shop.done(&["pause", "--by", "ann"]).await;
    shop.done(&["pause", "--by", "ann"]).await;
    assert_eq!(shop.json(&["rate"]).await, rate(300, true));
    shop.done(&["unpause", "--by", "ann"]).await;
    assert_eq!(shop.json(&["rate"]).await, rate(300, false));
    let actions = shop.json(&["actions"]).await;
    let said: Vec<_> =
        actions.as_array().expect("an array").iter().map(|row| row["result"].as_str().expect("text")).collect();
    assert_eq!(said, ["sending goes on", "all sending is paused already", "all sending is paused", "the rate is 300"]);
}

#[tokio::test]
async fn a_channel_has_a_rate_of_its_own_until_it_is_taken_away() {
    let shop = Shop::open().await;
    let rows = shop.json(&["rate", "set", "webhook=200"]).await;
    assert_eq!((&rows[0]["limit"], &rows[1]["limit"]), (&json!(500), &json!(200)));
    let settings = shop.json(&["settings"]).await;
    assert!(settings.as_array().expect("an array").contains(&json!({ "name": "rate.webhook", "value": "200" })));
    let rows = shop.json(&["rate", "set", "300", "webhook=none"]).await;
    assert_eq!((&rows[0]["limit"], &rows[1]["limit"]), (&json!(300), &json!(null)));
    for (bad, word) in [("webhook=0", "none"), ("webhook=", "whole number"), ("pigeon=5", "rate.pigeon")] {
        shop.run(&["rate", "set", bad]).await.fails(2, &[word]);
    }
}
