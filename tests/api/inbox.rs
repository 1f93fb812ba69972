//! The messages that users have: stored once, listed, read, and whose they are.

use std::{process::Stdio, time::Duration};

use restock::{
    ids::UserId,
    token::{TokenHash, fresh},
    user_token::{self, UserTokenKey},
};
use serde_json::json;
use tokio::process::Command;

use super::{
    events::Events,
    shop::{Answer, Api, CLI, Shop},
};

const OWN: &str = "/api/users/101/notifications";

/// Tells these users of product 42, and waits until the record has it.
async fn tell(shop: &Shop, api: &Api, users: &[i64]) {
    for user in users {
        api.ask("PUT", &format!("/api/products/42/subscriptions/{user}"), &[], "").await.is(201);
    }
    shop.cli(&["enqueue", "42", "--quantity", "1", "--wait"]).await;
}

fn numbers(page: &Answer) -> Vec<i64> {
    let items = page.body["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn a_user_lists_what_was_sent_and_notes_what_was_read() {
    let shop = Shop::open_inbox().await;
    let _crew = shop.crew();
    let api = shop.api().await;
    tell(&shop, &api, &[101, 102]).await;
    for _ in 0..2 {
        shop.cli(&["enqueue", "42", "--quantity", "1", "--wait"]).await;
    }
    let all = api.get(OWN).await.is(200);
    assert_eq!((&all.body["unread"], &all.body["next"]), (&3.into(), &json!(null)));
    let newest = &all.body["items"][0];
    let (id, at) = (&newest["id"], &newest["timestamp"]);
    assert_eq!(
        *newest,
        json!({
            "id": id, "key": "42-3-inbox-101", "type": "product.restocked", "timestamp": at, "read_at": null,
            "data": {"product_id": 42, "sku": "47566", "name": "Party bunting", "restock_round": 3, "user_id": 101}
        })
    );
    let all = numbers(&all);
    assert!(all.is_sorted_by(|a, b| a > b), "the newest first: {all:?}");
    let page = api.get(&format!("{OWN}?limit=2")).await.is(200);
    assert_eq!((numbers(&page), &page.body["unread"]), (all[..2].to_vec(), &3.into()));
    let next = page.body["next"].as_str().expect("another page");
    let page = api.get(&format!("{OWN}?limit=2&before={next}")).await.is(200);
    assert_eq!((numbers(&page), &page.body["next"]), (all[2..].to_vec(), &json!(null)));

    let read = format!("{OWN}/{}/read", all[1]);
    assert_eq!(api.put(&read, "").await.is(200).body, json!({"read": 1, "unread": 2}));
    assert_eq!(api.put(&read, "").await.is(200).body, json!({"read": 0, "unread": 2}), "once is enough");
    let foreign = format!("/api/users/102/notifications/{}/read", all[1]);
    api.put(&foreign, "").await.fails(404, "not-found", "");
    let body = format!("{{\"upto\":{}}}", all[0]);
    assert_eq!(api.put(&format!("{OWN}/read"), &body).await.is(200).body, json!({"read": 2, "unread": 0}));
    assert_eq!(api.get("/api/users/102/notifications").await.is(200).body["unread"], 3);
    api.put(&format!("{OWN}/read"), r#"{"upto":-1}"#).await.fails(422, "invalid-fields", "upto");
    api.put(&format!("{OWN}/read"), "{}").await.fails(422, "invalid-fields", "upto");
    api.get(&format!("{OWN}?limit=0")).await.fails(400, "bad-request", "limit");
    api.get(&format!("{OWN}?after=1")).await.fails(400, "bad-request", "after");
    api.get("/api/users/0/notifications").await.fails(400, "bad-request", "userId");

    shop.cli(&["erase-user", "101"]).await;
    assert_eq!(api.get(OWN).await.is(200).body, json!({"items": [], "next": null, "unread": 0}));
    assert_eq!(numbers(&api.get("/api/users/102/notifications").await.is(200)).len(), 3);
}

#[tokio::test]
async fn a_delivery_is_stored_once_however_often_it_is_tried() {
    let shop = Shop::open_inbox().await;
    let api = shop.api().await;
    for _ in 0..3 {
        let sent = shop.cli(&["test-send", "42", "--user", "101", "--output", "json"]).await;
        assert!(sent.contains("\"SENT\""), "{sent}");
    }
    let all = api.get(OWN).await.is(200);
    assert_eq!((numbers(&all).len(), &all.body["items"][0]["key"]), (1, &"42-0-inbox-101".into()));
}

#[tokio::test]
async fn nobody_is_told_by_an_inbox_that_was_not_written() {
    let shop = Shop::open_inbox().await;
    shop.execute("RENAME TABLE inbox_message TO elsewhere").await;
    let mut command = shop.program(CLI);
    let ended = command.args(["test-send", "42", "--user", "101"]).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(1) && said.contains("WRONG") && said.contains("42S02"), "{ended:?}");
    assert!(!said.contains("Party bunting"), "{said}");
    shop.execute("RENAME TABLE elsewhere TO inbox_message").await;
    shop.cli(&["test-send", "42", "--user", "101"]).await;
}

#[tokio::test]
async fn no_log_has_the_text_of_a_message() {
    let shop = Shop::open_inbox().await;
    let folder = tempfile::tempdir().expect("a folder");
    let log = |name: &str| std::fs::File::create(folder.path().join(name)).expect("a file");
    let noisy = |mut command: Command, name: &str| {
        let command = command.env("RESTOCK_LOG", "trace").stderr(Stdio::from(log(name)));
        command.spawn().expect("it starts")
    };
    let _worker = noisy(shop.program(env!("CARGO_BIN_EXE_restock-worker")), "worker");
    let _flusher = noisy(shop.program(env!("CARGO_BIN_EXE_restock-flusher")), "flusher");
    let api = shop.api().await;
    tell(&shop, &api, &[101]).await;
    api.until(|page| page.body["items"][0]["data"]["name"] == "Party bunting", OWN).await;
    for name in ["worker", "flusher"] {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("a log");
        assert!(text.len() > 500 && !text.contains("Party bunting"), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_token_of_a_user_opens_what_is_theirs_until_it_runs_out() {
    let shop = Shop::open_inbox().await;
    let (old_key, key, producer) = (user_token::fresh_key(), user_token::fresh_key(), fresh());
    let made =
        shop.cli(&["token", "user", "101", "--user-token-key", &old_key, "--ttl", "1m", "--output", "json"]).await;
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let own = made["token"].as_str().expect("a token").to_owned();
    let signer: UserTokenKey = key.parse().expect("a key");
    let now_s = restock::clock::wall_us() / 1_000_000;
    let (foreign, late) = (signer.sign(UserId(102), now_s + 60), signer.sign(UserId(101), now_s));
    let other: UserTokenKey = user_token::fresh_key().parse().expect("a key");
    let forged = other.sign(UserId(101), now_s + 60);
    let keys = format!("{key},{old_key}");
    let hash = TokenHash::of(&producer).to_string();
    let mut api = shop.start(&["--producer-token-hash", &hash, "--user-token-key", &keys]).await;
    api = api.with_token(Some(&producer));
    api.until(|answer| answer.status == 200, "/api/products/42").await;
    // A shop's backend sees what its users see.
    api.get(OWN).await.is(200);
    let stream = format!("{OWN}/stream");
    for (token, status, kind) in [
        (Some(own.as_str()), 200, ""),
        (Some(&foreign), 403, "forbidden"),
        (Some(&late), 401, "unauthorized"),
        (Some(&forged), 401, "unauthorized"),
        (Some("rsu_101.9999999999."), 401, "unauthorized"),
        (None, 401, "unauthorized"),
    ] {
        for path in [OWN, &stream] {
            api = api.with_token(token);
            let by_header = api.get(path).await;
            api = api.with_token(None);
            let by_query =
                api.get(&token.map_or_else(|| path.to_owned(), |token| format!("{path}?token={token}"))).await;
            for answer in [by_header, by_query] {
                if status == 200 {
                    answer.is(200);
                } else {
                    answer.fails(status, kind, "");
                }
            }
        }
    }
    let late = api.get(&format!("{stream}?token={late}")).await;
    assert!(late.body["detail"].as_str().is_some_and(|why| why.contains("run out")), "{late:?}");
    // Nothing else is theirs, and the token of a shop does not belong into a path.
    api = api.with_token(Some(&own));
    for path in [
        "/api/products/42",
        "/products/notifications/stream",
        "/api/products/notifications/stream",
        "/api/rounds/stream",
    ] {
        api.get(path).await.fails(403, "forbidden", "");
    }
    api.get("/api/rate").await.fails(403, "forbidden", "");
    api = api.with_token(None);
    api.get(&format!("{OWN}?token={producer}")).await.fails(401, "unauthorized", "");
    let path = format!("{stream}?token={own}");
    Events::follow(&api, &path, None).await.begun().await;
    let bearer = format!("Bearer {own}");
    Events::follow_with(&api, &stream, None, &[("authorization", &bearer)]).await.begun().await;
    assert!(made["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{made}");

    let (code, said) = shop.refuses(&["--user-token-key", "secret"]).await;
    assert!(code == Some(2) && said.contains("--user-token-key") && !said.contains("secret"), "{code:?}: {said}");
    let ended = shop.program(CLI).args(["token", "user", "101"]).output().await.expect("it runs");
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    tokio::time::timeout(Duration::from_secs(5), shop.cli(&["token", "key"])).await.expect("it needs no server");
}
