//! The stock, changed by who knows how it stands.

use super::shop::Shop;

const STOCK: &str = "/api/products/42/stock";

#[tokio::test]
async fn a_late_update_does_not_bring_back_a_stock_that_is_gone() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let json = ("content-type", "application/json");
    let seen = api.get(STOCK).await.is(200);
    let tag = seen.header("etag");
    assert_eq!(tag, format!("\"{}\"", seen.body["version"].as_str().expect("a version")));
    // Nothing but the first installation in Redis came between.
    let gone = api.ask("PUT", STOCK, &[json, ("if-match", tag)], r#"{"stock":0}"#).await.is(200);
    assert_ne!(gone.header("etag"), tag);
    let late = api.ask("PUT", STOCK, &[json, ("if-match", tag)], r#"{"stock":5}"#).await;
    late.fails(412, "stock-has-changed", "");
    let now = api.get(STOCK).await.is(200);
    assert_eq!((&now.body["stock"], now.header("etag")), (&0.into(), gone.header("etag")));

    // The same stock again is another state: what was seen before the first time is late too.
    api.put(STOCK, r#"{"stock":5}"#).await.is(200);
    api.ask("PUT", STOCK, &[json, ("if-match", tag)], r#"{"stock":9}"#).await.fails(412, "stock-has-changed", "");
    api.ask("PUT", STOCK, &[json, ("if-match", "*")], r#"{"stock":9}"#).await.is(200);
    api.ask("PUT", STOCK, &[json, ("if-match", "\"")], r#"{"stock":9}"#).await.fails(400, "bad-request", "If-Match");
    let version = api.get(STOCK).await.body["version"].as_str().expect("a version").to_owned();
    api.ask("PUT", STOCK, &[json, ("if-match", &version)], r#"{"stock":8}"#).await.is(200);
}

#[tokio::test]
async fn of_many_who_saw_the_same_stock_one_changes_it() {
    let shop = Shop::open().await;
    let (one, other) = (shop.api().await, shop.api().await);
    one.put(STOCK, r#"{"stock":5}"#).await.is(200);
    let tag = one.get(STOCK).await.header("etag").to_owned();
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    let puts = (0..20).map(|n| {
        let api = if n % 2 == 0 { &one } else { &other };
        let body = format!("{{\"stock\":{n}}}");
        async move { api.ask("PUT", STOCK, &headers, &body).await.status }
    });
    let statuses = futures_util::future::join_all(puts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 19, "{statuses:?}");
}

#[tokio::test]
async fn what_cannot_be_in_stock_is_named() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    for bad in [r#"{"stock":-1}"#, r#"{"stock":1.5}"#, r#"{"stock":"1"}"#, r#"{"stock":1000000000001}"#, "{}"] {
        api.put(STOCK, bad).await.fails(422, "invalid-fields", "stock");
    }
    api.put("/api/products/999/stock", r#"{"stock":1}"#).await.fails(404, "not-found", "");
}

#[tokio::test]
async fn a_redis_that_came_back_with_older_data_does_not_say_what_is_in_stock() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let old = api.put(STOCK, r#"{"stock":5}"#).await.is(200);
    // What MySQL has heard of and Redis has lost.
    shop.execute("UPDATE product SET stock = 0, restock_round = 3, epoch = 1000, version = 7 WHERE id = 42").await;
    let now = api.get(STOCK).await.is(200);
    assert_eq!((&now.body["stock"], now.header("etag")), (&0.into(), "\"1000-7\""));
    let product = api.get("/api/products/42").await.is(200);
    assert_eq!((&product.body["stock"], &product.body["round"]), (&0.into(), &3.into()));
    // Once Redis has learned of it, it is that again, and what was seen before the loss is late.
    let key = shop.redis("HDEL {{ns}:0}:product:42 run").await;
    assert_eq!(key.lines().next(), Some(":1"), "{key}");
    let headers = [("content-type", "application/json"), ("if-match", old.header("etag"))];
    api.ask("PUT", STOCK, &headers, r#"{"stock":9}"#).await.fails(412, "stock-has-changed", "");
    assert_eq!(api.get(STOCK).await.is(200).body["stock"], 0);
}

#[tokio::test]
async fn what_cannot_be_read_in_redis_is_shown_as_it_is_recorded() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    api.put(STOCK, r#"{"stock":9}"#).await.is(200);
    shop.redis("HSET {{ns}:0}:product:42 stock many").await;
    assert_eq!(api.get(STOCK).await.is(200).body["stock"], 5);
    assert_eq!(api.get("/api/products/42").await.is(200).body["stock"], 5);
}
