//! A backend that is gone: 503 with Retry-After, in time, and everything as before when it is back.

use std::time::Duration;

use restock::local::Servers;
use serde_json::json;

use super::shop::{Answer, Api, Shop};

/// The time of a request, and some for a machine that is busy with other tests.
const IN_TIME: Duration = Duration::from_millis(5_000 + 2_500);
const RESTOCK: &str = "/api/products/42/notifications/re-stock";
const STOCK: &str = "/api/products/42/stock";

#[track_caller]
fn unavailable(answer: Answer) {
    assert!(answer.took < IN_TIME, "{answer:?}");
    let kind = answer.body["type"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default().to_owned();
    assert!(matches!(kind.as_str(), "unavailable" | "too-slow"), "{answer:?}");
    answer.fails(503, &kind, "");
}

async fn works(api: &Api) {
    api.until(|answer| answer.status == 200 && answer.body["live"] == true, "/api/products/42/rounds").await;
    api.put(STOCK, r#"{"stock":5}"#).await.is(200);
}

#[tokio::test]
async fn without_redis_restocks_are_kept_and_the_record_is_shown() {
    let own = Servers::start().await.expect("servers");
    let shop = Shop::open_on(&own).await;
    let api = shop.api().await;
    works(&api).await;
    for frozen in [false, true] {
        if frozen { own.redis.freeze().await } else { own.redis.kill().await }.expect("Redis is away");
        // It still seems to be connected: half of what was given up is not all of it.
        unavailable(api.get("/api/dead").await);
        unavailable(api.put(STOCK, r#"{"stock":5}"#).await);
        unavailable(api.get("/api/pending").await);
        unavailable(api.post("/api/admin/products/42/notifications/pause", "").await);
        let rounds = api.get("/api/products/42/rounds").await.is(200);
        assert!(rounds.body["live"] == false && rounds.took < IN_TIME, "{rounds:?}");
        let key = [("idempotency-key", if frozen { "frozen" } else { "gone" })];
        let kept = api.ask("POST", RESTOCK, &key, "").await.is(202);
        assert!(kept.body["round"].is_null() && kept.took < IN_TIME, "{kept:?}");
        let request = api.get(kept.header("location")).await.is(200);
        assert_eq!((&request.body["state"], &request.body["round"]), (&"PENDING".into(), &json!(null)));
        if frozen { own.redis.thaw().await } else { own.redis.start_again().await }.expect("Redis is back");
        works(&api).await;
        let again = api.ask("POST", RESTOCK, &key, "").await.is(202);
        assert_eq!(again.body["request"], kept.body["request"]);
        assert!(again.body["round"].is_u64(), "{again:?}");
    }
}

#[tokio::test]
async fn without_mysql_it_says_so_in_time() {
    let own = Servers::start().await.expect("servers");
    let shop = Shop::open_on(&own).await;
    let api = shop.api().await;
    works(&api).await;
    for frozen in [false, true] {
        if frozen { own.mysql.freeze().await } else { own.mysql.kill().await }.expect("MySQL is away");
        let many = (0..8).map(|_| api.post(RESTOCK, ""));
        futures_util::future::join_all(many).await.into_iter().for_each(unavailable);
        unavailable(api.get("/api/products/42").await);
        unavailable(api.put("/api/rate", r#"{"limit":5}"#).await);
        if frozen { own.mysql.thaw().await } else { own.mysql.start_again().await }.expect("MySQL is back");
        works(&api).await;
    }
}

#[tokio::test]
async fn a_restock_that_is_kept_is_accepted_whatever_comes_after() {
    let own = Servers::start().await.expect("servers");
    let shop = Shop::open_on(&own).await;
    let mysql = shop.pool().await;
    let api = shop.api().await;
    // Redis does not hold the product, and nobody may look at its row: it cannot be installed.
    let mut tx = mysql.begin().await.expect("MySQL answers");
    sqlx::query("SELECT id FROM product WHERE id = 42 FOR UPDATE").execute(&mut *tx).await.expect("MySQL answers");
    let held = api.post(RESTOCK, "").await.is(202);
    assert!(held.body["round"].is_null() && held.took < IN_TIME, "{held:?}");
    tx.rollback().await.expect("MySQL answers");

    // It still seems to be connected, and the request ends before the call does.
    let hasty = shop.api_with(&["--request-timeout-ms", "1000"]).await;
    works(&hasty).await;
    own.redis.freeze().await.expect("Redis is away");
    let late = hasty.post(RESTOCK, "").await.is(202);
    assert!(late.body["round"].is_null() && late.took < Duration::from_secs(2), "{late:?}");
    assert_eq!(hasty.get(late.header("location")).await.is(200).body["state"], "PENDING");
    own.redis.thaw().await.expect("Redis is back");
}

#[tokio::test]
async fn a_mysql_that_may_only_be_read_is_one_that_does_not_answer() {
    let own = Servers::start().await.expect("servers");
    let shop = Shop::open_on(&own).await;
    shop.execute("SET GLOBAL TRANSACTION READ ONLY").await;
    let api = shop.api().await;
    api.get("/api/products/42").await.is(200);
    unavailable(api.ask("PUT", "/api/products/42/subscriptions/7", &[], "").await);
    unavailable(api.post("/api/admin/products/42/notifications/pause", "").await);
    let lost = api.post(RESTOCK, "").await;
    assert!(lost.body["detail"].as_str().is_some_and(|detail| detail.contains("may have been done")), "{lost:?}");
    unavailable(lost);
    let keyed = api.ask("POST", RESTOCK, &[("idempotency-key", "k")], "").await;
    assert!(keyed.body["detail"].as_str().is_some_and(|detail| detail.contains("same Idempotency-Key")), "{keyed:?}");
}

#[tokio::test]
async fn it_listens_before_the_backends_are_there() {
    let own = Servers::start().await.expect("servers");
    let shop = Shop::open_on(&own).await;
    own.mysql.kill().await.expect("MySQL is away");
    let api = shop.start(&[]).await;
    unavailable(api.get("/api/products/42").await);
    api.get("/openapi.json").await.is(200);
    own.mysql.start_again().await.expect("MySQL is back");
    works(&api).await;
}
