//! What Redis knows of the lanes that MySQL has not heard of yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::MySqlPool;

use crate::{
    ids::{Channel, LaneId, Partition, ProductId, ProductRef, Sku},
    mysql::{history::RoundRow, product, setting::Settings},
    redis::{Redis, RedisError, lane::LaneView},
};

/// Lanes, or products, asked for at once.
const BATCH: usize = 500;
const BATCH_ROWS: i64 = 500;

/// Lanes as Redis holds them.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) lanes: BTreeMap<LaneId, LaneView>,
    /// Of these MySQL's state stands.
    pub(super) unreadable: Vec<Unreadable>,
}

/// A lane in Redis that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which lane.
    pub lane: LaneId,
    /// What is wrong with it, for people.
    pub error: String,
}

/// The lanes of one product, or of all that Redis or MySQL knows.
pub(super) async fn read(
    redis: &Redis,
    settings: &Settings,
    product: Option<ProductId>,
    rows: &[RoundRow],
) -> Result<Live, RedisError> {
    let mut lanes: BTreeSet<LaneId> = rows.iter().map(|row| row.state.lane.clone()).collect();
    let products = match product {
        Some(product) => vec![product],
        None => products_in(redis, settings.partitions).await?,
    };
    let of = |product: ProductId, channel: &Channel| LaneId { product, channel: channel.clone() };
    lanes.extend(products.iter().flat_map(|id| settings.channels.iter().map(|channel| of(*id, channel))));

    let mut by_partition: HashMap<Partition, Vec<LaneId>> = HashMap::new();
    for lane in lanes {
        by_partition.entry(Partition::of(lane.product, settings.partitions)).or_default().push(lane);
    }
    let mut live = Live::default();
    for (partition, lanes) in by_partition {
        for lanes in lanes.chunks(BATCH) {
            let views = redis.read_each_lane(partition, lanes).await?;
            for (lane, view) in lanes.iter().cloned().zip(views) {
                match view {
                    Ok(view) => live.lanes.extend(view.map(|view| (lane, view))),
                    Err(error) => live.unreadable.push(Unreadable { lane, error: error.to_string() }),
                }
            }
        }
    }
    Ok(live)
}

async fn products_in(redis: &Redis, partitions: u16) -> Result<Vec<ProductId>, RedisError> {
    let mut all = Vec::new();
    for partition in (0..partitions).map(Partition) {
        let mut skip = 0;
        loop {
            let page = redis.idle_products(partition, i64::MAX, skip, BATCH_ROWS).await?;
            if page.is_empty() {
                break;
            }
            skip += BATCH_ROWS;
            all.extend(page);
        }
    }
    Ok(all)
}

/// MySQL's rows, and instead of them Redis' for the lanes where that is newer.
pub(super) async fn merge(
    mysql: &MySqlPool,
    rows: Vec<RoundRow>,
    live: BTreeMap<LaneId, LaneView>,
) -> sqlx::Result<Vec<RoundRow>> {
    let mut lanes: BTreeMap<LaneId, Vec<RoundRow>> = BTreeMap::new();
    for row in rows {
        lanes.entry(row.state.lane.clone()).or_default().push(row);
    }
    for lane in live.keys() {
        lanes.entry(lane.clone()).or_default();
    }
    let mut merged = Vec::new();
    for (lane, rows) in lanes {
        let newest = rows.iter().map(|row| row.state.stamp).max();
        match live.get(&lane) {
            Some(view) if newest.is_none_or(|newest| view.stamp > newest) => {
                let sku = match rows.first() {
                    Some(row) => row.sku.clone(),
                    None => product::find(mysql, &ProductRef::Id(lane.product)).await?.and_then(|row| row.sku),
                };
                merged.extend(live_rows(&lane, sku.as_ref(), view, &rows));
            }
            // A pause does not change a lane whose round has ended, so that it shows in Redis under the same stamp.
            Some(view) if newest == Some(view.stamp) => {
                merged.extend(rows.into_iter().map(|row| RoundRow { is_paused: view.is_paused, ..row }));
            }
            _ => merged.extend(rows),
        }
    }
    Ok(merged)
}

/// The lane's current or last round, and the one that waits behind it. Only MySQL counts how many people there are.
fn live_rows(lane: &LaneId, sku: Option<&Sku>, view: &LaneView, rows: &[RoundRow]) -> Vec<RoundRow> {
    let total = rows.iter().find(|row| row.state.round == view.round).and_then(|row| row.total);
    let row = |state, total| RoundRow { state, sku: sku.cloned(), total, is_paused: view.is_paused };
    let waiting = view.waiting_state(lane).map(|state| row(state, None));
    std::iter::once(row(view.state(lane), total)).chain(waiting).collect()
}

/// A round as it stands, from whoever knows it best.
pub(super) struct Known<'a> {
    pub(super) row: RoundRow,
    /// Redis' lane, when what it says of this round is newer than MySQL, or as new.
    pub(super) live: Option<&'a LaneView>,
}

/// MySQL's rounds, those of Redis that are newer in their place, and those that MySQL has not heard of; in order.
pub(super) fn overlay(rows: Vec<RoundRow>, lanes: &BTreeMap<LaneId, LaneView>) -> Vec<Known<'_>> {
    let mut known: Vec<Known<'_>> = rows.into_iter().map(|row| Known { row, live: None }).collect();
    for (lane, view) in lanes {
        let states = std::iter::once(view.state(lane)).chain(view.waiting_state(lane));
        for state in states {
            let same = |k: &&mut Known<'_>| k.row.state.lane == *lane && k.row.state.round == state.round;
            let stored = known.iter_mut().find(same);
            let row = |total| RoundRow { state, sku: None, total, is_paused: view.is_paused };
            match stored {
                Some(stored) if stored.row.state.stamp < view.stamp => {
                    let sku = stored.row.sku.take();
                    let row = RoundRow { sku, ..row(stored.row.total) };
                    *stored = Known { row, live: Some(view) };
                }
                Some(stored) => stored.live = (stored.row.state.stamp == view.stamp).then_some(view),
                None => known.push(Known { row: row(None), live: Some(view) }),
            }
        }
    }
    known.sort_by(|a, b| {
        let key = |k: &Known<'_>| (k.row.state.round, k.row.state.lane.channel.clone());
        key(a).cmp(&key(b))
    });
    known
}
