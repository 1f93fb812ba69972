//! From the call that announces a restock to the start of the attempt, with little to do: 200 a second, no pace,
//! products that Redis knows.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use futures_util::{FutureExt, future::BoxFuture};
use restock::{
    channel::{Answer, ChannelOptions, Message, Sender},
    ids::ProductId,
    meter::Vitals,
    redis::scripts::Reserve,
    worker::{self, Worker, WorkerOptions},
};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    report::{Report, Row},
    shop::Shop,
};

const PRODUCTS: i64 = 2_000;
const PER_SECOND: u32 = 200;

/// A channel that tells when each attempt starts.
struct Probe(mpsc::UnboundedSender<(ProductId, i64)>);

impl Sender for Probe {
    fn send(&self, message: Message) -> BoxFuture<'_, Answer> {
        // Nobody listens between two measurements.
        let _ = self.0.send((message.product.id, message.started_us));
        async { Answer::Delivered }.boxed()
    }

    fn connections_max(&self) -> usize {
        1_000
    }
}

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    channels: ChannelOptions,
}

pub(crate) async fn run(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    let shop = Shop::open("null", 0).await?;
    shop.products(1, PRODUCTS as u64, 1).await?;
    let flusher = shop.flusher()?;
    let (probe, mut starts) = mpsc::unbounded_channel();
    let senders: HashMap<_, Arc<dyn Sender>> = HashMap::from([(shop.channel.clone(), Arc::new(Probe(probe)) as _)]);
    let Defaults { worker: options, channels } = Defaults::parse_from(["bench"]);
    let stop = CancellationToken::new();
    let (_unchanged, settings) = watch::channel(shop.stores.settings.clone());
    let (stores, consumer) = (shop.stores.clone(), "bench".to_owned());
    let worker = Worker { stores, settings, options, channels, senders, consumer, vitals: Vitals::default() };
    let worker = tokio::spawn(worker::run(worker, stop.clone()));

    measure(&shop, &mut starts, true).await?;
    let trip = round_trip(&shop).await?;
    for (direct, what, goal) in [(true, "--direct", ["1.5 ms", "5 ms"]), (false, "through the outbox", ["", ""])] {
        let took = measure(&shop, &mut starts, direct).await?;
        for (percent, goal) in [50, 99].into_iter().zip(goal) {
            let row = Row::new("latency", format!("{what}: enqueue to start, p{percent}"), of(&took, percent), "ms");
            report.add(row.limit(format!("one script call, p{percent}"), of(&trip, percent)).goal(goal));
        }
    }
    stop.cancel();
    drop(flusher);
    worker.await??;
    Ok(())
}

/// Restocks every product once, at even steps; the times in ms, sorted.
async fn measure(
    shop: &Shop,
    starts: &mut mpsc::UnboundedReceiver<(ProductId, i64)>,
    direct: bool,
) -> anyhow::Result<Vec<f64>> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let producer = &shop.producer;
    let ask = async {
        let mut calls = tokio::task::JoinSet::new();
        let mut asked = HashMap::new();
        for product in (1..=PRODUCTS).map(ProductId) {
            tick.tick().await;
            asked.insert(product, wall_us());
            let producer = restock::producer::Producer::new(producer.stores().clone());
            calls.spawn(async move {
                match direct {
                    true => producer.enqueue_direct(product, 1, None).await,
                    false => producer.enqueue(product, 1, None).await,
                }
            });
        }
        while let Some(called) = calls.join_next().await {
            called??;
        }
        anyhow::Ok(asked)
    };
    let hear = async {
        let mut heard = HashMap::new();
        while heard.len() < PRODUCTS as usize {
            let Some((product, at_us)) = starts.recv().await else { break };
            heard.insert(product, at_us);
        }
        heard
    };
    let (asked, heard) = tokio::join!(ask, tokio::time::timeout(Duration::from_secs(60), hear));
    let (asked, heard) = (asked?, heard?);
    let mut took: Vec<f64> = asked.iter().map(|(product, at)| (heard[product] - at) as f64 / 1e3).collect();
    took.sort_by(f64::total_cmp);
    Ok(took)
}

/// What one script call takes at the same even steps.
async fn round_trip(shop: &Shop) -> anyhow::Result<Vec<f64>> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut took = Vec::new();
    for _ in 0..PRODUCTS {
        tick.tick().await;
        let channel = &shop.stores.settings.channels[0];
        let limit = shop.stores.settings.limit_of(channel);
        let reserve = Reserve { channel, wanted: 0, horizon_us: 0, lead_us: 0, limit, unused: &[] };
        let start = Instant::now();
        shop.stores.redis.reserve_pace(&reserve).await?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}

fn of(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or(0.0)
}

fn wall_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
