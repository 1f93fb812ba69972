//! The pages: what they are sent with, that they need no token and show nothing without one, and what they ask for.

use restock::token::{TokenHash, fresh};
use serde_json::json;

use super::shop::Shop;

#[tokio::test]
async fn the_pages_are_for_everybody_and_are_sent_once() {
    let shop = Shop::open().await;
    let hash = TokenHash::of(&fresh()).to_string();
    let api = shop.start(&["--admin-token-hash", &hash]).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/me", "text/html; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/rounds.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer = api.get(path).await.is(200);
        assert_eq!(answer.header("content-type"), kind, "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("set-cookie"), "", "{path}");
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "trusted-types 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let tag = answer.header("etag").to_owned();
        let again = api.ask("GET", path, &[("if-none-match", &tag)], "").await.is(304);
        assert_eq!((again.header("etag"), &again.body), (tag.as_str(), &json!("")), "{path}");
        let other = api.ask("GET", path, &[("if-none-match", "\"other\"")], "").await.is(200);
        assert_eq!(other.body, answer.body, "{path}");
        api.ask("HEAD", path, &[], "").await.is(200);
        api.post(path, "").await.fails(405, "method-not-allowed", "");
    }
    api.get("/page/nothing.js").await.fails(404, "not-found", "");
    api.get("/page/../Cargo.toml").await.fails(404, "not-found", "");
    // Whatever they show is behind the token.
    for path in ["/api/rounds/stream", "/api/products?sku=47566", "/api/products/42/line", "/api/users/1/notifications"]
    {
        api.get(path).await.fails(401, "unauthorized", "");
    }
}

#[tokio::test]
async fn a_product_is_found_by_its_code() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let found = api.get("/api/products?sku=47566").await.is(200).body;
    assert_eq!(
        (&found["items"][0]["id"], &found["items"][1], &found["next"]),
        (&json!(42), &json!(null), &json!(null))
    );
    assert_eq!(api.get("/api/products?sku=47566&after=42").await.is(200).body["items"], json!([]));
    assert_eq!(api.get("/api/products?sku=none").await.is(200).body["items"], json!([]));
    api.get("/api/products?sku=").await.fails(400, "bad-request", "sku");
}

#[tokio::test]
async fn who_stands_in_line_is_listed_in_order_by_pages() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let empty = api.get("/api/products/42/line").await.is(200).body;
    assert_eq!(empty, json!({ "waiting": 0, "at_least": false, "items": [], "next": null }));
    shop.cli(&["subscribe", "42", "5", "3", "9", "7"]).await;
    shop.cli(&["unsubscribe", "42", "3"]).await;
    // What was counted is good for a while.
    api.until(|answer| answer.body["waiting"] == 3, "/api/products/42/line").await;
    let (mut users, mut after) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/products/42/line?limit=2{after}")).await.is(200).body;
        assert_eq!((&page["waiting"], &page["at_least"]), (&json!(3), &json!(false)));
        let people = page["items"].as_array().expect("people").clone();
        users.extend(people.iter().map(|person| (person["user"].as_i64(), person["active"].as_bool())));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected = [(5, true), (3, false), (9, true), (7, true)].map(|(user, active)| (Some(user), Some(active)));
    assert_eq!(users, expected);
    api.get("/api/products/42/line?after=x").await.fails(400, "bad-request", "after");
    api.get("/api/products/42/line?limit=0").await.fails(400, "bad-request", "limit");
    api.get("/api/products/43/line").await.fails(404, "not-found", "");
}
