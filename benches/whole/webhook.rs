//! Webhooks a second and processor time of each, to a receiver in this process.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use restock::{
    channel::{Answer, ChannelOptions, Message, ProductCard},
    ids::{ProductId, Round, UserId},
};
use tokio::net::TcpListener;

use crate::{
    Options,
    report::{Report, Row},
    shop::Shop,
};

const PEOPLE: i64 = 40_000;
/// The worker's default.
const CONNECTIONS: usize = 256;

pub(crate) async fn run(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    let url = format!("http://{}/", receive().await?);
    let shop = Shop::open("webhook", 0).await?;
    shop.products(1, 1, PEOPLE as u64).await?;
    shop.products(2, 1, 2_000).await?;
    let (flusher, worker) = (shop.flusher()?, shop.worker(&["--webhook-url", &url])?);
    let first = shop.enqueue(2).await?;
    shop.completed(2, first).await?;
    let watch = shop.watch(&[&worker, &flusher]);
    let start = Instant::now();
    let round = shop.enqueue(1).await?;
    let took = shop.completed(1, round).await? - start;
    let used = watch.read();
    let limit = posts(&shop, &url).await?;
    let per_second = |took: Duration| PEOPLE as f64 / took.as_secs_f64();
    let cpu_us = used.iter().find(|used| used.process == "worker").map_or(0.0, |used| used.cpu_s) * 1e6 / PEOPLE as f64;
    report.add(
        Row::new("webhook", "people told and recorded", per_second(took), "/s")
            .limit("the same posts alone", per_second(limit))
            .used(&used),
    );
    report.add(Row::new("webhook", "the worker's CPU of a message", cpu_us, "µs"));
    Ok(())
}

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    channels: ChannelOptions,
}

/// The same requests by the same sender, with nothing else to do.
async fn posts(shop: &Shop, url: &str) -> anyhow::Result<Duration> {
    let sender = Defaults::parse_from(["bench", "--webhook-url", url]).channels.build(&shop.channel)?;
    let card = Arc::new(ProductCard { id: ProductId(1), sku: None, name: "product".to_owned() });
    let message = |user| Message {
        product: card.clone(),
        round: Round(1),
        channel: shop.channel.clone(),
        user: UserId(user),
        started_us: 1_700_000_000_000_000,
        traceparent: None,
    };
    let start = Instant::now();
    let failed = stream::iter(1..=PEOPLE)
        .map(|user| sender.send(message(user)))
        .buffer_unordered(CONNECTIONS)
        .filter(|answer| std::future::ready(*answer != Answer::Delivered))
        .count()
        .await;
    anyhow::ensure!(failed == 0, "{failed} of the posts failed");
    Ok(start.elapsed())
}

/// Answers 200 to everything, until this process ends.
async fn receive() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    Ok(address)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    // The body is read to its end, as a receiver must to use the connection again.
    let _ = request.into_body().collect().await;
    Ok(Response::new(Empty::new()))
}
