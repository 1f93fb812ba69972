//! How old the answer about a round may be: one that is over is kept longer, and not past the moment when it goes on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::Utc;
use restock::demo::receiver::{Reaction, Receiver};
use tokio::process::Child;

use super::shop::{Answer, Shop};

const ROUND: &str = "/api/products/42/rounds/1";

/// A worker that tells by webhook, and a flusher.
fn crew(shop: &Shop, receiver: &Receiver) -> [Child; 2] {
    let mut worker = shop.program(env!("CARGO_BIN_EXE_restock-worker"));
    worker.env("RESTOCK_WEBHOOK_URL", receiver.url());
    let mut flusher = shop.program(env!("CARGO_BIN_EXE_restock-flusher"));
    flusher.args(["--flush-interval-ms", "20"]);
    [worker, flusher].map(|mut program| program.spawn().expect("it starts"))
}

fn is_at(answer: &Answer, status: &str, failed: u64) -> bool {
    let lane = &answer.body["lanes"][0];
    lane["status"] == status && lane["failed"] == failed
}

#[tokio::test]
async fn a_round_that_goes_on_is_not_shown_as_it_ended_before() {
    let is_there = Arc::new(AtomicBool::new(false));
    let seen = is_there.clone();
    let react = move |_: &_| if seen.load(Ordering::SeqCst) { Reaction::accept() } else { Reaction::status(410) };
    let receiver = Receiver::start(react).await.expect("a port");
    let shop = Shop::open().await;
    shop.cli(&["settings", "set", "channels=webhook"]).await;
    shop.cli(&["subscribe", "42", "1"]).await;
    let (api, other) = (shop.api().await, shop.api().await);
    let _crew = crew(&shop, &receiver);
    api.post("/products/42/notifications/re-stock", "").await.is(202);
    for server in [&api, &other] {
        server.until(|answer| is_at(answer, "COMPLETED", 1), ROUND).await;
    }
    is_there.store(true, Ordering::SeqCst);
    api.post("/admin/products/42/notifications/re-stock", r#"{"retryFailed":true}"#).await.is(202);
    let shown = api.get(ROUND).await.is(200);
    assert!(!is_at(&shown, "COMPLETED", 1), "this server knows that it goes on: {shown:?}");
    for server in [&api, &other] {
        server.until(|answer| is_at(answer, "COMPLETED", 0), ROUND).await;
    }
    shop.cli(&["enqueue", "42"]).await;
    api.until(|answer| answer.body["lanes"][0]["status"] == "COMPLETED", "/api/products/42/rounds/2").await;
    let is_recorded = |answer: &Answer| answer.body["items"].as_array().is_some_and(|items| !items.is_empty());
    api.until(is_recorded, "/api/products/42/rounds/2/recipients").await;
    assert!(is_at(&api.get(ROUND).await, "COMPLETED", 0));
    shop.cli(&["history", "prune", "--before", &Utc::now().to_rfc3339()]).await;
    let gone = |answer: &Answer| answer.body["lanes"].as_array().is_some_and(Vec::is_empty);
    for server in [&api, &other] {
        server.until(gone, ROUND).await;
    }
}
