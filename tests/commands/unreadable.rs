//! Fields that somebody broke by hand: the tools show what is left, and nothing is written about them without end.

use restock::demo::receiver::{Reaction, Receiver};
use serde_json::{Value, json};

use super::shop::Shop;

impl Shop {
    async fn break_field(&self, key: &str, field: &str, value: &str) {
        self.redis(&format!("HSET {{{}:0}}:{key} {field} {value}", self.namespace)).await;
    }
}

#[tokio::test]
async fn a_product_that_cannot_be_read_is_a_finding_and_hides_no_other() {
    let shop = Shop::open().await;
    shop.done(&["product", "add", "8", "--name", "Lamp", "--stock", "5"]).await;
    for product in ["42", "8"] {
        shop.done(&["enqueue", product]).await;
    }
    let _flusher = shop.flusher();
    shop.break_field("product:42", "stock", "abc").await;
    shop.break_field("lane:8:webhook", "status", "GARBAGE").await;
    for args in [&["verify"][..], &["verify", "--repair"], &["verify", "42"]] {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        let ended = shop.run(&args).await;
        assert_eq!(ended.code, 6, "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("an array");
        let about = |kind: &str| findings.iter().find(|finding| finding["kind"] == kind);
        let product = about("product_unreadable").unwrap_or_else(|| panic!("{args:?}: {report}"));
        assert_eq!(product["product"], 42, "{product}");
        assert!(product["detail"].as_str().expect("text").contains("abc"), "{product}");
        assert!(about("product_absent").is_none(), "it is there: {report}");
        assert_eq!(about("lane_unreadable").is_some(), !args.contains(&"42"), "{args:?}: {report}");
    }
    // As the advice says.
    shop.done(&["stock", "set", "42", "6"]).await;
    shop.until(&["product", "show", "42"], |row| row["stock"] == 6).await;
    let left = shop.run(&["verify", "42", "--output", "json"]).await;
    assert!(!left.stdout.contains("product_unreadable"), "{left:?}");
}

#[tokio::test]
async fn a_lane_that_cannot_be_read_is_named_and_the_others_are_shown() {
    let shop = Shop::open_with(&["--channels", "null", "--rate", "2"]).await;
    shop.done(&["product", "add", "8", "--name", "Lamp", "--stock", "5"]).await;
    let users: Vec<String> = (1001..1101).map(|user| user.to_string()).collect();
    for product in ["42", "8"] {
        let subscribe: Vec<&str> = ["subscribe", product].into_iter().chain(users.iter().map(String::as_str)).collect();
        shop.done(&subscribe).await;
    }
    let _roles = (shop.flusher(), shop.worker(&["--claim-idle-ms", "60000"]));
    for product in ["42", "8"] {
        shop.done(&["enqueue", product]).await;
    }
    let both = |rows: &Value| rows[0]["cursor"].is_string() && rows[1]["cursor"].is_string();
    shop.until(&["pending"], both).await;
    shop.until(&["status"], |rows| rows[0]["status"] == "IN_PROGRESS" && rows[1]["status"] == "IN_PROGRESS").await;
    shop.break_field("lane:42:null", "status", "GARBAGE").await;

    for args in [&["status"][..], &["status", "42"]] {
        let ended = shop.done(&[args, &["--output", "json"]].concat()).await;
        let rows: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let row = rows.as_array().expect("an array").iter().find(|row| row["product"] == 42).expect("a row");
        assert_eq!((&row["round"], &row["status"]), (&json!(1), &json!("IN_PROGRESS")), "as MySQL knows it: {row}");
        assert!(ended.stderr.contains("42/null") && ended.stderr.contains("GARBAGE"), "{ended:?}");
    }
    let rows = shop.done(&["pending", "--output", "json"]).await;
    assert!(rows.stderr.contains("42/null") && rows.stderr.contains("GARBAGE"), "{rows:?}");
    let rows: Value = serde_json::from_str(&rows.stdout).expect("JSON");
    let of = |product: i64| rows.as_array().expect("an array").iter().find(|row| row["product"] == product).cloned();
    assert_eq!(of(8).expect("a row")["status"], "IN_PROGRESS");
    if let Some(row) = of(42) {
        assert_eq!((&row["status"], &row["round"]), (&Value::Null, &Value::Null), "{row}");
    }
}

#[tokio::test]
async fn a_lane_that_cannot_be_read_comes_to_rest() {
    for (field, value) in [("status", "GARBAGE"), ("last_user", "GARBAGE"), ("upto", "later")] {
        let shop = Shop::open_with(&["--rate", "20"]).await;
        let users: Vec<String> = (1001..1501).map(|user| user.to_string()).collect();
        let subscribe: Vec<&str> = ["subscribe", "42"].into_iter().chain(users.iter().map(String::as_str)).collect();
        shop.done(&subscribe).await;
        let receiver = Receiver::start(|_| Reaction::accept()).await.expect("the receiver starts");
        let worker = ["--webhook-url", &receiver.url(), "--claim-idle-ms", "1000"].map(str::to_owned);
        let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
        let _roles = (shop.flusher(), shop.worker(&worker));
        shop.done(&["enqueue", "42"]).await;
        receiver.wait_for(10).await;
        shop.break_field("lane:42:webhook", field, value).await;
        // Whoever takes the entry next drops it: after that nobody touches the lane.
        shop.until(&["pending"], |rows| rows.as_array().is_some_and(Vec::is_empty)).await;
        let length = async || shop.redis(&format!("XLEN {{{}:0}}:jobs:webhook", shop.namespace)).await;
        assert!(length().await.starts_with(":0"), "{field}");
        let rows = shop.json(&["dead", "list"]).await;
        assert!(rows.as_array().expect("an array").len() <= 1, "{field}: {rows}");
        let sent = receiver.count();
        shop.done(&["enqueue", "7", "--quantity", "1", "--wait"]).await;
        assert_eq!(receiver.count(), sent, "{field}: nobody is told by a lane that cannot be read");
    }
}
