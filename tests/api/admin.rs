//! What admins do by hand, and what they look at.

use serde_json::json;

use super::shop::{Answer, Api, Shop};

#[tokio::test]
async fn a_round_is_paused_canceled_and_goes_on_and_it_is_kept_who_did_it() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let at = |what: &str| format!("/api/admin/products/42/notifications/{what}");
    api.post(&at("cancel"), "").await.fails(409, "nothing-to-cancel", "");
    api.post(&at("re-stock"), "").await.fails(409, "nothing-to-resume", "");
    api.post(&at("re-stock"), r#"{"skip":true}"#).await.fails(409, "nothing-to-resume", "");
    api.post("/api/products/42/notifications/re-stock", "").await.is(202);

    let paused = api.post(&at("pause"), "").await.is(200);
    assert_eq!(paused.body, json!({"product": 42, "paused": true, "changed": true, "open": 1, "held": 0}));
    assert_eq!(api.post(&at("pause"), "").await.is(200).body["changed"], false);
    assert_eq!(api.get("/api/products/42/rounds/1").await.body["lanes"][0]["paused"], true);
    assert_eq!(api.post(&at("unpause"), "").await.is(200).body["open"], 1);

    let canceled = api.post(&at("cancel"), "").await.is(202);
    assert_eq!(canceled.body, json!([{"product": 42, "round": 1, "channel": "null", "ended": true}]));
    api.post(&at("re-stock"), r#"{"skip":true,"retryFailed":true}"#).await.fails(422, "invalid-fields", "retryFailed");
    // By the name that other systems have, and by one that is like all others here.
    for wish in [r#"{"retryFailed":true}"#, r#"{"retry_failed":true}"#] {
        let nobody = api.post(&at("re-stock"), wish).await;
        assert!(nobody.body["detail"].as_str().is_some_and(|detail| detail.starts_with("nobody FAILED")), "{nobody:?}");
        nobody.fails(409, "nothing-to-resume", "");
    }
    let twice = api.post(&at("re-stock"), r#"{"retryFailed":true,"retry_failed":true}"#).await;
    twice.fails(422, "invalid-fields", "retryFailed");
    api.post(&at("re-stock"), r#"{"channel":"file"}"#).await.fails(409, "channel-not-enabled", "");
    api.post(&at("re-stock"), r#"{"channel":"Web"}"#).await.fails(422, "invalid-fields", "channel");
    let resumed = api.post("/admin/products/42/notifications/re-stock", "").await.is(202);
    assert_eq!(resumed.body, json!([{"product": 42, "round": 1, "channel": "null", "skipped": null}]));

    let actions = shop.cli(&["actions", "--output", "json"]).await;
    let actions: serde_json::Value = serde_json::from_str(&actions).expect("JSON");
    assert_eq!((&actions[0]["action"], &actions[0]["by"]), (&"resume".into(), &"api".into()));
    assert_eq!(actions[0]["result"], "round 1 on null goes on");
    assert!(actions.as_array().is_some_and(|rows| rows.iter().all(|row| row["result"].is_string())), "{actions}");
}

#[tokio::test]
async fn a_channel_that_was_enabled_a_moment_ago_is_meant_too() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let at = |what: &str| format!("/api/admin/products/42/notifications/{what}");
    shop.cli(&["settings", "set", "channels=file,null"]).await;
    shop.cli(&["enqueue", "42"]).await;
    assert_eq!(api.post(&at("pause"), "").await.is(200).body["open"], 2);
    assert_eq!(api.post(&at("unpause"), "").await.is(200).body["open"], 2);
    let canceled = api.post(&at("cancel"), "").await.is(202);
    assert_eq!(canceled.body.as_array().map(Vec::len), Some(2), "{canceled:?}");
    let resumed = api.post(&at("re-stock"), r#"{"channel":"file"}"#).await.is(202);
    assert_eq!(resumed.body[0]["channel"], "file");

    shop.cli(&["settings", "set", "channels=null"]).await;
    api.post(&at("re-stock"), r#"{"channel":"file"}"#).await.fails(409, "channel-not-enabled", "");
}

#[tokio::test]
async fn a_wish_that_pause_does_not_know_is_refused_and_nothing_is_paused() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    for what in ["pause", "unpause"] {
        let path = format!("/api/admin/products/42/notifications/{what}");
        api.post(&path, r#"{"channel":"null"}"#).await.fails(422, "invalid-fields", "channel");
        api.post(&path, "[]").await.fails(422, "invalid-fields", "body");
        api.post(&path, "{").await.fails(400, "bad-request", "body");
        api.post(&format!("{path}?channel=null"), "").await.fails(400, "bad-request", "channel");
        assert_eq!(api.post(&path, "{}").await.is(200).body["changed"], true);
    }
}

#[tokio::test]
async fn the_pace_is_shown_and_changed() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let changed = api.put("/api/rate", r#"{"limit":400,"channels":{"null":100}}"#).await.is(200);
    assert_eq!((&changed.body[0]["limit"], &changed.body[1]["limit"]), (&400.into(), &100.into()));
    let shown = api.get("/api/rate").await.is(200);
    assert_eq!((&shown.body[0]["name"], &shown.body[1]["name"]), (&"total".into(), &"null".into()));
    let taken = api.put("/api/rate", r#"{"channels":{"null":null}}"#).await.is(200);
    assert_eq!((&taken.body[0]["limit"], &taken.body[1]["limit"]), (&400.into(), &json!(null)));
    api.put("/api/rate", r#"{"limit":1000001}"#).await.fails(422, "invalid-fields", "limit");
    api.put("/api/rate", r#"{"channels":{"pigeon":1}}"#).await.fails(422, "invalid-fields", "channels.pigeon");
    api.put("/api/rate", r#"{"limit":3,"channels":{"null":1,"null":2}}"#).await.fails(
        422,
        "invalid-fields",
        "channels",
    );
    assert_eq!(api.get("/api/rate").await.body[0]["limit"], 400, "a refused change changes nothing");
}

#[tokio::test]
async fn what_is_in_hand_and_what_was_given_up_is_listed() {
    let shop = Shop::open().await;
    shop.execute(
        "INSERT INTO log_dead (partition_id, kind, name, entry, product_id, detail, `sqlstate`, message)
         VALUES (0, 'product', 'a', '1-1', 42, '', '22001', 'too long'), (0, 'product', 'b', '1-2', 42, '', '22001', 'too long'),
                (1, 'product', 'c', '1-3', 7, '', '22001', 'too long')",
    )
    .await;
    let api = shop.api().await;
    assert_eq!(api.get("/api/pending").await.is(200).body, json!({"items": [], "next": null}));
    let first = api.get("/api/dead?limit=2").await.is(200);
    assert_eq!((&first.body["items"][1]["id"], &first.body["next"]), (&"row:2".into(), &"row:2".into()));
    let second = api.get("/api/dead?limit=2&after=row:2").await.is(200);
    assert_eq!((&second.body["items"][0]["product"], &second.body["next"]), (&7.into(), &json!(null)));
    let only = api.get("/api/dead?product=7").await.is(200);
    assert_eq!(only.body["items"].as_array().map(Vec::len), Some(1));
    for bad in ["x", "null:0:99999999999999999999999-0", "null:0:18446744073709551615-18446744073709551615"] {
        api.get(&format!("/api/dead?after={bad}")).await.fails(400, "bad-request", "after");
    }
    let far = api.get("/api/dead?after=null:0:18446744073709551615-18446744073709551614").await.is(200);
    assert_eq!(far.body["items"].as_array().map(Vec::len), Some(3), "the rows come after all letters");
    api.get("/api/dead?product=0").await.fails(400, "bad-request", "product");
}

/// The names of all items, page by page.
async fn walk(api: &Api, path: &str, name: &str) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = api.get(&format!("{path}{after}")).await.is(200);
        let items = page.body["items"].as_array().expect("items");
        names.extend(items.iter().map(|item| item[name].as_str().expect("a name").to_owned()));
        pages += 1;
        let Some(next) = page.body["next"].as_str() else { return (names, pages) };
        after = format!("&after={next}");
    }
}

#[tokio::test]
async fn what_is_in_hand_is_listed_page_by_page() {
    let shop = Shop::open().await;
    shop.cli(&["rate", "set", "1"]).await;
    shop.cli(&["product", "add", "8", "--name", "Lamp"]).await;
    for product in ["42", "7", "8"] {
        shop.cli(&["subscribe", product, "1", "2", "3", "4", "5", "6", "7", "8", "9"]).await;
        shop.cli(&["enqueue", product, "--quantity", "5"]).await;
    }
    let api = shop.api().await;
    let _crew = shop.crew();
    let all = |page: &Answer| page.body["items"].as_array().is_some_and(|items| items.len() == 3);
    let whole = api.until(all, "/api/pending").await;
    assert_eq!(whole.body["next"], json!(null));
    let entries: Vec<&str> =
        whole.body["items"].as_array().expect("items").iter().filter_map(|row| row["entry"].as_str()).collect();
    let (one_by_one, pages) = walk(&api, "/api/pending?limit=1", "entry").await;
    assert_eq!((one_by_one, pages), (entries.iter().map(|entry| (*entry).to_owned()).collect(), 4));
    assert_eq!(walk(&api, "/api/pending?limit=2", "entry").await.0, entries);
    api.get("/api/pending?limit=0").await.fails(400, "bad-request", "limit");
    for bad in ["x", "0:null:k:1-1", "0:null:j:18446744073709551615-18446744073709551615"] {
        api.get(&format!("/api/pending?after={bad}")).await.fails(400, "bad-request", "after");
    }
    let far = api.get("/api/pending?after=9:null:a:18446744073709551615-0").await.is(200);
    assert_eq!(far.body, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn one_page_of_what_was_given_up_has_a_bounded_cost() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let add = "redis.call('XADD', KEYS[1], i .. '-1', 'product', i < 5100 and 8 or 42, 'round', 1, 'reason', 'x')";
    shop.redis(&format!("EVAL \"for i = 1, 5101 do {add} end\" 1 {{{{ns}}:0}}:dead:null")).await;
    shop.execute(
        "INSERT INTO log_dead (partition_id, kind, name, entry, product_id, detail, `sqlstate`, message)
         VALUES (0, 'product', 'a', '1-1', 42, '', '22001', 'too long')",
    )
    .await;
    let first = api.get("/api/dead?product=42").await.is(200);
    assert_eq!(first.body, json!({"items": [], "next": "null:0:5000-1"}), "5,000 are looked at");
    let (found, pages) = walk(&api, "/api/dead?product=42&limit=2", "id").await;
    assert_eq!(found, ["null:0:5100-1", "null:0:5101-1", "row:1"]);
    assert_eq!(pages, 3);
    assert_eq!(walk(&api, "/api/dead?product=7", "id").await, (Vec::new(), 1), "its letters lie elsewhere");
    assert_eq!(walk(&api, "/api/dead?limit=1000", "id").await.0.len(), 5_102);
}
