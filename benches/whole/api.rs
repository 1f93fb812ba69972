//! The HTTP API under load, beside a bare axum route in the same run, in turns: how a round stands, and a restock.

use std::{
    net::TcpListener as FreePort,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use axum::{Router, body::Bytes, http::header, routing::get};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use restock::{
    ids::ProductId,
    token::{self, TokenHash},
};
use tokio::net::TcpListener;

use crate::{
    Options,
    jobs::flushed,
    load::{Answered, Ask, Asker, CONNECTIONS},
    report::{Report, Row, say},
    shop::{Role, Shop},
    usage::Used,
    wire::Wire,
};

/// Products with a round that is over, and products that are restocked.
const PRODUCTS: u64 = 1_000;
/// The product whose round is under way.
const LARGE: i64 = 1_000_000;
/// The pace: the round must not end while its status is asked for.
const RATE: u32 = 500;
/// How often each is measured, in turn; the medians are shown.
const TURNS: usize = 3;
/// How long a server may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(30);

const BARE: &str = "a bare axum route with the same body";

pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let shop = Shop::open("null", RATE).await?;
    shop.products(1, PRODUCTS, 1).await?;
    shop.products(LARGE, 1, options.people.min(200_000)).await?;
    let token = token::fresh();
    let (api, server) = start(&shop, &token).await?;
    let bench = Bench { asker: Asker::find().await, time: Duration::from_secs(options.seconds), server, token };
    say(&format!("  {CONNECTIONS} connections, by {}", bench.asker.name()));
    statuses(&shop, &bench, &api, report).await?;
    restocks(&shop, &bench, &api, report).await
}

struct Bench {
    asker: Asker,
    time: Duration,
    server: String,
    token: String,
}

impl Bench {
    async fn ask(&self, method: &'static str, path: &str, count: u64) -> anyhow::Result<Answered> {
        self.asker.ask(&self.server, &self.token, &Ask { method, path, count }, self.time).await
    }

    async fn bare(&self, server: &str) -> anyhow::Result<Answered> {
        self.asker.ask(server, &self.token, &Ask { method: "GET", path: "/", count: 1 }, self.time).await
    }
}

/// A server with a token, without a limit of requests; and where it is asked.
async fn start(shop: &Shop, token: &str) -> anyhow::Result<(Role, String)> {
    let address = FreePort::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let hash = TokenHash::of(token).to_string();
    let role = shop.api(&["--listen", &address, "--admin-token-hash", &hash, "--requests-per-second", "0"])?;
    let (server, client, start) = (format!("http://{address}"), Client::new(), Instant::now());
    loop {
        let answer = client.get(format!("{server}/readyz")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok((role, server));
        }
        ensure!(start.elapsed() < READY_MAX, "restock-api is not ready after {READY_MAX:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The least that a server does for such an answer, in this process, until it ends.
async fn bare(body: Bytes) -> anyhow::Result<String> {
    let answer = async move || ([(header::CONTENT_TYPE, "application/json")], body.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(answer))).await });
    Ok(server)
}

/// One round that everybody asks for while it is under way, and many that are over, each asked for in turn.
async fn statuses(shop: &Shop, bench: &Bench, api: &Role, report: &mut Report) -> anyhow::Result<()> {
    let (flusher, worker) = (shop.flusher()?, shop.worker(&[])?);
    for product in 1..=PRODUCTS.cast_signed() {
        shop.enqueue(product).await?;
    }
    let last = restock::ids::Round(1);
    for product in 1..=PRODUCTS.cast_signed() {
        shop.completed(product, last).await?;
    }
    let round = shop.enqueue(LARGE).await?;
    let one = format!("/api/products/{LARGE}/rounds/{round}");
    let body = async || {
        let answer = Client::new().get(format!("{}{one}", bench.server)).bearer_auth(&bench.token).send().await?;
        anyhow::Ok(answer.error_for_status()?.bytes().await?)
    };
    let bare = bare(body().await?).await?;
    let watch = shop.watch(&[api, &worker, &flusher]);
    let (mut limit, mut shown, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        limit.push(bench.bare(&bare).await?);
        shown.push(bench.ask("GET", &one, 1).await?);
        many.push(bench.ask("GET", "/api/products/{}/rounds/1", PRODUCTS).await?);
        say_turn(turn, &[("bare", &limit), ("one round", &shown), ("many", &many)]);
    }
    let state = String::from_utf8_lossy(&body().await?).into_owned();
    ensure!(state.contains("IN_PROGRESS"), "the round was over too soon: {state}");
    let (limit, used) = (median(&limit), watch.read());
    add(report, "a round under way, asked for by all", median(&shown), limit, ("0.5", &used));
    add(report, format!("{PRODUCTS} rounds that are over, in turn"), median(&many), limit, ("0.5", &[]));
    Ok(())
}

/// Restocks of many products, in turn: what the route costs beside what it calls.
async fn restocks(shop: &Shop, bench: &Bench, api: &Role, report: &mut Report) -> anyhow::Result<()> {
    let flusher = shop.flusher()?;
    let mut wire = Wire::open(&shop.servers.redis).await?;
    let bare = bare(Bytes::from_static(br#"{"product":1000,"round":10,"request":10000}"#)).await?;
    let path = "/api/products/{}/notifications/re-stock";
    let watch = shop.watch(&[api, &flusher]);
    let (mut limit, mut route, mut library) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        limit.push(bench.bare(&bare).await?);
        route.push(bench.ask("POST", path, PRODUCTS).await?);
        flushed(shop, &mut wire).await?;
        library.push(enqueue(shop, bench.time).await?);
        flushed(shop, &mut wire).await?;
        say_turn(turn, &[("bare", &limit), ("the route", &route), ("Producer::enqueue", &library)]);
    }
    let (route, used) = (median(&route), watch.read());
    add(report, "restocks announced", route, median(&limit), ("", &used));
    let row = Row::new("api", "the same", route.per_second, "/s");
    report.add(row.limit("Producer::enqueue alone", median(&library).per_second));
    Ok(())
}

/// What the route calls, as many at once, without HTTP.
async fn enqueue(shop: &Shop, time: Duration) -> anyhow::Result<Answered> {
    let start = Instant::now();
    let mut took: Vec<f64> = stream::iter((1..=PRODUCTS.cast_signed()).cycle().map(ProductId))
        .take_while(|_| std::future::ready(start.elapsed() < time))
        .map(async |product| {
            let asked = Instant::now();
            shop.producer.enqueue(product, 0, None).await.context("a restock was refused")?;
            anyhow::Ok(asked.elapsed().as_secs_f64() * 1e3)
        })
        .buffer_unordered(CONNECTIONS)
        .try_collect()
        .await?;
    let per_second = took.len() as f64 / start.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(0.0);
    Ok(Answered { per_second, p50_ms: at(50), p99_ms: at(99) })
}

fn add(report: &mut Report, what: impl Into<String>, ours: Answered, limit: Answered, rest: (&'static str, &[Used])) {
    let (what, (goal, used)) = (what.into(), rest);
    report.add(Row::new("api", &*what, ours.per_second, "/s").limit(BARE, limit.per_second).goal(goal).used(used));
    report.add(Row::new("api", format!("{what}, p50"), ours.p50_ms, "ms").limit("its p50", limit.p50_ms));
    report.add(Row::new("api", format!("{what}, p99"), ours.p99_ms, "ms").limit("its p99", limit.p99_ms));
}

fn say_turn(turn: usize, of: &[(&str, &Vec<Answered>)]) {
    let shown = |(name, answered): &(&str, &Vec<Answered>)| {
        format!("{name} {:.0}", answered.last().map_or(0.0, |answered| answered.per_second))
    };
    say(&format!("  turn {turn}: {}", of.iter().map(shown).collect::<Vec<_>>().join(", ")));
}

/// In the middle, each figure for itself.
fn median(answered: &[Answered]) -> Answered {
    let middle = |of: fn(&Answered) -> f64| {
        let mut figures: Vec<f64> = answered.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(0.0)
    };
    Answered { per_second: middle(|a| a.per_second), p50_ms: middle(|a| a.p50_ms), p99_ms: middle(|a| a.p99_ms) }
}
