//! Many restocks from a file, what a command would do, and one message as a test.

use std::time::Duration;

use restock::demo::receiver::{Reaction, Receiver};
use serde_json::{Value, json};

use super::shop::Shop;

fn rounds(rows: &Value) -> Vec<(i64, Value)> {
    let row = |row: &Value| (row["product"].as_i64().expect("a number"), row["round"].clone());
    rows.as_array().expect("an array").iter().map(row).collect()
}

#[tokio::test]
async fn a_file_of_products_is_enqueued_line_by_line_in_order() {
    let shop = Shop::open().await;
    let file = "product_id,quantity,key\n42,3,k1\n# a word about it\nsku:47566\n7,1\n";
    let done = shop.run_with(&["enqueue", "--from", "-", "--output", "json"], file).await.json();
    assert_eq!(rounds(&done), [(42, json!(1)), (42, json!(2)), (7, json!(1))]);
    assert!(done[0]["request"].is_i64());
    // Under the same key the same round; without one a new one.
    let again = shop.run_with(&["enqueue", "--from", "-", "--output", "json"], "42,3,k1\n7\n").await.json();
    assert_eq!(rounds(&again), [(42, json!(1)), (7, json!(2))]);
    let dark = shop.without_redis().run_with(&["enqueue", "--from", "-", "--output", "json"], "42\n7\n").await;
    assert_eq!(rounds(&dark.json()), [(42, json!(null)), (7, json!(null))]);
    assert!(dark.stderr.contains("2 requests wait in the outbox"), "{dark:?}");
}

#[tokio::test]
async fn a_bad_line_in_the_middle_is_named_and_nothing_is_changed() {
    let shop = Shop::open().await;
    shop.done(&["enqueue", "7", "--quantity", "4", "--key", "k1"]).await;
    let before = shop.json(&["status"]).await;
    for (file, code, words) in [
        ("42\n4x\n7,1\n", 2, ["stdin, line 2:", "product `4x`"]),
        ("42\n7,many\n", 2, ["stdin, line 2:", "quantity `many`"]),
        ("42\n7,1,#k\n", 2, ["stdin, line 2:", "key `#k`"]),
        ("42\n\n999\n7,1\n", 3, ["stdin, line 3:", "no product 999"]),
        ("42\n7,1,k1\n", 4, ["stdin, line 2:", "quantity 4"]),
        ("", 2, ["stdin names no product", "one a line"]),
    ] {
        shop.run_with(&["enqueue", "--from", "-"], file).await.fails(code, &words);
        assert_eq!(shop.json(&["status"]).await, before, "{file:?}");
    }
    shop.run(&["enqueue", "--from", "/does/not/exist"]).await.fails(2, &["/does/not/exist", "check the path"]);
}

#[tokio::test]
async fn a_line_that_redis_refuses_is_named_and_the_others_go_on() {
    let shop = Shop::open().await;
    let ended = shop.run_with(&["enqueue", "--from", "-", "--output", "json"], "7\n42\n").await;
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(
        ended.stderr.contains("1 of 2 lines were refused") && ended.stderr.contains("line 1: product 7"),
        "{ended:?}"
    );
    let rows: Value = serde_json::from_str(&ended.stdout).expect("a row for each line is printed");
    assert_eq!(rounds(&rows), [(7, json!(null)), (42, json!(1))]);
    let error = rows[0]["error"].as_str().expect("why it was refused");
    assert!(error.contains("stdin, line 1: product 7") && rows[1]["error"].is_null(), "{rows}");
    let table = shop.run_with(&["enqueue", "--from", "-"], "7\n42\n").await;
    assert_eq!((table.code, table.stdout.lines().count()), (4, 2), "{table:?}");
}

#[tokio::test]
async fn a_file_is_waited_for_to_the_end_of_all_its_rounds() {
    let shop = Shop::open_with(&["--channels", "null"]).await;
    shop.done(&["subscribe", "42", "1001"]).await;
    shop.done(&["subscribe", "7", "1001"]).await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    let ended = shop.run_with(&["enqueue", "--from", "-", "--wait"], "42\n7,1\n").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for product in ["42", "7"] {
        assert_eq!(shop.json(&["status", product]).await[0]["status"], "COMPLETED");
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let shop = Shop::open().await;
    shop.done(&["subscribe", "42", "1001", "1002", "1003", "1004"]).await;
    shop.done(&["unsubscribe", "42", "1002"]).await;
    let forecast = json!({ "product": 42, "people": 3, "seconds": 0.006 });
    assert_eq!(shop.json(&["enqueue", "42", "--dry-run"]).await, forecast);
    assert_eq!(shop.without_redis().json(&["enqueue", "42", "--dry-run"]).await, forecast);
    let many = shop.run_with(&["enqueue", "--from", "-", "--dry-run", "--output", "json"], "42\n7,1\n").await.json();
    assert_eq!(many, json!([forecast, { "product": 7, "people": 0, "seconds": 0.0 }]));
    shop.run(&["enqueue", "7", "--dry-run"]).await.fails(4, &["7", "no stock"]);
    shop.run_with(&["enqueue", "--from", "-", "--dry-run"], "42\n7\n").await.fails(4, &["line 2", "no stock"]);
    shop.run(&["enqueue", "999", "--dry-run"]).await.fails(3, &["999"]);
    shop.run(&["cancel", "42", "--dry-run"]).await.fails(4, &["nothing to cancel"]);
    shop.run(&["resume", "42", "--dry-run"]).await.fails(4, &["nothing to resume"]);
    assert_eq!(shop.json(&["status"]).await, json!([]));

    shop.done(&["enqueue", "42", "--key", "k1"]).await;
    let known = shop.json(&["enqueue", "42", "--key", "k1", "--dry-run"]).await;
    assert_eq!(known["people"], 0);
    let open =
        json!([{ "product": 42, "round": 1, "channel": "webhook", "waiting": null, "owner": null, "people": 3 }]);
    assert_eq!(shop.json(&["cancel", "42", "--dry-run"]).await, open);
    assert_eq!(shop.json(&["status", "42"]).await[0]["status"], "QUEUED");
    shop.done(&["cancel", "42"]).await;
    let ended = json!([{
        "product": 42, "round": 1, "channel": "webhook", "cursor": null, "skipped": null, "people": 3
    }]);
    assert_eq!(shop.json(&["resume", "42", "--dry-run"]).await, ended);
    shop.run(&["resume", "42", "--dry-run", "--skip"]).await.fails(4, &["nobody blocks"]);
    shop.run(&["resume", "42", "--dry-run", "--retry-failed"]).await.fails(4, &["42"]);
    shop.done(&["stock", "set", "42", "0"]).await;
    shop.run(&["resume", "42", "--dry-run"]).await.fails(4, &["no stock"]);
    assert_eq!(shop.json(&["status", "42"]).await[0]["status"], "CANCELED_BY_ADMIN");
    // What only asks is not kept.
    let kept = shop.json(&["actions", "42"]).await;
    let kept: Vec<_> = kept.as_array().expect("an array").iter().map(|row| row["action"].as_str()).collect();
    assert_eq!(kept, [Some("stock set"), Some("cancel")]);
}

#[tokio::test]
async fn a_dry_run_counts_from_where_a_round_was_cut_off() {
    let shop = Shop::open_with(&["--channels", "null", "--rate", "10"]).await;
    let users: Vec<String> = (1001..1041).map(|user| user.to_string()).collect();
    let subscribe: Vec<&str> = ["subscribe", "42"].into_iter().chain(users.iter().map(String::as_str)).collect();
    shop.done(&subscribe).await;
    let _worker = shop.worker(&[]);
    shop.done(&["enqueue", "42"]).await;
    shop.until(&["status", "42"], |rows| rows[0]["sent"].as_u64().is_some_and(|sent| sent > 3)).await;
    shop.done(&["stock", "set", "42", "0"]).await;
    let rows = shop.until(&["status", "42"], |rows| rows[0]["status"] == "CANCELED_BY_SOLD_OUT").await;
    let left = 40 - rows[0]["sent"].as_u64().expect("a number");
    let forecast = shop.json(&["enqueue", "42", "--quantity", "5", "--dry-run"]).await;
    assert_eq!(forecast["people"], left);
    assert!((forecast["seconds"].as_f64().expect("a number") - left as f64 * 0.102).abs() < 0.001, "{forecast}");
    shop.done(&["stock", "set", "42", "5"]).await;
    let resumed = shop.json(&["resume", "42", "--dry-run"]).await;
    assert_eq!((&resumed[0]["people"], &resumed[0]["cursor"]), (&json!(left), &rows[0]["cursor"]));
}

#[tokio::test]
async fn a_test_message_shows_what_the_channel_answers() {
    let shop = Shop::open().await;
    let receiver = Receiver::start(|delivery| match delivery.key.user.0 {
        410 => Reaction::status(410),
        401 => Reaction::status(401),
        503 => Reaction { retry_after: Some(Duration::from_secs(7)), ..Reaction::status(503) },
        _ => Reaction::accept(),
    })
    .await
    .expect("the receiver starts");
    let url = receiver.url();
    let args = |user: &'static str| ["test-send", "42", "--user", user, "--webhook-url", url.as_str()];
    let sent = shop.json(&args("1001")).await;
    assert_eq!((&sent["channel"], &sent["answer"], &sent["reason"]), (&json!("webhook"), &json!("SENT"), &json!(null)));
    let delivery = receiver.recording().deliveries()[0].key.clone();
    assert_eq!((delivery.lane.product.0, delivery.round.0, delivery.user.0), (42, 0, 1001));
    for (user, answer, word) in
        [("410", "FAILED", "410"), ("401", "WRONG", "401"), ("503", "RETRY", "503, not before 7 s")]
    {
        let ended = shop.run(&args(user)).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stdout.contains(answer) && ended.stderr.contains(word), "{ended:?}");
    }
    shop.run(&["test-send", "42", "--user", "1001"]).await.fails(2, &["--webhook-url"]);
    shop.run(&["test-send", "999", "--user", "1001"]).await.fails(3, &["999"]);
    shop.run(&["test-send", "42", "--user", "1001", "--channel", "null"]).await.fails(4, &["null", "not enabled"]);
    shop.done(&["pause"]).await;
    shop.run(&args("1001")).await.fails(4, &["paused", "unpause"]);
    let actions = shop.json(&["actions", "42"]).await;
    let results: Vec<_> = actions.as_array().expect("an array").iter().map(|row| row["result"].clone()).collect();
    assert_eq!(results.last(), Some(&json!("user 1001: SENT")));
    assert_eq!(receiver.count(), 4);
}
