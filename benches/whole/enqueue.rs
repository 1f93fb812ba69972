//! Restocks announced a second: with 50 callers at once and in bulk, past the outbox and through it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use restock::ids::ProductId;

use crate::{
    Options,
    jobs::{flushed, script_calls},
    report::{Report, Row},
    shop::Shop,
    wire::Wire,
};

const PRODUCTS: i64 = 20_000;
const CALLERS: usize = 50;
const BULK: usize = 1_000;

pub(crate) async fn run(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    let shop = Shop::open("null", 0).await?;
    shop.products(1, PRODUCTS as u64, 1).await?;
    let flusher = shop.flusher()?;
    let mut wire = Wire::open(&shop.servers.redis).await?;
    enqueue(&shop, CALLERS, true).await?;
    let limit = script_calls(&shop, PRODUCTS as u64).await?.per_second;
    for (direct, how) in [(true, "--direct"), (false, "through the outbox")] {
        for callers in [CALLERS, BULK] {
            if !direct && callers == BULK {
                continue;
            }
            flushed(&shop, &mut wire).await?;
            let watch = shop.watch(&[&flusher]);
            let took = enqueue(&shop, callers, direct).await?;
            let what = format!("{how}, {callers} at once");
            let row = Row::new("enqueue", what, PRODUCTS as f64 / took.as_secs_f64(), "/s");
            report.add(row.limit("script calls without state", limit).used(&watch.read()));
        }
    }
    flushed(&shop, &mut wire).await?;
    let took = insert(&shop).await?;
    let row = Row::new(
        "enqueue",
        "one INSERT into the outbox, until all are rounds",
        PRODUCTS as f64 / took.as_secs_f64(),
        "/s",
    );
    report.add(row.limit("script calls without state", limit));
    Ok(())
}

async fn enqueue(shop: &Shop, callers: usize, direct: bool) -> anyhow::Result<Duration> {
    let start = Instant::now();
    stream::iter((1..=PRODUCTS).map(ProductId))
        .map(|product| async move {
            match direct {
                true => shop.producer.enqueue_direct(product, 1, None).await,
                false => shop.producer.enqueue(product, 1, None).await,
            }
        })
        .buffer_unordered(callers)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(start.elapsed())
}

/// What another program does: rows, and the relay takes them from there.
async fn insert(shop: &Shop) -> anyhow::Result<Duration> {
    let start = Instant::now();
    shop.execute(&format!(
        "INSERT INTO restock_request (product_id, quantity) SELECT id, 1 FROM product WHERE id <= {PRODUCTS} ORDER BY id"
    ))
    .await?;
    loop {
        let left = shop.number("SELECT COUNT(*) FROM restock_request WHERE state = 'PENDING'").await?;
        if left == 0 {
            return Ok(start.elapsed());
        }
        ensure!(start.elapsed() < Duration::from_secs(120), "{left} requests are still pending");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
