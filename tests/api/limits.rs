//! Too much at once, too slow, and a stop with a request in hand.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::shop::{Api, Shop};

const RESTOCK: &str = "/api/products/42/notifications/re-stock";

/// A request whose body has not come yet: it is in hand until [`Held::end`].
struct Held(TcpStream);

impl Held {
    async fn begin(api: &Api) -> Self {
        Self::begin_at(api, RESTOCK, "application/json").await
    }

    async fn begin_at(api: &Api, path: &str, kind: &str) -> Self {
        let mut stream = TcpStream::connect(&api.address).await.expect("it listens");
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n");
        let head = format!("{head}expect: 100-continue\r\ncontent-length: 14\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut held = Self(stream);
        // It says so once it wants to read the body.
        let answer = held.answer().await;
        assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
        held
    }

    async fn end(mut self) -> String {
        self.0.write_all(br#"{"quantity":1}"#).await.expect("it reads");
        self.answer().await
    }

    async fn answer(&mut self) -> String {
        let mut answer = vec![0; 4_096];
        let count = timeout(Duration::from_secs(20), self.0.read(&mut answer)).await;
        answer.truncate(count.expect("an answer in time").expect("an answer"));
        String::from_utf8(answer).expect("text")
    }
}

/// Whoever looks after the process does not count among the callers.
async fn probes_are_let_in(api: &Api) {
    for path in ["/livez", "/readyz"] {
        for answer in join_all((0..20).map(|_| api.get(path))).await {
            answer.is(200);
        }
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let shop = Shop::open().await;
    let api = shop.api_with(&["--requests-per-second", "1"]).await;
    // A server that is slow must not have another second for each.
    let answers = join_all((0..20).map(|_| api.get("/api/products/42"))).await;
    let refused: Vec<_> = answers.into_iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty(), "nobody was refused");
    for answer in refused {
        answer.fails(429, "too-many-requests", "");
    }
    probes_are_let_in(&api).await;
    api.until(|answer| answer.status == 200, "/api/products/42").await;
}

#[tokio::test]
async fn what_is_more_than_can_be_worked_on_is_refused_at_once() {
    let shop = Shop::open().await;
    let api = shop.api_with(&["--in-flight-max", "1"]).await;
    let held = Held::begin(&api).await;
    let refused = api.until(|answer| answer.status == 503, "/api/products/42").await;
    assert!(refused.took < Duration::from_secs(1), "{refused:?}");
    probes_are_let_in(&api).await;
    refused.fails(503, "overloaded", "");
    assert!(held.end().await.starts_with("HTTP/1.1 202 "));
    api.until(|answer| answer.status == 200, "/api/products/42").await;
}

/// Asks for more than fits into the connection, and never reads.
async fn stay_deaf(api: &Api) -> TcpStream {
    let mut stream = TcpStream::connect(&api.address).await.expect("it listens");
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    while let Ok(Ok(())) = timeout(Duration::from_millis(500), stream.write_all(requests.as_bytes())).await {}
    stream
}

#[tokio::test]
async fn who_never_reads_does_not_keep_others_out() {
    let shop = Shop::open().await;
    // One is the client's own.
    let api = shop.api_with(&["--api-connections-max", "3", "--request-timeout-ms", "1000"]).await;
    let _deaf = [stay_deaf(&api).await, stay_deaf(&api).await];
    let mut other = TcpStream::connect(&api.address).await.expect("it listens");
    other.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it reads");
    let mut answer = [0; 15];
    let read = timeout(Duration::from_secs(10), other.read_exact(&mut answer)).await;
    read.expect("an answer in time").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

/// Holds up whoever changes a setting, until it is dropped.
async fn hold_settings(pool: &sqlx::MySqlPool) -> sqlx::MySqlTransaction<'_> {
    let mut holder = pool.begin().await.expect("MySQL answers");
    sqlx::query("SELECT name FROM setting FOR UPDATE").execute(&mut *holder).await.expect("they are locked");
    holder
}

#[tokio::test]
async fn what_goes_on_after_its_answer_keeps_its_place() {
    let shop = Shop::open().await;
    let api = shop.api_with(&["--in-flight-max", "1", "--request-timeout-ms", "300"]).await;
    let pool = shop.pool().await;
    let holder = hold_settings(&pool).await;
    api.put("/api/rate", r#"{"limit":5}"#).await.fails(503, "too-slow", "");
    for _ in 0..5 {
        api.get("/api/products/42").await.fails(503, "overloaded", "");
    }
    holder.commit().await.expect("MySQL answers");
    api.until(|answer| answer.status == 200, "/api/products/42").await;
    assert_eq!(api.get("/api/rate").await.is(200).body[0]["limit"], 5, "it was done to its end");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let shop = Shop::open().await;
    let api = shop.api_with(&["--request-timeout-ms", "300"]).await;
    let mut held = Held::begin(&api).await;
    let answer = held.answer().await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("urn:restock:problem:slow-body"), "{answer}");
    let api = shop.api_with(&["--bulk-timeout-ms", "300"]).await;
    let mut held = Held::begin_at(&api, "/api/products/42/subscriptions", "application/x-ndjson").await;
    let answer = held.answer().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_stop_waits_for_the_request_in_hand_and_lets_nobody_else_in() {
    let shop = Shop::open().await;
    let mut api = shop.api_with(&["--in-flight-max", "1"]).await;
    let held = Held::begin(&api).await;
    api.until(|answer| answer.status == 503, "/api/products/42").await;
    api.signal(Signal::SIGTERM);
    let start = Instant::now();
    while TcpStream::connect(&api.address).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10), "it still lets others in");
    }
    assert!(api.child.try_wait().expect("it can be asked").is_none(), "it waits");
    let answer = held.end().await;
    assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("\"round\":1"), "{answer}");
    assert_eq!(api.child.wait().await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let shop = Shop::open().await;
    let mut api = shop.api_with(&["--drain-ms", "200", "--in-flight-max", "1"]).await;
    let _held = Held::begin(&api).await;
    api.until(|answer| answer.status == 503, "/api/products/42").await;
    api.signal(Signal::SIGTERM);
    let ended = timeout(Duration::from_secs(5), api.child.wait()).await;
    assert_eq!(ended.expect("it ends in time").expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn what_is_asked_and_what_goes_on_have_one_drain_together() {
    const DRAIN: Duration = Duration::from_secs(4);
    let shop = Shop::open().await;
    let drain = DRAIN.as_millis().to_string();
    let options =
        ["--in-flight-max", "2", "--request-timeout-ms", "300", "--bulk-timeout-ms", "60000", "--drain-ms", &drain];
    let mut api = shop.api_with(&options).await;
    let pool = shop.pool().await;
    let _holder = hold_settings(&pool).await;
    api.put("/api/rate", r#"{"limit":5}"#).await.fails(503, "too-slow", "");
    let _held = Held::begin_at(&api, "/api/products/42/subscriptions", "application/x-ndjson").await;
    api.get("/api/products/42").await.fails(503, "overloaded", "");
    api.signal(Signal::SIGTERM);
    let ended = timeout(DRAIN + DRAIN / 2, api.child.wait()).await;
    assert_eq!(ended.expect("it ends in time").expect("it ends").code(), Some(0));
}
