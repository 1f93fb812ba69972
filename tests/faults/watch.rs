//! Looks at lanes and rounds during a run: no store may go back unseen.

use std::{sync::Arc, time::Duration};

use restock::{
    clock::wall_us,
    ids::{Place, ProductId},
    mysql::history,
    round::{RoundState, Stamp},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stage::{Stage, lane};

const EVERY: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_millis(500);

/// A lane as it was seen once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) at_us: i64,
    pub(crate) product: i64,
    /// The run of the Redis server; empty for MySQL.
    pub(crate) run: String,
    pub(crate) round: u32,
    pub(crate) stamp: Stamp,
    pub(crate) cursor: Option<Place>,
    /// Of the hold; only Redis knows it.
    pub(crate) token: Option<String>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sightings: Vec<Sighting>,
    /// The most entries that a log held.
    pub(crate) log_max: u64,
}

/// Looks until the stop.
pub(crate) async fn watch(stage: Arc<Stage>, stop: CancellationToken) -> Seen {
    let mut seen = Seen::default();
    while !stop.is_cancelled() {
        // Who does not answer is not looked at.
        if let Ok(Some(sightings)) = timeout(LOOK_MAX, in_redis(&stage, &mut seen.log_max)).await {
            seen.sightings.extend(sightings);
        }
        if let Ok(Some(sightings)) = timeout(LOOK_MAX, in_mysql(&stage)).await {
            seen.sightings.extend(sightings);
        }
        sleep(EVERY).await;
    }
    seen
}

async fn run_id(stage: &Stage) -> Option<String> {
    stage.stores.redis.servers(&[]).await.ok()?.first_mut()?.info.remove("run_id")
}

async fn in_redis(stage: &Stage, log_max: &mut u64) -> Option<Vec<Sighting>> {
    let run = run_id(stage).await?;
    let mut found = Vec::new();
    for product in stage.products() {
        let partition = stage.stores.partition_of(ProductId(product));
        let view = stage.stores.redis.read_lanes(partition, &[lane(product)]).await.ok()?.remove(0);
        let Some(view) = view else { continue };
        let (at_us, run, round) = (wall_us(), run.clone(), view.round.0);
        found.push(Sighting { at_us, product, run, round, stamp: view.stamp, cursor: view.cursor, token: view.token });
    }
    for partition in stage.stores.partitions() {
        *log_max = stage.stores.redis.log_head(partition).await.ok()?.entries.max(*log_max);
    }
    // A restart in between: nobody knows of which run each of them is.
    (run_id(stage).await? == run).then_some(found)
}

async fn in_mysql(stage: &Stage) -> Option<Vec<Sighting>> {
    let rows = history::rounds(&stage.stores.mysql, None).await.ok()?;
    let at_us = wall_us();
    let sighting = |state: RoundState| Sighting {
        at_us,
        product: state.lane.product.0,
        run: String::new(),
        round: state.round.0,
        stamp: state.stamp,
        cursor: state.cursor,
        token: None,
    };
    Some(rows.into_iter().map(|row| sighting(row.state)).collect())
}
