//! Repairing Redis from MySQL: lanes that are absent or behind, open lanes without an entry.
//!
//! A row of MySQL that is older than Redis is only not flushed yet: that is left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::check::check_each;
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    mysql::answered,
    redis::{
        RedisError,
        lane::LaneView,
        scripts::{Canceled, channel_list},
    },
    round::Status,
    stores::{LaneStamps, StoreError, Stores, lane_stamps},
};

/// Products read at once.
const PAGE_PRODUCTS: u32 = 500;
/// The rest after a page is so many times as long as it took, within bounds.
const PAGE_REST_TIMES: u32 = 30;
const PAGE_REST_MIN: Duration = Duration::from_secs(1);
const PAGE_REST_MAX: Duration = Duration::from_secs(10);

/// What a step of the reconciler repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Products checked against MySQL.
    pub checked: usize,
    /// Lanes of disabled channels that were told to end.
    pub canceled: usize,
}

/// Mirrors the settings, then goes through all open rounds of a partition.
///
/// With an alarm to listen to it rests after each page, so that where a hundred thousand wait, looking at them does not cost
/// more than working them; given, the alarm ends that with `None`, and the next step must not rest. Not within a page: what
/// is asked of MySQL is heard to its end.
pub(super) async fn step(
    stores: &Stores,
    partition: Partition,
    resting: Option<&Notify>,
) -> Result<Option<Reconciled>, StoreError> {
    let channels = channel_list(&stores.settings.channels);
    stores.redis.mirror_channels(partition, &channels).await?;
    stores.redis.mirror_first(partition, stores.settings.partitions, &channels).await?;
    let mut done = Reconciled::default();
    for status in [Status::Queued, Status::InProgress] {
        let mut after = ProductId(0);
        loop {
            let begun = Instant::now();
            let products = answered(open_products(stores, partition, status, after)).await?;
            let Some(last) = products.last() else { break };
            after = *last;
            let page = repair(stores, partition, &products).await?;
            done.checked += page.checked;
            done.canceled += page.canceled;
            if products.len() < PAGE_PRODUCTS as usize {
                break;
            }
            if let Some(alarm) = resting
                && timeout(rest_after(begun.elapsed()), alarm.notified()).await.is_ok()
            {
                return Ok(None);
            }
        }
    }
    Ok(Some(done))
}

/// How long to rest after a page that took so long.
fn rest_after(page: Duration) -> Duration {
    page.saturating_mul(PAGE_REST_TIMES).clamp(PAGE_REST_MIN, PAGE_REST_MAX)
}

/// Products of this partition with a round of this open status, by number: a page of one index.
async fn open_products(
    stores: &Stores,
    partition: Partition,
    status: Status,
    after: ProductId,
) -> sqlx::Result<Vec<ProductId>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT product_id FROM product_notification_history FORCE INDEX (standing)
         WHERE status = ? AND ended_at IS NULL AND product_id > ? AND MOD(product_id, ?) = ? ORDER BY product_id LIMIT ?",
    )
    .bind(status.as_str())
    .bind(after.0)
    .bind(stores.settings.partitions)
    .bind(partition.0)
    .bind(PAGE_PRODUCTS)
    .fetch_all(&stores.mysql)
    .await?;
    Ok(ids.into_iter().map(ProductId).collect())
}

async fn repair(stores: &Stores, partition: Partition, products: &[ProductId]) -> Result<Reconciled, StoreError> {
    let known = answered(lane_stamps(&stores.mysql, products)).await?;
    let lanes: Vec<LaneId> = known.keys().cloned().map(|(product, channel)| LaneId { product, channel }).collect();
    let views = stores.redis.read_each_lane(partition, &lanes).await?;
    let found: Vec<(LaneId, Option<LaneView>)> = lanes.into_iter().zip(views).filter_map(readable).collect();
    let mut wanting = absent_or_behind(&known, &found);
    wanting.extend(without_entry(stores, partition, &found).await?);
    let canceled = end_disabled(stores, partition, &found).await?;
    // Who failed is found wanting at the next turn.
    let checked = check_each(stores, wanting.into_iter().collect()).await?.done;
    Ok(Reconciled { checked, canceled })
}

/// What cannot be read is left alone, and holds back nothing else.
fn readable((lane, view): (LaneId, Result<Option<LaneView>, RedisError>)) -> Option<(LaneId, Option<LaneView>)> {
    match view {
        Ok(view) => Some((lane, view)),
        Err(error) => {
            tracing::warn!(%lane, %error, "a lane in Redis cannot be read; the others go on");
            None
        }
    }
}

fn absent_or_behind(
    known: &BTreeMap<(ProductId, Channel), LaneStamps>,
    found: &[(LaneId, Option<LaneView>)],
) -> BTreeSet<ProductId> {
    let is_behind = |(lane, view): &&(LaneId, Option<LaneView>)| match view {
        None => true,
        Some(view) => {
            let known = known.get(&(lane.product, lane.channel.clone()));
            // A round that Redis came back without may have left no newer stamp: its lane went on.
            let last = view.waiting.map_or(view.round, |waiting| waiting.max(view.round)).0;
            known.is_some_and(|known| view.stamp < known.newest || last < known.unbegun)
        }
    };
    found.iter().filter(is_behind).map(|(lane, _)| lane.product).collect()
}

async fn without_entry(
    stores: &Stores,
    partition: Partition,
    found: &[(LaneId, Option<LaneView>)],
) -> Result<Vec<ProductId>, StoreError> {
    let mut named = Vec::new();
    let mut wanting = Vec::new();
    for (lane, view) in found {
        let Some(view) = view else { continue };
        match &view.entry {
            _ if !needs_entry(view) => {}
            None => wanting.push(lane.product),
            Some(entry) => named.push((lane.clone(), entry.clone())),
        }
    }
    let live = stores.redis.can_reach_workers(partition, &named).await?;
    let gone: Vec<(LaneId, String)> =
        named.into_iter().zip(live).filter(|(_, is_live)| !is_live).map(|(named, _)| named).collect();
    // Where much is worked, most of these lanes have ended or got another entry between the two looks.
    let lanes: Vec<LaneId> = gone.iter().map(|(lane, _)| lane.clone()).collect();
    let views = stores.redis.read_each_lane(partition, &lanes).await?;
    let is_wanting = |((_, entry), view): &(&(LaneId, String), Result<Option<LaneView>, RedisError>)| match view {
        Ok(Some(view)) => needs_entry(view) && view.entry.as_ref() == Some(entry),
        Ok(None) => true,
        Err(_) => false,
    };
    wanting.extend(gone.iter().zip(views).filter(is_wanting).map(|((lane, _), _)| lane.product));
    Ok(wanting)
}

fn needs_entry(view: &LaneView) -> bool {
    view.status.is_open() && !view.is_paused
}

async fn end_disabled(
    stores: &Stores,
    partition: Partition,
    found: &[(LaneId, Option<LaneView>)],
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for (lane, view) in found {
        let is_open = view.as_ref().is_some_and(|view| view.status.is_open());
        if is_open && !stores.settings.channels.contains(&lane.channel) {
            let answer = stores.redis.cancel(partition, lane, "its channel is disabled").await?;
            if matches!(answer, Canceled::Ended(_) | Canceled::Told(_)) {
                tracing::info!(%lane, "its channel is disabled: its round ends");
                ended += 1;
            }
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_thirty_times_the_look_within_bounds() {
        assert_eq!(rest_after(Duration::from_millis(5)), Duration::from_secs(1));
        assert_eq!(rest_after(Duration::from_millis(100)), Duration::from_secs(3));
        assert_eq!(rest_after(Duration::from_secs(60)), Duration::from_secs(10));
    }
}
