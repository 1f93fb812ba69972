//! The deployment: clocks, settings that contradict each other, and whether flushers and workers keep up.

use super::sheet::{Level, Sheet};
use crate::{
    channel::ChannelOptions,
    clock::wall_us,
    ids::Partition,
    mysql::setting::Settings,
    redis::{Redis, inspect::job_streams, scripts::TOTAL},
    report::workers::{self, Signs},
    stores::{StoreError, Stores},
    sync::{BACKLOG_MAX, Lead},
    worker::WorkerOptions,
};

/// Clocks this far apart are worth a word, ms.
const APART_WARN_MS: i64 = 500;
/// And this far apart they make the record wrong, ms.
const APART_FAIL_MS: i64 = 10_000;
/// The answer of a provider that a window should bridge, ms.
const ANSWER_MS: u64 = 300;
/// A shorter lease is lost to a slow network, ms.
const LEASE_MS_MIN: u64 = 3_000;
/// The log may wait this long, ms.
const LAG_WARN_MS: u64 = 10_000;
/// Pending this long without a renewal: nobody took it over, ms.
const PENDING_MS: u64 = 60_000;
/// Pending entries of one stream that are looked at.
const PENDING_MAX: u64 = 1_000;

/// The clocks of this host, of Redis and of MySQL, each read between two reads of the first.
pub(super) async fn compare_clocks(redis: &Redis, mysql: &sqlx::MySqlPool, sheet: &mut Sheet) -> anyhow::Result<()> {
    let before_us = wall_us();
    let redis_us = redis.now_ms(Partition(0)).await? * 1000;
    let between_us = wall_us();
    let mysql_us: i64 = sqlx::query_scalar("SELECT CAST(UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6)) * 1000000 AS SIGNED)")
        .fetch_one(mysql)
        .await?;
    let after_us = wall_us();
    let redis_ms = (redis_us - i64::midpoint(before_us, between_us)) / 1000;
    let mysql_ms = (mysql_us - i64::midpoint(between_us, after_us)) / 1000;
    let apart_ms = redis_ms.abs().max(mysql_ms.abs()).max((redis_ms - mysql_ms).abs());
    let level = match apart_ms {
        APART_FAIL_MS.. => Level::Fail,
        APART_WARN_MS.. => Level::Warn,
        _ => Level::Ok,
    };
    let detail = format!("against this host, Redis is {redis_ms} ms ahead and MySQL {mysql_ms} ms");
    let advice =
        "run an NTP client on every machine: places in line, leases and times of sending come from different clocks";
    sheet.judge("clocks", level, detail, advice);
    Ok(())
}

/// What contradicts itself in the settings, with the options of a worker that would be started here.
pub(super) fn examine_settings(
    settings: &Settings,
    worker: &WorkerOptions,
    channels: &ChannelOptions,
    sheet: &mut Sheet,
) {
    let (rate, window) = (u64::from(settings.rate), u64::from(worker.window));
    let names = settings.channels.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let detail = format!("partitions {}, channels {names}, rate {rate}", settings.partitions);
    if settings.paused {
        sheet.warn("settings", format!("{detail}, all sending is paused"), "`restock-cli unpause` lets it go on");
    } else if rate == 0 {
        sheet.warn("settings", format!("{detail}: there is no pace"), "`restock-cli rate set N` gives one");
    } else {
        sheet.ok("settings", detail);
    }
    let needed = rate * ANSWER_MS / 1000;
    let connections = u64::try_from(channels.connections_max).unwrap_or(u64::MAX);
    let detail = format!("--window {window}, --connections-max {connections}, rate {rate}");
    let level = if window.min(connections) < needed { Level::Warn } else { Level::Ok };
    let advice =
        "raise --window and --connections-max to a third of the rate: with answers of 300 ms a lane needs as many";
    sheet.judge("window", level, detail, advice);
    let lease_ms = worker.claim_idle_ms;
    let level = if lease_ms < LEASE_MS_MIN { Level::Warn } else { Level::Ok };
    let advice = "raise --claim-idle-ms to 3000 or more: a short pause of the network loses every lane";
    sheet.judge("lease", level, format!("--claim-idle-ms {lease_ms}"), advice);
    let (drain_ms, send_ms) = (worker.drain_ms, channels.send_timeout_ms);
    let level = if drain_ms < send_ms { Level::Warn } else { Level::Ok };
    let advice = "make --drain-ms longer than --send-timeout-ms: a stop gives up what is in flight, and repeats it";
    sheet.judge("drain", level, format!("--drain-ms {drain_ms}, --send-timeout-ms {send_ms}"), advice);
}

pub(super) async fn examine_running(stores: &Stores, sheet: &mut Sheet) -> anyhow::Result<()> {
    examine_flusher(stores, sheet).await?;
    examine_streams(stores, sheet).await?;
    examine_workers(stores, sheet).await?;
    examine_refused(stores, sheet).await?;
    Ok(examine_pace(stores, sheet).await?)
}

async fn examine_flusher(stores: &Stores, sheet: &mut Sheet) -> Result<(), StoreError> {
    let (mut leaderless, mut lag_ms, mut longest) = (Vec::new(), 0, 0);
    for partition in stores.partitions() {
        if !Lead::is_taken(stores, partition).await? {
            leaderless.push(partition.to_string());
        }
        longest = longest.max(stores.redis.log_head(partition).await?.entries);
        if let Some(oldest) = stores.redis.oldest_in_log(partition).await? {
            let now_ms = u64::try_from(stores.redis.now_ms(partition).await?).unwrap_or(0);
            lag_ms = lag_ms.max(now_ms.saturating_sub(oldest.ms));
        }
    }
    let advice = "start restock-flusher: without one MySQL learns nothing, and the outbox waits";
    if leaderless.is_empty() {
        sheet.ok("flusher", format!("leads all {} partitions", stores.settings.partitions));
    } else {
        sheet.fail("flusher", format!("nobody leads the partitions {}", leaderless.join(", ")), advice);
    }
    let level = match (longest, lag_ms) {
        (BACKLOG_MAX.., _) => Level::Fail,
        (_, LAG_WARN_MS..) => Level::Warn,
        (longest, _) if longest >= BACKLOG_MAX / 2 => Level::Warn,
        _ => Level::Ok,
    };
    let detail =
        format!("the oldest entry waits for {lag_ms} ms, the longest log has {longest} of {BACKLOG_MAX} entries");
    let advice = "see the log of restock-flusher, and whether MySQL is slow: at the limit nobody is told any more";
    sheet.judge("flush_lag", level, detail, advice);
    Ok(())
}

async fn examine_streams(stores: &Stores, sheet: &mut Sheet) -> Result<(), StoreError> {
    let (mut groupless, mut waiting, mut pending, mut old, mut dead) = (0, 0, 0, 0, 0);
    for (partition, channel) in stores.partitions().flat_map(|p| stores.settings.channels.iter().map(move |c| (p, c))) {
        for stream in job_streams(partition, channel) {
            let len = stores.redis.stream_len(&stream).await?;
            let Some(group) = stores.redis.read_group(&stream).await? else {
                groupless += u64::from(len > 0);
                waiting += len;
                continue;
            };
            waiting += len.saturating_sub(group.pending);
            pending += group.pending;
            let views = stores.redis.read_pending(&stream, None, PENDING_MAX).await?;
            old += views.iter().filter(|view| view.idle_ms >= PENDING_MS).count();
        }
        dead += stores.redis.dead_len(partition, channel).await?;
    }
    let detail =
        format!("{waiting} lanes wait for a worker, {pending} are being worked, {old} of them silent for a minute");
    match (groupless, old) {
        (0, 0) => sheet.ok("streams", detail),
        (0, _) => sheet.warn(
            "streams",
            detail,
            "start restock-worker: it takes over what is silent; see `restock-cli verify`",
        ),
        _ => sheet.warn("streams", format!("{detail}; {groupless} streams without a group"), "start restock-worker"),
    }
    let level = if dead > 0 { Level::Warn } else { Level::Ok };
    let advice = "see `restock-cli dead list`, or `restock-cli resume` the products";
    sheet.judge("dead", level, format!("{dead} lanes given up"), advice);
    Ok(())
}

async fn examine_workers(stores: &Stores, sheet: &mut Sheet) -> Result<(), StoreError> {
    for channel in &stores.settings.channels {
        let Signs { alive, gone } = workers::signs(&stores.redis, channel, stores.partitions()).await?;
        let level = if alive == 0 { Level::Fail } else { Level::Ok };
        let detail = format!("channel {channel}: {alive} give signs of life, {gone} do not");
        sheet.judge("workers", level, detail, "start restock-worker; nobody is told by this channel without one");
    }
    Ok(())
}

async fn examine_refused(stores: &Stores, sheet: &mut Sheet) -> sqlx::Result<()> {
    let refused: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM log_dead WHERE mended_at IS NULL").fetch_one(&stores.mysql).await?;
    let level = if refused > 0 { Level::Warn } else { Level::Ok };
    sheet.judge(
        "log_dead",
        level,
        format!("{refused} rows refused by MySQL"),
        "see `restock-cli dead list`, mend that, then `restock-cli dead replay`",
    );
    let paused: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM product WHERE is_paused = 1").fetch_one(&stores.mysql).await?;
    let level = if paused > 0 { Level::Warn } else { Level::Ok };
    sheet.judge("paused", level, format!("{paused} products stand still"), "`restock-cli unpause P` lets one go on");
    Ok(())
}

async fn examine_pace(stores: &Stores, sheet: &mut Sheet) -> Result<(), StoreError> {
    let in_redis = stores.redis.pace_use(TOTAL).await?;
    let stored = i64::from(stores.settings.rate);
    match in_redis.rate {
        Some(rate) if rate != stored => {
            let detail = format!("Redis goes by {rate} a second, the settings by {stored}");
            sheet.warn("pace", detail, "`restock-cli rate set N` tells Redis; the next worker that asks does so too");
        }
        _ => sheet.ok("pace", format!("{} starts in the last second, at most {stored}", in_redis.last_second)),
    }
    Ok(())
}
