//! Several rates in one request.

use std::time::Duration;

use super::shop::Shop;

#[tokio::test]
async fn rates_are_changed_all_at_once_or_not_at_all() {
    let shop = Shop::open().await;
    let api = shop.api_with(&["--request-timeout-ms", "1000"]).await;
    api.put("/api/rate", r#"{"limit":400,"channels":{"null":100}}"#).await.is(200);
    let pool = shop.pool().await;
    let mut holder = pool.begin().await.expect("MySQL answers");
    let lock = "SELECT name FROM setting WHERE name = 'rate.null' FOR UPDATE";
    sqlx::query(lock).execute(&mut *holder).await.expect("it is locked");
    let answer = api.put("/api/rate", r#"{"limit":7,"channels":{"null":5}}"#).await;
    assert!(answer.took < Duration::from_secs(5), "{answer:?}");
    answer.fails(503, "too-slow", "");
    // The total comes first, and is not to be seen without the rest.
    assert_eq!(api.get("/api/rate").await.is(200).body[0]["limit"], 400);
    holder.commit().await.expect("MySQL answers");
    let both = api.until(|answer| answer.body[0]["limit"] == 7, "/api/rate").await;
    assert_eq!(both.body[1]["limit"], 5);
}
