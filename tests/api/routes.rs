//! Products, subscriptions, restocks, rounds: what a shop's backend asks for.

use serde_json::json;

use super::shop::Shop;

#[tokio::test]
async fn a_restock_is_announced_told_and_shown() {
    let shop = Shop::open().await;
    let _crew = shop.crew();
    let api = shop.api().await;
    for user in [101, 102, 103] {
        api.ask("PUT", &format!("/api/products/42/subscriptions/{user}"), &[], "").await.is(201);
    }
    let accepted = api.post("/products/42/notifications/re-stock", r#"{"quantity":50}"#).await.is(202);
    assert_eq!(accepted.body["round"], 1);
    let location = accepted.header("location");
    let round = api.until(|round| round.body["lanes"][0]["status"] == "COMPLETED", location).await;
    let lane = &round.body["lanes"][0];
    assert_eq!((&lane["sent"], &lane["last_user"], &lane["left"]), (&3.into(), &103.into(), &json!(null)));

    let people = "/api/products/42/rounds/1/recipients";
    api.until(|page| page.body["items"].as_array().is_some_and(|items| items.len() == 3), people).await;
    let (mut seen, mut path) = (Vec::new(), format!("{people}?limit=1"));
    loop {
        let page = api.get(&path).await.is(200);
        seen.extend(page.body["items"].as_array().expect("items").iter().map(|item| item["user"].clone()));
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("{people}?limit=1&after={next}");
    }
    assert_eq!(seen, [101, 102, 103]);
    let last = api.get(&format!("{people}?after=9999-12-31T23:59:59-00:01")).await.is(200);
    assert_eq!(last.body, json!({"items": [], "next": null}), "nobody stands after the last day");

    let why = api.get("/api/products/42/subscriptions/102").await.is(200);
    assert_eq!((&why.body["position"], &why.body["rounds"][0]["outcome"]), (&2.into(), &"SENT".into()));
    let product = api.get("/api/products/42").await.is(200);
    assert_eq!((&product.body["stock"], &product.body["round"]), (&55.into(), &1.into()));
}

#[tokio::test]
async fn the_restock_of_the_description_and_that_at_the_root_are_the_same() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let key = [("idempotency-key", "\"delivery-7\"")];
    let first = api.ask("POST", "/products/42/notifications/re-stock", &key, "").await.is(202);
    let plain = [("idempotency-key", "delivery-7")];
    let again = api.ask("POST", "/api/products/42/notifications/re-stock", &plain, "").await.is(202);
    assert_eq!(first.body, again.body);
    let escaped = [("idempotency-key", r#""delivery \"7\" \\""#)];
    let second = api.ask("POST", "/products/42/notifications/re-stock", &escaped, "").await.is(202);
    let plain = [("idempotency-key", r#"delivery "7" \"#)];
    let again = api.ask("POST", "/products/42/notifications/re-stock", &plain, "").await.is(202);
    assert_eq!(second.body, again.body);
    let other = [("idempotency-key", "delivery-7"), ("content-type", "application/json")];
    let reused = api.ask("POST", "/api/products/42/notifications/re-stock", &other, r#"{"quantity":1}"#).await;
    reused.fails(422, "key-reused", "Idempotency-Key");
    api.post("/api/products/7/notifications/re-stock", "").await.fails(409, "no-stock", "");
    api.post("/api/products/7/notifications/re-stock", "null").await.fails(409, "no-stock", "");
    api.post("/api/products/7/notifications/re-stock", "[]").await.fails(422, "invalid-fields", "body");
    api.post("/api/products/999/notifications/re-stock", "").await.fails(404, "not-found", "");

    let request = format!("/api/products/42/requests/{}", first.body["request"]);
    let shown = api.get(&request).await.is(200);
    assert_eq!((&shown.body["product"], &shown.body["quantity"]), (&42.into(), &0.into()));
    api.get(&request.replace("/42/", "/7/")).await.fails(404, "not-found", "");
}

#[tokio::test]
async fn rounds_are_listed_from_the_newest_whether_recorded_or_not() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    for round in 1..=3 {
        let accepted = api.post("/api/products/42/notifications/re-stock", "").await.is(202);
        assert_eq!(accepted.body["round"], round);
        // Overtaken at once by the next, and not recorded yet, it is known nevertheless.
        let location = accepted.header("location");
        api.get(location).await.is(200);
        let people = api.get(&format!("{location}/recipients")).await.is(200);
        assert_eq!(people.body, json!({"items": [], "next": null}));
    }
    let queued = api.get("/api/products/42/rounds").await.is(200);
    assert_eq!((&queued.body["items"][0]["round"], &queued.body["live"]), (&3.into(), &true.into()));
    api.get("/api/products/42/rounds/4").await.fails(404, "not-found", "");
    api.get("/api/products/999/rounds").await.fails(404, "not-found", "");

    let _crew = shop.crew();
    let all = |page: &super::shop::Answer| page.body["items"].as_array().is_some_and(|items| items.len() == 3);
    api.until(all, "/api/products/42/rounds").await;
    let newest = api.get("/api/products/42/rounds?limit=2").await.is(200);
    let rounds = |answer: &super::shop::Answer| {
        let items = answer.body["items"].as_array().expect("items").clone();
        items.into_iter().map(|item| item["round"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((rounds(&newest), &newest.body["next"]), (vec![3.into(), 2.into()], &"2".into()));
    let older = api.get("/api/products/42/rounds?limit=2&after=2").await.is(200);
    assert_eq!((rounds(&older), &older.body["next"]), (vec![1.into()], &json!(null)));
}

#[tokio::test]
async fn a_product_is_added_renamed_and_listed() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let added = api.put("/api/products/43", r#"{"name":" Clock ","sku":"85123a"}"#).await.is(201);
    assert_eq!(added.body, json!({"id": 43, "sku": "85123a", "name": "Clock", "stock": 0, "round": 0}));
    // Codes differ by case alone.
    api.put("/api/products/44", r#"{"name":"Clock","sku":"85123A"}"#).await.is(201);
    api.put("/api/products/44", r#"{"name":"Clock","sku":"47566"}"#).await.fails(409, "sku-taken", "sku");
    let renamed = api.put("/api/products/44", r#"{"name":"Watch"}"#).await.is(200);
    assert_eq!((&renamed.body["name"], &renamed.body["sku"]), (&"Watch".into(), &json!(null)));
    let first = api.get("/api/products?limit=2").await.is(200);
    assert_eq!((&first.body["items"][1]["id"], &first.body["next"]), (&42.into(), &"42".into()));
    let second = api.get("/api/products?limit=2&after=42").await.is(200);
    assert_eq!((&second.body["items"][1]["id"], &second.body["next"]), (&44.into(), &"44".into()));
    let last = api.get("/api/products?limit=2&after=44").await.is(200);
    assert_eq!(last.body, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_subscription_is_made_kept_and_ended() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let path = "/api/products/42/subscriptions/101";
    api.get(path).await.fails(404, "not-found", "");
    api.ask("DELETE", path, &[], "").await.fails(404, "not-found", "");
    let first = api.ask("PUT", path, &[], "").await.is(201);
    let again = api.ask("PUT", path, &[], "").await.is(200);
    assert_eq!(first.body, again.body);
    api.ask("DELETE", path, &[], "").await.is(204);
    api.ask("DELETE", path, &[], "").await.is(204);
    assert_eq!(api.get(path).await.is(200).body["active"], false);
    let back = api.ask("PUT", path, &[], "").await.is(201);
    assert_ne!(first.body["place"], back.body["place"], "at the end of the line");
    api.ask("PUT", "/api/products/999/subscriptions/101", &[], "").await.fails(404, "not-found", "");
}

#[tokio::test]
async fn many_are_subscribed_in_the_order_of_the_lines_or_nobody_is() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let path = "/api/products/42/subscriptions";
    let lines = async |text: &str| api.ask("POST", path, &[("content-type", "application/x-ndjson")], text).await;
    let all: String = (1..=5_000).rev().map(|user| format!("{{\"user\":{user}}}\n")).collect();
    let done = lines(&all).await.is(200);
    assert_eq!(done.body, json!({"product": 42, "added": 5000, "returned": 0, "kept": 0}));
    assert_eq!(api.get("/api/products/42/subscriptions/5000").await.body["position"], 1);
    assert_eq!(api.get("/api/products/42/subscriptions/4998").await.body["position"], 3);

    let bad = lines("{\"user\":9001}\n{\"user\":0}\n\n{\"usr\":1}\n").await.fails(422, "invalid-fields", "line 2");
    assert_eq!(bad.body["errors"][1]["field"], "line 4");
    api.get("/api/products/42/subscriptions/9001").await.fails(404, "not-found", "");
    assert_eq!(lines("\n").await.is(200).body["added"], 0, "nobody is named");
    api.post(path, "{\"user\":1}").await.fails(415, "unsupported-media-type", "Content-Type");
    let too_many: String = (1..=100_001).map(|user| format!("{{\"user\":{user}}}\n")).collect();
    lines(&too_many).await.fails(413, "too-large", "");
}
