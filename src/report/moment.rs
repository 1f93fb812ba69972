//! How the deployment stands at this moment: every lane, the pace, and how far the record lags behind.

use std::collections::HashMap;

use serde::Serialize;

use super::{ReportError, Sources, status};
use crate::{
    clock::wall_us,
    ids::{LaneId, Partition, ProductId},
    mysql::request::{self, Outbox},
    redis::scripts::TOTAL,
    redis::{Redis, RedisError, lane::LaneView},
    report::status::{Overview, StatusRow},
    round::Status,
};

/// A lane at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneNow {
    /// As `status` shows it.
    #[serde(flatten)]
    pub row: StatusRow,
    /// The consumer that holds it.
    pub owner: Option<String>,
    /// What is left of its lease, below zero once it has run out, ms.
    pub lease_ms: Option<i64>,
    /// For how long a queued round has waited, ms.
    pub waiting_ms: Option<i64>,
}

/// What MySQL has not heard of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// Entries in the logs of all partitions.
    pub entries: u64,
    /// The age of the oldest of them, ms; 0 without any.
    pub oldest_ms: i64,
}

/// The deployment at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Moment {
    /// By product, channel and round.
    pub lanes: Vec<LaneNow>,
    /// Whether Redis was asked too; else this is what MySQL knows, and it may lag.
    pub live: bool,
    /// Whether all sending stands still.
    pub paused: bool,
    /// The most starts a second; 0 = no pace.
    pub limit: u32,
    /// Permits given out in the last whole second; null when Redis does not answer.
    pub used: Option<i64>,
    /// What waits to be flushed; null when Redis does not answer.
    pub lag: Option<Lag>,
    /// Requests that have no round yet.
    pub outbox: Outbox,
}

/// What only Redis knows.
struct Engine {
    used: i64,
    lag: Lag,
    views: HashMap<LaneId, LaneView>,
    now_us: i64,
}

/// One product's lanes, or all, with what surrounds them.
///
/// # Errors
/// Those of MySQL; those of Redis other than that it does not answer.
pub async fn now(sources: &Sources, product: Option<ProductId>) -> Result<Moment, ReportError> {
    let Overview { rows, is_live, is_all_paused, .. } = status::lanes(sources, product).await?;
    let engine = match &sources.redis {
        Some(redis) if is_live => match ask(redis, sources.settings.partitions, &rows).await {
            Err(error) if error.is_unreachable() => None,
            asked => Some(asked?),
        },
        _ => None,
    };
    let outbox = request::outbox(&sources.mysql).await?;
    let lanes = rows.into_iter().map(|row| lane(row, engine.as_ref())).collect();
    Ok(Moment {
        lanes,
        live: engine.is_some(),
        paused: is_all_paused,
        limit: sources.settings.rate,
        used: engine.as_ref().map(|engine| engine.used),
        lag: engine.as_ref().map(|engine| engine.lag),
        outbox,
    })
}

async fn ask(redis: &Redis, partitions: u16, rows: &[StatusRow]) -> Result<Engine, RedisError> {
    let (mut open, mut lag): (HashMap<Partition, Vec<LaneId>>, _) = (HashMap::new(), Lag { entries: 0, oldest_ms: 0 });
    for row in rows.iter().filter(|row| row.status.is_open()) {
        let lane = LaneId { product: row.product, channel: row.channel.clone() };
        open.entry(Partition::of(row.product, partitions)).or_default().push(lane);
    }
    let mut views = HashMap::new();
    for partition in (0..partitions).map(Partition) {
        let (entries, oldest_ms) = redis.log_lag(partition).await?;
        lag = Lag { entries: lag.entries + entries, oldest_ms: lag.oldest_ms.max(oldest_ms) };
        let lanes = open.remove(&partition).unwrap_or_default();
        // Of what cannot be read MySQL's row stands.
        let read = redis.read_each_lane(partition, &lanes).await?;
        views.extend(lanes.into_iter().zip(read).filter_map(|(lane, view)| Some((lane, view.ok()??))));
    }
    let now_us = redis.now_ms(Partition(0)).await? * 1000;
    Ok(Engine { used: redis.pace_use(TOTAL).await?.last_second, lag, views, now_us })
}

fn lane(row: StatusRow, engine: Option<&Engine>) -> LaneNow {
    let id = LaneId { product: row.product, channel: row.channel.clone() };
    let view = engine.and_then(|engine| engine.views.get(&id));
    let is_current = view.is_some_and(|view| view.round == row.round);
    let owner = view.filter(|_| is_current && row.status == Status::InProgress).and_then(|view| view.owner.clone());
    let queued_us = view.and_then(|view| if is_current { view.queued_us } else { view.waiting_us });
    let now_us = engine.map_or_else(wall_us, |engine| engine.now_us);
    let waiting_ms =
        queued_us.filter(|_| row.status == Status::Queued).map(|queued_us| (now_us - queued_us).max(0) / 1000);
    let lease_us = view.filter(|_| owner.is_some()).map(|view| view.lease_until_ms.cast_signed() * 1000);
    let lease_ms = lease_us.map(|lease_us| (lease_us - now_us) / 1000);
    LaneNow { row, owner, lease_ms, waiting_ms }
}
