//! Whoever holds the line of a product holds up those who write to it, and nobody else.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{MySqlPool, MySqlTransaction};

use super::shop::{Answer, Api, Shop};

const LINE: &str = "/api/products/42/subscriptions";

/// As somebody who writes to it does.
async fn hold(pool: &MySqlPool) -> MySqlTransaction<'_> {
    let mut holder = pool.begin().await.expect("MySQL answers");
    let lock = "SELECT product_id FROM product_line WHERE product_id = 42 FOR UPDATE";
    sqlx::query(lock).execute(&mut *holder).await.expect("it is locked");
    holder
}

async fn send(api: &Api, users: impl Iterator<Item = u32>) -> Answer {
    let lines: String = users.map(|user| format!("{{\"user\":{user}}}\n")).collect();
    api.ask("POST", LINE, &[("content-type", "application/x-ndjson")], &lines).await
}

#[tokio::test]
async fn a_line_that_is_held_does_not_stop_the_server() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    api.ask("PUT", &format!("{LINE}/1"), &[], "").await.is(201);
    let pool = shop.pool().await;
    let holder = hold(&pool).await;
    let is_over = AtomicBool::new(false);
    let held = async {
        let paths: Vec<String> = (100..140).map(|user| format!("{LINE}/{user}")).collect();
        let answers = join_all(paths.iter().map(|path| api.ask("PUT", path, &[], ""))).await;
        is_over.store(true, Ordering::Relaxed);
        answers
    };
    let others = async {
        while !is_over.load(Ordering::Relaxed) {
            let shown = api.get("/api/products/42").await.is(200);
            assert!(shown.took < Duration::from_secs(2), "{shown:?}");
        }
    };
    let (answers, ()) = tokio::join!(held, others);
    for answer in answers {
        assert!(answer.took < Duration::from_secs(5), "{answer:?}");
        answer.fails(503, "overloaded", "");
    }
    let bulk = send(&api, 200..203).await;
    assert!(bulk.body["detail"].as_str().is_some_and(|detail| detail.starts_with("the first 0 of 3 ")), "{bulk:?}");
    bulk.fails(503, "overloaded", "");
    holder.commit().await.expect("MySQL answers");
    assert_eq!(send(&api, 200..203).await.is(200).body, json!({"product": 42, "added": 3, "returned": 0, "kept": 0}));
}

#[tokio::test]
async fn others_get_into_the_line_while_many_do_and_the_rest_follows_when_it_is_sent_again() {
    const USERS: u32 = 60_000;
    let shop = Shop::open().await;
    let api = shop.api().await;
    let pool = shop.pool().await;
    let between = async {
        let any = "SELECT COUNT(*) FROM product_user_notification WHERE product_id = 42";
        while sqlx::query_scalar::<_, i64>(any).fetch_one(&pool).await.expect("MySQL answers") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        hold(&pool).await
    };
    let (cut_off, holder) = tokio::join!(send(&api, 1..=USERS), between);
    let detail = cut_off.body["detail"].as_str().expect("a detail").to_owned();
    let words: Vec<&str> = detail.split(' ').collect();
    let so_far: u32 = words[2].parse().expect("a number");
    assert!(detail.starts_with("the first ") && so_far > 0 && so_far < USERS, "{detail}");
    cut_off.fails(503, "overloaded", "");
    holder.commit().await.expect("MySQL answers");
    let rest = json!({"product": 42, "added": USERS - so_far, "returned": 0, "kept": so_far});
    assert_eq!(send(&api, 1..=USERS).await.is(200).body, rest);
    assert_eq!(api.get(&format!("{LINE}/{USERS}")).await.body["position"], USERS);
}

#[tokio::test]
async fn many_come_back_at_the_end_of_the_line_in_their_order() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    assert_eq!(send(&api, 1..=5).await.is(200).body["added"], 5);
    shop.cli(&["unsubscribe", "42", "1", "2", "4"]).await;
    let back = send(&api, [4, 9, 2, 1, 3, 2, 4].into_iter()).await.is(200);
    assert_eq!(back.body, json!({"product": 42, "added": 1, "returned": 3, "kept": 1}));
    for (position, user) in [3, 5, 4, 9, 2, 1].iter().enumerate() {
        let shown = api.get(&format!("{LINE}/{user}")).await.is(200);
        assert_eq!(shown.body["position"], position + 1, "{user}: {shown:?}");
    }
}
