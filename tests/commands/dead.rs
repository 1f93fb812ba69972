//! Dead letters: what was given up is seen, tried again or forgotten.

use restock::demo::receiver::{Reaction, Receiver};
use serde_json::{Value, json};

use super::shop::Shop;

fn id(row: &Value) -> &str {
    row["id"].as_str().expect("an id")
}

#[tokio::test]
async fn a_round_that_killed_its_workers_is_set_aside_and_goes_on_when_it_is_replayed() {
    let shop = Shop::open().await;
    shop.done(&["subscribe", "42", "1001", "1002"]).await;
    let receiver = Receiver::start(|_| Reaction::hang()).await.expect("the receiver starts");
    let url = receiver.url();
    let options =
        ["--webhook-url", &url, "--claim-idle-ms", "500", "--attempts-max", "1", "--send-timeout-ms", "60000"];
    shop.done(&["enqueue", "42"]).await;
    let mut owner = json!(null);
    for _ in 0..2 {
        let mut worker = shop.worker(&options);
        let begun = |rows: &Value| rows[0]["owner"].is_string() && rows[0]["owner"] != owner;
        let rows = shop.until(&["pending"], begun).await;
        worker.kill().await.expect("it is killed");
        owner = rows[0]["owner"].clone();
    }
    let _last = shop.worker(&options);
    let rows = shop.until(&["dead", "list"], |rows| rows[0].is_object()).await;
    let row = &rows[0];
    assert_eq!((&row["kind"], &row["product"], &row["round"]), (&json!("round"), &json!(42), &json!(1)));
    assert_eq!((&row["channel"], &row["reason"]), (&json!("webhook"), &json!("attempts")));
    assert!(row["at"].is_string(), "{row}");
    assert_eq!(shop.json(&["status", "42"]).await[0]["status"], "CANCELED_BY_ERROR");
    assert_eq!(shop.json(&["dead", "show", id(row)]).await, *row);

    let would = shop.json(&["dead", "replay", "--all", "--dry-run"]).await;
    assert_eq!(would[0]["result"], "round 1 would go on, 2 people left");
    assert_eq!(shop.json(&["dead", "list", "--product", "7"]).await, json!([]));
    assert_eq!(shop.json(&["dead", "replay", "--product", "7"]).await, json!([]));
    shop.done(&["stock", "set", "42", "0"]).await;
    shop.run(&["dead", "replay", id(row)]).await.fails(4, &[id(row), "no stock"]);
    shop.done(&["stock", "set", "42", "5"]).await;
    let done = shop.json(&["dead", "replay", "--product", "42", "--by", "ann"]).await;
    assert_eq!((&done[0]["done"], &done[0]["result"]), (&json!(true), &json!("round 1 goes on")));
    shop.until(&["status", "42"], |rows| rows[0]["status"] == "IN_PROGRESS").await;
    assert_eq!(shop.json(&["dead", "list"]).await, json!([]));
    shop.run(&["dead", "replay", id(row)]).await.fails(3, &[id(row), "dead list"]);
    let did = &shop.json(&["actions", "--limit", "1"]).await[0];
    assert_eq!((&did["by"], &did["action"], &did["product"]), (&json!("ann"), &json!("dead replay"), &json!(42)));
    assert_eq!(did["result"], format!("1 of 1: {}", id(row)));
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_holds_back_nobody_and_is_shown_until_it_is_dropped() {
    let shop = Shop::open_with(&["--channels", "null"]).await;
    shop.done(&["subscribe", "42", "1001"]).await;
    let jobs = format!("{{{}:0}}:jobs:null", shop.namespace);
    shop.redis(&format!("XADD {jobs} * stuff \"\\xff\\xfe\" other 7")).await;
    shop.redis(&format!("XADD {jobs} * product none")).await;
    shop.done(&["enqueue", "42"]).await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.until(&["status", "42"], |rows| rows[0]["status"] == "COMPLETED").await;
    let rows = shop.until(&["dead", "list"], |rows| rows.as_array().is_some_and(|rows| rows.len() == 2)).await;
    assert_eq!((&rows[0]["kind"], &rows[0]["product"]), (&json!("job"), &json!(null)));
    assert_eq!(rows[0]["detail"], "stuff=\u{fffd}\u{fffd} other=7");
    assert_eq!(shop.json(&["pending"]).await, json!([]));
    shop.run(&["dead", "replay", id(&rows[0])]).await.fails(4, &["names no product", "dead drop"]);
    let left = shop.run(&["dead", "replay", "--all"]).await;
    assert!(left.code == 4 && left.stderr.contains("2 of 2 were left"), "{left:?}");
    let table = shop.done(&["dead", "show", id(&rows[1])]).await.stdout;
    assert!(table.contains("product=none"), "{table}");
    assert_eq!(shop.json(&["dead", "drop", id(&rows[0]), "--dry-run"]).await[0]["result"], "would be dropped");
    assert_eq!(shop.json(&["dead", "drop", id(&rows[0])]).await[0]["done"], true);
    assert_eq!(shop.json(&["dead", "list"]).await, json!([rows[1]]));
    shop.done(&["dead", "drop", "--all"]).await;
    assert_eq!(shop.json(&["dead", "list"]).await, json!([]));
}

#[tokio::test]
async fn a_refused_row_is_tried_again_until_mysql_takes_it() {
    let shop = Shop::open_with(&["--channels", "null"]).await;
    shop.done(&["subscribe", "42", "1001", "1002", "1003"]).await;
    shop.execute("ALTER TABLE product_user_notification_history ADD CONSTRAINT one CHECK (user_id <> 1002)").await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.done(&["enqueue", "42", "--wait"]).await;
    let people = async || shop.json(&["history", "42", "--round", "1"]).await.as_array().map(Vec::len);
    let rows = shop.until(&["dead", "list", "--product", "42"], |rows| rows[0].is_object()).await;
    let row = &rows[0];
    assert_eq!((&row["kind"], &row["round"], &row["channel"]), (&json!("log:person"), &json!(1), &json!("null")));
    assert!(row["reason"].as_str().expect("text").starts_with("user 1002 in round 1 of 42/null: "), "{row}");
    assert_eq!((people().await, &shop.json(&["status", "42"]).await[0]["refused"]), (Some(2), &json!(1)));
    assert_eq!(shop.json(&["dead", "replay", id(row), "--dry-run"]).await[0]["result"], "would be logged again");

    shop.done(&["dead", "replay", id(row)]).await;
    let again = shop.until(&["dead", "list"], |rows| rows[0]["reason"].as_str().is_some_and(|r| r.contains("2 times")));
    assert_eq!(again.await[0]["id"], row["id"], "refused once more, it stands there once");
    shop.execute("ALTER TABLE product_user_notification_history DROP CONSTRAINT one").await;
    shop.done(&["dead", "replay", "--all"]).await;
    shop.until(&["history", "42", "--round", "1"], |rows| rows.as_array().is_some_and(|rows| rows.len() == 3)).await;
    let history = shop.json(&["history", "42", "--round", "1"]).await;
    assert_eq!((&history[1]["user"], &history[1]["outcome"]), (&json!(1002), &json!("SENT")));
    assert_eq!(shop.json(&["dead", "list"]).await, json!([]));
    assert_eq!(shop.json(&["status", "42"]).await[0]["refused"], 0);
    shop.run(&["dead", "drop", id(row)]).await.fails(3, &[id(row)]);
}
