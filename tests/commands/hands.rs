//! Seeing why, and who has what; taking a lane away from a dead owner.

use std::sync::atomic::{AtomicBool, Ordering};

use restock::demo::receiver::{Reaction, Receiver};
use serde_json::{Value, json};

use super::shop::Shop;

#[tokio::test]
async fn why_says_for_each_round_whether_somebody_was_told_or_why_not() {
    let shop = Shop::open_with(&["--channels", "null"]).await;
    shop.done(&["subscribe", "42", "1001", "1002", "1003"]).await;
    shop.done(&["unsubscribe", "42", "1002"]).await;
    let flusher = shop.flusher();
    let worker = shop.worker(&[]);
    shop.done(&["enqueue", "42", "--wait"]).await;
    shop.done(&["subscribe", "42", "1004"]).await;
    drop((worker, flusher));

    let told = shop.json(&["why", "sku:47566", "--user", "1003"]).await;
    assert_eq!((&told["user"], &told["position"], &told["active"]), (&json!(1003), &json!(2), &json!(true)));
    assert_eq!(told["place"], told["subscribed_at"]);
    let round = &told["rounds"][0];
    assert_eq!((&round["round"], &round["channel"], &round["outcome"]), (&json!(1), &json!("null"), &json!("SENT")));
    assert!(round["sent_at"].is_string() && round["reason"].is_null(), "{round}");
    let reason = async |user: &str, round: usize| {
        let why = shop.json(&["why", "42", "--user", user]).await;
        assert_eq!((&why["rounds"][round]["outcome"], &why["rounds"][round]["sent_at"]), (&json!(null), &json!(null)));
        why["rounds"][round]["reason"].as_str().expect("a reason").to_owned()
    };
    assert!(reason("1002", 0).await.contains("had unsubscribed"));
    assert!(reason("1004", 0).await.contains("after it began"));
    // A round that only Redis knows of.
    shop.done(&["enqueue", "42"]).await;
    assert_eq!(reason("1004", 1).await, "the round has not begun");
    shop.done(&["pause", "42"]).await;
    assert_eq!(reason("1004", 1).await, "the round has not begun: the product is paused");
    shop.done(&["cancel", "42", "--by", "ann"]).await;
    assert_eq!(reason("1004", 1).await, "the round ended before it began: canceled by ann");

    let table = shop.done(&["why", "42", "--user", "1003"]).await.stdout;
    assert!(table.starts_with("user 1003 is number 2 in line for product 42, since "), "{table}");
    shop.run(&["why", "42", "--user", "9"]).await.fails(3, &["user 9", "product 42", "subscribe"]);
    shop.run(&["why", "999", "--user", "9"]).await.fails(3, &["999", "product list"]);
    assert_eq!(shop.run(&["why", "42"]).await.code, 2);
    let dark = shop.without_redis().done(&["why", "42", "--user", "1001"]).await;
    assert!(dark.stderr.contains("Redis at 127.0.0.1:"), "{dark:?}");
}

#[tokio::test]
async fn who_is_next_in_line_is_shown_with_their_tries() {
    let shop = Shop::open().await;
    shop.done(&["subscribe", "42", "1001", "1002"]).await;
    let receiver = Receiver::start(|delivery| match delivery.key.user.0 {
        1001 => Reaction::hang(),
        _ => Reaction::accept(),
    })
    .await
    .expect("the receiver starts");
    let url = receiver.url();
    let options = ["--webhook-url", &url, "--send-timeout-ms", "200", "--retry-max", "2"];
    let _roles = (shop.flusher(), shop.worker(&options));
    shop.done(&["enqueue", "42"]).await;
    let reason = |why: &Value| why["rounds"][0]["reason"].as_str().unwrap_or_default().to_owned();
    shop.until(&["why", "42", "--user", "1001"], |why| reason(why).contains("is being tried")).await;
    let ended = "which ended the round: no answer";
    let why = shop.until(&["why", "42", "--user", "1001"], |why| reason(why).contains(ended)).await;
    let round = &why["rounds"][0];
    assert!(round["tries"].as_u64().is_some_and(|tries| tries >= 2), "{round}");
    // Who was told ahead of them needs not be told again.
    let ahead = shop.until(&["why", "42", "--user", "1002"], |why| why["rounds"][0]["outcome"].is_string()).await;
    assert_eq!((&ahead["rounds"][0]["outcome"], &ahead["rounds"][0]["tries"]), (&json!("SENT"), &json!(1)));
    let tries = &round["tries"];
    shop.done(&["resume", "42", "--skip"]).await;
    let given_up = shop.until(&["why", "42", "--user", "1001"], |why| why["rounds"][0]["outcome"].is_string()).await;
    let round = &given_up["rounds"][0];
    assert_eq!((&round["outcome"], &round["tries"]), (&json!("UNKNOWN"), tries));
    assert!(round["reason"].as_str().expect("a reason").contains("may have been told"), "{round}");
}

#[tokio::test]
async fn how_often_somebody_was_tried_is_kept() {
    let shop = Shop::open().await;
    shop.done(&["subscribe", "42", "1001", "1002"]).await;
    let refused = AtomicBool::new(false);
    let receiver = Receiver::start(move |delivery| match delivery.key.user.0 {
        1002 if !refused.swap(true, Ordering::Relaxed) => Reaction::status(503),
        _ => Reaction::accept(),
    })
    .await
    .expect("the receiver starts");
    let _roles = (shop.flusher(), shop.worker(&["--webhook-url", &receiver.url()]));
    shop.done(&["enqueue", "42", "--wait"]).await;
    let rows = shop.json(&["history", "42", "--round", "1"]).await;
    assert_eq!((&rows[0]["tries"], &rows[1]["tries"]), (&json!(1), &json!(2)));
    assert_eq!(shop.json(&["why", "42", "--user", "1002"]).await["rounds"][0]["tries"], 2);
}

#[tokio::test]
async fn pending_shows_what_xpending_shows_and_a_dead_owners_lane_is_reclaimed() {
    // Two a second: the lane is held for as long as the test needs.
    let shop = Shop::open_with(&["--channels", "null", "--rate", "2"]).await;
    let users: Vec<String> = (1001..1101).map(|user| user.to_string()).collect();
    let subscribe: Vec<&str> = ["subscribe", "42"].into_iter().chain(users.iter().map(String::as_str)).collect();
    shop.done(&subscribe).await;
    assert_eq!(shop.json(&["pending"]).await, json!([]));
    let mut worker = shop.worker(&["--claim-idle-ms", "60000"]);
    shop.done(&["enqueue", "42"]).await;
    let rows = shop.until(&["pending"], |rows| rows[0]["cursor"].is_string()).await;
    let row = &rows[0];
    assert_eq!((&row["product"], &row["round"], &row["channel"]), (&json!(42), &json!(1), &json!("null")));
    assert_eq!((&row["status"], &row["deliveries"], &row["current"]), (&json!("IN_PROGRESS"), &json!(1), &json!(true)));
    assert_eq!(row["owner"], row["consumer"]);
    // The clock is read first, and the lease may be renewed before it is.
    assert!(row["lease_ms"].as_i64().is_some_and(|ms| (50_000..61_000).contains(&ms)), "{row}");
    let (stream, entry) = (row["stream"].as_str().expect("text"), row["entry"].as_str().expect("text"));
    let shown = shop.redis(&format!("XPENDING {stream} workers - + 10")).await;
    assert!(shown.contains(entry) && shown.contains(row["consumer"].as_str().expect("text")), "{shown}");
    shop.redis(&format!("XCLAIM {stream} workers nobody 0 {entry}")).await;
    let claimed = &shop.json(&["pending"]).await[0];
    assert_eq!((&claimed["consumer"], &claimed["owner"]), (&json!("nobody"), &row["owner"]));

    let kept = shop.json(&["reclaim"]).await;
    assert_eq!((&kept[0]["product"], &kept[0]["reclaimed"]), (&json!(42), &json!(false)));
    worker.kill().await.expect("it is killed");
    let _other = shop.worker(&["--claim-idle-ms", "60000"]);
    let silent = ["reclaim", "42", "--min-idle-ms", "1500"];
    let would =
        shop.until(&["reclaim", "42", "--min-idle-ms", "1500", "--dry-run"], |rows| rows[0]["reclaimed"] == true);
    assert_eq!(would.await[0]["owner"], row["owner"]);
    assert_eq!(shop.json(&["pending"]).await[0]["entry"], entry, "nothing was changed");
    let taken = shop.json(&silent).await;
    assert_eq!((&taken[0]["owner"], &taken[0]["reclaimed"]), (&row["owner"], &json!(true)));
    let next = shop.until(&["pending"], |rows| rows[0]["owner"].is_string() && rows[0]["owner"] != row["owner"]).await;
    assert_eq!((&next[0]["product"], &next[0]["current"]), (&json!(42), &json!(true)));
    let did = &shop.json(&["actions", "--limit", "1"]).await[0];
    assert_eq!((&did["action"], &did["product"]), (&json!("reclaim"), &json!(42)));
    assert!(did["result"].as_str().expect("text").starts_with("took 42/null from "), "{did}");
    shop.run(&["reclaim", "999"]).await.fails(3, &["999"]);
    let dark = shop.without_redis();
    dark.run(&["pending"]).await.fails(5, &["Redis at 127.0.0.1:"]);
    dark.run(&["reclaim"]).await.fails(5, &["Redis at 127.0.0.1:"]);
}
