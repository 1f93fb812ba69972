//! Many products with one person each: how fast lanes are taken, worked, ended and recorded.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use restock::redis::scripts::Reserve;

use crate::{
    Options,
    report::{Report, Row},
    shop::Shop,
    usage::{Used, cpu_s},
    wire::Wire,
};

/// Calls under way at once.
const IN_FLIGHT: usize = 64;
/// Lanes of a worker: as many as suit small rounds, and as many as it has by default.
pub(crate) const LANES: [u32; 2] = [256, 64];
/// How often it is looked whether all is done: a look takes eight commands of the Redis that is measured.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing here takes so long.
const DEADLINE: Duration = Duration::from_secs(300);

/// What one run of jobs showed.
pub(crate) struct Worked {
    /// A second, from the first begin until the last row was committed.
    pub(crate) jobs: f64,
    pub(crate) used: Vec<Used>,
    /// Bytes of Redis while all of them waited.
    pub(crate) bytes_queued: u64,
    /// And when all were done.
    pub(crate) bytes_idle: u64,
}

impl Worked {
    /// Redis' processor time for each job, in µs.
    pub(crate) fn redis_us(&self, jobs: u64) -> f64 {
        let redis = self.used.iter().find(|used| used.process == "redis");
        redis.map_or(0.0, |used| used.cpu_s) * 1e6 / jobs as f64
    }
}

pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    for lanes in LANES {
        let shop = Shop::open("null", 0).await?;
        let limit = script_calls(&shop, options.jobs).await?;
        let worked = work(&shop, options.jobs, lanes).await?;
        report.add(
            Row::new("jobs", format!("rounds of one person, done and recorded; {lanes} lanes"), worked.jobs, "/s")
                .limit("script calls without state", limit.per_second)
                .goal("10,000/s")
                .used(&worked.used),
        );
        report.add(
            Row::new("jobs", "Redis CPU of a job", worked.redis_us(options.jobs), "µs")
                .limit("of such a call", limit.cpu_us),
        );
        for Used { process, cpu_s, .. } in &worked.used {
            report.add(Row::new("jobs", format!("CPU of a job: {process}"), cpu_s * 1e6 / options.jobs as f64, "µs"));
        }
    }
    Ok(())
}

pub(crate) struct Calls {
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
}

/// The machine's own limit: one script call a job that does nothing.
pub(crate) async fn script_calls(shop: &Shop, calls: u64) -> anyhow::Result<Calls> {
    let pid = shop.servers.redis.pid().unwrap_or(0);
    let channel = &shop.stores.settings.channels[0];
    let limit = shop.stores.settings.limit_of(channel);
    let reserve = Reserve { channel, wanted: 0, horizon_us: 0, lead_us: 0, limit, unused: &[] };
    let (start, before) = (Instant::now(), cpu_s(pid));
    stream::iter(0..calls)
        .map(|_| shop.stores.redis.reserve_pace(&reserve))
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(Calls {
        per_second: calls as f64 / start.elapsed().as_secs_f64(),
        cpu_us: (cpu_s(pid) - before) * 1e6 / calls as f64,
    })
}

/// Queues so many products, then starts a worker and waits until all of it is in MySQL.
pub(crate) async fn work(shop: &Shop, jobs: u64, lanes: u32) -> anyhow::Result<Worked> {
    shop.products(1, jobs, 1).await?;
    let flusher = shop.flusher()?;
    let mut wire = Wire::open(&shop.servers.redis).await?;
    stream::iter(1..=jobs.cast_signed())
        .map(|product| shop.enqueue(product))
        .buffer_unordered(128)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    flushed(shop, &mut wire).await?;
    let bytes_queued = wire.used_memory().await?;

    let worker = shop.worker(&["--lanes", &lanes.to_string()])?;
    let watch = shop.watch(&[&worker, &flusher]);
    while unread(shop, &mut wire).await? > 0 {
        tokio::time::sleep(LOOK).await;
    }
    flushed(shop, &mut wire).await?;
    let end_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64;
    let used = watch.read();
    let done = shop.number("SELECT COUNT(*) FROM product_user_notification_history WHERE outcome = 'SENT'").await?;
    ensure!(done.unsigned_abs() == jobs, "{done} people were told, not {jobs}");
    let start_us = shop
        .number(
            "SELECT CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', MIN(started_at)) AS SIGNED)
             FROM product_notification_history",
        )
        .await?;
    let bytes_idle = wire.used_memory().await?;
    Ok(Worked { jobs: jobs as f64 * 1e6 / (end_us - start_us) as f64, used, bytes_queued, bytes_idle })
}

/// Entries of the job streams.
async fn unread(shop: &Shop, wire: &mut Wire) -> anyhow::Result<u64> {
    let mut entries = 0;
    for partition in shop.stores.partitions() {
        entries += wire.length(&shop.stores.redis.keys().jobs(partition, &shop.channel)).await?;
        entries += wire.length(&shop.stores.redis.keys().again(partition, &shop.channel)).await?;
    }
    Ok(entries)
}

/// Waits until MySQL has all that Redis logged: the flusher deletes what it committed.
pub(crate) async fn flushed(shop: &Shop, wire: &mut Wire) -> anyhow::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let mut left = 0;
        for partition in shop.stores.partitions() {
            left += wire.length(&shop.stores.redis.keys().log(partition)).await?;
        }
        if left == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{left} entries are not flushed");
        tokio::time::sleep(LOOK).await;
    }
}
