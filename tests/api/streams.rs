//! Streams of events: whoever follows gets every message exactly once, whatever happens to the servers; and nobody holds up
//! another.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use restock::{
    ids::{ProductId, Round, UserId},
    mysql::inbox::{self, NewMessage},
};
use serde_json::json;
use sqlx::MySqlPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    task::JoinSet,
    time::timeout,
};

use super::{
    events::Events,
    shop::{Api, DEADLINE, Shop},
};

const ALL: &str = "/products/notifications/stream";
const ROUNDS: &str = "/api/rounds/stream";

/// Writes messages as the channel does: one for each of these users, in one transaction.
async fn store(pool: &MySqlPool, round: u32, users: std::ops::Range<i64>, name: &str) {
    let started_at = chrono::NaiveDateTime::default();
    let message = |user| NewMessage {
        product: ProductId(42),
        round: Round(round),
        user: UserId(user),
        sku: None,
        name,
        started_at,
    };
    let messages: Vec<_> = users.map(message).collect();
    // Somebody else may have been chosen to go first.
    while let Err(error) = inbox::store(pool, &messages).await {
        assert!(restock::mysql::is_deadlock(&error), "{error}");
    }
}

async fn stored(pool: &MySqlPool) -> Vec<i64> {
    sqlx::query_scalar("SELECT id FROM inbox_message ORDER BY id").fetch_all(pool).await.expect("MySQL answers")
}

#[tokio::test]
async fn a_message_comes_to_all_who_follow_at_any_server_and_to_nobody_else() {
    let shop = Shop::open_inbox().await;
    let _crew = shop.crew();
    let (first, second) = (shop.api().await, shop.api().await);
    for user in [101, 102, 103] {
        first.ask("PUT", &format!("/api/products/42/subscriptions/{user}"), &[], "").await.is(201);
    }
    let mut everybody = Events::follow(&first, ALL, None).await.begun().await;
    let mut again = Events::follow(&second, "/api/products/notifications/stream", None).await.begun().await;
    let mut own = Events::follow(&second, "/api/users/102/notifications/stream", None).await.begun().await;
    let mut other = Events::follow(&first, "/api/users/999/notifications/stream", None).await.begun().await;
    first.post("/products/42/notifications/re-stock", r#"{"quantity":50}"#).await.is(202);
    for events in [&mut everybody, &mut again] {
        let mut last = 0;
        for user in [101, 102, 103] {
            let event = events.next().await.expect("an event");
            assert_eq!((event.name.as_str(), event.id), ("restock-notification", event.data["id"].as_i64()));
            assert_eq!(event.data["data"]["user_id"], user, "in line order");
            assert!(event.id > Some(last), "{event:?}");
            last = event.id.unwrap_or(0);
        }
    }
    let event = own.next().await.expect("an event");
    assert_eq!(event.data["key"], "42-1-inbox-102");
    // The next round: whoever is not meant has got nothing before.
    second.ask("PUT", "/api/products/42/subscriptions/999", &[], "").await.is(201);
    second.post("/products/42/notifications/re-stock", r#"{"quantity":1}"#).await.is(202);
    let event = other.next().await.expect("an event");
    assert_eq!(event.data["key"], "42-2-inbox-999");
    assert_eq!(own.next().await.expect("an event").data["key"], "42-2-inbox-102");
}

#[tokio::test]
async fn who_comes_back_gets_each_message_once_though_servers_are_killed_and_many_write_at_once() {
    const WRITERS: i64 = 4;
    const BATCHES: u32 = 60;
    const ROWS: i64 = 7;
    let shop = Shop::open_inbox().await;
    let pool = restock::mysql::connect(&shop.mysql_url().into(), 8).await.expect("MySQL answers");
    let mut apis: Vec<Api> = vec![shop.api().await, shop.api().await];
    let mut events = Events::follow(&apis[0], ALL, None).await.begun().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let pool = pool.clone();
        writers.spawn(async move {
            for batch in 1..=BATCHES {
                let first = writer * 1_000 + 1;
                store(&pool, batch, first..first + ROWS, "bunting").await;
            }
        });
    }
    let wanted = usize::try_from(WRITERS * i64::from(BATCHES) * ROWS).expect("a count");
    let (mut seen, mut steps, start) = (Vec::new(), 0, Instant::now());
    while seen.len() < wanted {
        assert!(start.elapsed() < 4 * DEADLINE, "only {} of {wanted} came", seen.len());
        match timeout(DEADLINE, events.next()).await.expect("something is missed") {
            Some(event) => seen.push(event.id.expect("an id")),
            // Cut off: another one is asked, as a browser behind a proxy does.
            None => events = Events::follow(&apis[0], ALL, events.last_id).await,
        }
        // One is killed in the middle, another is told to stop, a third takes over.
        if steps == 0 && seen.len() >= wanted / 4 {
            steps = 1;
            apis[0].signal(Signal::SIGKILL);
            apis.remove(0);
        } else if steps == 1 && seen.len() >= wanted / 2 {
            steps = 2;
            apis.push(shop.api().await);
            apis[0].signal(Signal::SIGTERM);
            let mut told = apis.remove(0);
            let ended = timeout(DEADLINE, told.child.wait()).await.expect("it ends in time").expect("it ends");
            assert_eq!(ended.code(), Some(0));
        }
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer ends well");
    }
    let all = stored(&pool).await;
    assert_eq!((steps, all.len()), (2, wanted));
    let differs = seen.iter().zip(&all).position(|(seen, stored)| seen != stored);
    assert_eq!(differs, None, "the first that is missed or comes twice");
    // And from the beginning, all at once.
    let mut events = Events::follow(&apis[0], ALL, Some(0)).await;
    for id in &seen {
        assert_eq!(events.next().await.expect("an event").id, Some(*id));
    }
    let mut events = Events::follow(&apis[0], &format!("{ALL}?after={}", seen[wanted - 2]), None).await;
    assert_eq!(events.next().await.expect("an event").id, Some(seen[wanted - 1]));
}

#[tokio::test]
async fn a_number_is_seen_after_all_smaller_ones() {
    let shop = Shop::open_inbox().await;
    let pool = restock::mysql::connect(&shop.mysql_url().into(), 4).await.expect("MySQL answers");
    // A writer that has its number and is slow to commit.
    let mut slow = pool.begin().await.expect("MySQL answers");
    let taken = "UPDATE inbox_sequence SET last_id = LAST_INSERT_ID(last_id + 1) WHERE id = 1";
    let first = sqlx::query(taken).execute(&mut *slow).await.expect("a number").last_insert_id().cast_signed();
    let insert = "INSERT INTO inbox_message (id, product_id, restock_round, user_id, name, started_at)
                  VALUES (?, 42, 1, 1, 'slow', '2026-01-01')";
    sqlx::query(insert).bind(first).execute(&mut *slow).await.expect("a row");
    let quick = tokio::spawn({
        let pool = pool.clone();
        async move { store(&pool, 1, 2..3, "quick").await }
    });
    let waits = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    let start = Instant::now();
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&pool).await.expect("MySQL answers") == 0 {
        assert!(start.elapsed() < DEADLINE && !quick.is_finished(), "nobody waits for the slow one");
        // MariaDB shows the same again to who asks before a tenth of a second is over.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(stored(&pool).await, [0; 0]);
    slow.commit().await.expect("it commits");
    quick.await.expect("it goes on");
    let both = stored(&pool).await;
    assert_eq!((both.len(), both[0]), (2, first));
}

/// The value of a metric with this label.
async fn metric(api: &Api, name: &str, stream: &str) -> f64 {
    let text = api.get("/metrics").await.is(200);
    let text = text.body.as_str().expect("text").to_owned();
    let start = format!("{name}{{stream=\"{stream}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no {start}: {text}"));
    line.parse().expect("a number")
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_the_others_get_everything() {
    let shop = Shop::open_inbox().await;
    let pool = shop.pool().await;
    // Long enough that the full queue ends it, and not the connection that takes nothing.
    let api = shop.api_with(&["--request-timeout-ms", "60000"]).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("it is small");
    let mut deaf = socket.connect(api.address.parse().expect("an address")).await.expect("it listens");
    let request = format!("GET {ALL} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    deaf.write_all(request.as_bytes()).await.expect("it reads");
    let mut events = Events::follow(&api, ALL, None).await.begun().await;
    api.until(|answer| answer.status == 200, "/livez").await;
    while metric(&api, "restock_streams_open", "notifications").await < 2.0 {}
    let name = "깃발".repeat(100);
    let (mut sent, mut seen, start) = (0, Vec::new(), Instant::now());
    while metric(&api, "restock_streams_dropped_total", "notifications").await < 1.0 {
        assert!(start.elapsed() < 3 * DEADLINE, "it is not dropped after {sent} messages");
        for _ in 0..20 {
            store(&pool, 1, sent + 1..sent + 41, &name).await;
            sent += 40;
        }
        while seen.len() < usize::try_from(sent).expect("a count") {
            seen.push(events.next().await.expect("the other goes on").id.expect("an id"));
        }
    }
    assert_eq!(seen, stored(&pool).await);
    // It ends when it reads again, and has not got everything.
    let mut got = Vec::new();
    timeout(DEADLINE, deaf.read_to_end(&mut got)).await.expect("it ends in time").expect("it ends");
    let came = String::from_utf8_lossy(&got).matches("event: restock-notification").count();
    assert!(came > 0 && came < seen.len(), "{came} of {}", seen.len());
    store(&pool, 2, 1..2, &name).await;
    assert!(events.next().await.is_some());
    assert!(metric(&api, "restock_stream_messages_total", "notifications").await > seen.len() as f64);
}

#[tokio::test]
async fn streams_have_places_of_their_own_and_end_with_the_server() {
    let shop = Shop::open_inbox().await;
    let options =
        ["--streams-max", "3", "--in-flight-max", "1", "--api-connections-max", "2", "--request-timeout-ms", "500"];
    let mut api = shop.api_with(&options).await;
    let mut all = Events::follow(&api, ALL, None).await.begun().await;
    let mut own = Events::follow(&api, "/api/users/101/notifications/stream", None).await.begun().await;
    let mut rounds = Events::follow(&api, ROUNDS, None).await;
    assert_eq!(rounds.next().await.expect("an event").name, "state");
    api.get(ALL).await.fails(503, "overloaded", "");
    // Requests are answered beside them, and a stream outlives the time of a request.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1_500) {
        api.get("/api/products/42").await.is(200);
    }
    let pool = shop.pool().await;
    store(&pool, 1, 101..102, "bunting").await;
    assert!(all.next().await.is_some() && own.next().await.is_some());
    drop(own);
    api.until(|answer| answer.status == 200, ALL).await;
    for (path, header, field) in [
        (format!("{ALL}?after=-1"), "", "after"),
        (format!("{ALL}?before=1"), "", "before"),
        (ALL.to_owned(), "one", "Last-Event-ID"),
        (ALL.to_owned(), "99999999999999999999", "Last-Event-ID"),
    ] {
        let headers: &[(&str, &str)] = if header.is_empty() { &[] } else { &[("last-event-id", header)] };
        api.ask("GET", &path, headers, "").await.fails(400, "bad-request", field);
    }
    api.signal(Signal::SIGTERM);
    assert!(all.next().await.is_none(), "it ends, so that its client comes back elsewhere");
    while rounds.next().await.is_some() {}
    let ended = timeout(Duration::from_secs(10), api.child.wait()).await;
    assert_eq!(ended.expect("it ends in time").expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn one_person_has_a_limit_of_streams() {
    let shop = Shop::open_inbox().await;
    let api = shop.api().await;
    let path = "/api/users/101/notifications/stream";
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(Events::follow(&api, path, None).await.begun().await);
    }
    api.get(path).await.fails(429, "too-many-requests", "");
    Events::follow(&api, "/api/users/102/notifications/stream", None).await.begun().await;
    streams.pop();
    api.until(|answer| answer.status == 200, path).await;
}

#[tokio::test]
async fn the_progress_of_a_round_is_followed_until_the_stock_is_gone() {
    let shop = Shop::open_inbox().await;
    let _crew = shop.crew();
    let (api, second) = (shop.api().await, shop.api().await);
    shop.cli(&["rate", "set", "20"]).await;
    let users: Vec<String> = (1..=200).map(|user| user.to_string()).collect();
    let command: Vec<&str> = ["subscribe", "42"].into_iter().chain(users.iter().map(String::as_str)).collect();
    shop.cli(&command).await;
    let mut before = Events::follow(&api, ROUNDS, None).await;
    let state = before.next().await.expect("an event");
    assert_eq!((state.name.as_str(), &state.data["lanes"], &state.data["live"]), ("state", &json!([]), &json!(true)));
    api.post("/products/42/notifications/re-stock", r#"{"quantity":5}"#).await.is(202);
    let lane = |event: &super::events::Event, status: &str| {
        let lanes = event.data["lanes"].as_array().cloned().unwrap_or_default();
        lanes.into_iter().find(|lane| lane["product"] == 42 && lane["round"] == 1 && lane["status"] == status)
    };
    let sent = |event: &super::events::Event| lane(event, "IN_PROGRESS").and_then(|lane| lane["sent"].as_u64());
    let first = before.until(|event| event.name == "change" && sent(event) > Some(0)).await;
    before.until(|event| sent(event) > sent(&first)).await;
    // Who comes later, at another server, sees everything at once.
    let mut later = Events::follow(&second, ROUNDS, None).await;
    let state = later.next().await.expect("an event");
    assert!(state.name == "state" && sent(&state) > Some(0), "{state:?}");
    assert_eq!((&state.data["limit"], &state.data["paused"]), (&20.into(), &json!(false)));
    api.put("/api/products/42/stock", r#"{"stock":0}"#).await.is(200);
    for events in [&mut before, &mut later] {
        let over = events.until(|event| lane(event, "CANCELED_BY_SOLD_OUT").is_some()).await;
        let lane = lane(&over, "CANCELED_BY_SOLD_OUT").expect("a lane");
        assert!(lane["sent"].as_u64() < Some(200) && lane["ended_at"].is_string(), "{lane}");
    }
}
