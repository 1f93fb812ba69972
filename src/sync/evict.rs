//! Forgetting products in Redis that nobody works on and MySQL has in full.

use std::collections::{BTreeSet, HashMap};

use sqlx::QueryBuilder;

use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    mysql::{answered, sizes::push_filled},
    redis::scripts::{Evict, Evicted},
    round::Stamp,
    stores::{StoreError, Stores, all_channels, lane_stamps},
};

/// How long a product must have been left alone.
const IDLE_MS: i64 = 60_000;
/// Products looked at in one step.
const PAGE_PRODUCTS: i64 = 200;

/// Goes through the idle products of a partition, a page a step.
#[derive(Debug)]
pub(super) struct Eviction {
    partition: Partition,
    idle_ms: i64,
    /// So many of the most idle ones are to stay.
    skip: i64,
}

impl Eviction {
    pub(super) fn new(partition: Partition) -> Self {
        Self { partition, idle_ms: IDLE_MS, skip: 0 }
    }

    /// As [`Eviction::new`], for products left alone for `idle_ms`.
    pub(super) fn after(partition: Partition, idle_ms: i64) -> Self {
        Self { idle_ms, ..Self::new(partition) }
    }

    /// Looks at the next page; returns how many products were forgotten.
    pub(super) async fn step(&mut self, stores: &Stores) -> Result<usize, StoreError> {
        let limit_ms = stores.redis.now_ms(self.partition).await? - self.idle_ms;
        let products = stores.redis.idle_products(self.partition, limit_ms, self.skip, PAGE_PRODUCTS).await?;
        if products.is_empty() {
            self.skip = 0;
            return Ok(0);
        }
        let stamps = answered(product_stamps(stores, &products)).await?;
        let refused = answered(refused_products(stores, &products)).await?;
        let lanes = answered(lane_stamps(&stores.mysql, &products)).await?;
        let mut gone = 0;
        for product in &products {
            let Some(stamp) = stamps.get(product).filter(|_| !refused.contains(product)) else { continue };
            let recorded = lanes.keys().filter(|(of, _)| of == product).map(|(_, channel)| channel.clone());
            let channels = all_channels(&stores.settings.channels, recorded);
            if !self.is_quiet(stores, *product, &channels, limit_ms).await? {
                continue;
            }
            let newest = |channel: Channel| {
                let newest = lanes.get(&(*product, channel.clone())).map(|lane| lane.newest);
                (channel, newest)
            };
            let lanes: Vec<_> = channels.into_iter().map(newest).collect();
            let evict = Evict { partition: self.partition, product: *product, stamp: *stamp, lanes: &lanes };
            if stores.redis.evict(&evict).await? == Evicted::Gone {
                gone += 1;
            }
        }
        self.skip += i64::try_from(products.len() - gone).unwrap_or(0);
        Ok(gone)
    }

    /// Whether no lane of it is open, and none ended just now.
    async fn is_quiet(
        &self,
        stores: &Stores,
        product: ProductId,
        channels: &BTreeSet<Channel>,
        limit_ms: i64,
    ) -> Result<bool, StoreError> {
        let lanes: Vec<LaneId> = channels.iter().map(|channel| LaneId { product, channel: channel.clone() }).collect();
        let views = stores.redis.read_each_lane(self.partition, &lanes).await?;
        let is_busy = |ended_us: Option<i64>| ended_us.is_none_or(|us| us / 1000 > limit_ms);
        // What cannot be read is not forgotten either.
        Ok(views.iter().all(|view| match view {
            Ok(Some(view)) => !view.status.is_open() && !is_busy(view.ended_us),
            Ok(None) => true,
            Err(_) => false,
        }))
    }
}

async fn product_stamps(stores: &Stores, products: &[ProductId]) -> sqlx::Result<HashMap<ProductId, Stamp>> {
    let mut query = QueryBuilder::new("SELECT id, epoch, version FROM product WHERE id IN (");
    push_filled(&mut query, products, |product| product.0);
    let rows: Vec<(i64, u64, u64)> = query.push(")").build_query_as().fetch_all(&stores.mysql).await?;
    Ok(rows.into_iter().map(|(id, epoch, version)| (ProductId(id), Stamp { epoch, version })).collect())
}

/// Those of them with rows that MySQL refused and has nothing newer of: what Redis holds of them is all there is.
async fn refused_products(stores: &Stores, products: &[ProductId]) -> sqlx::Result<BTreeSet<ProductId>> {
    let mut query =
        QueryBuilder::new("SELECT DISTINCT product_id FROM log_dead WHERE mended_at IS NULL AND product_id IN (");
    push_filled(&mut query, products, |product| product.0);
    let ids: Vec<i64> = query.push(")").build_query_scalar().fetch_all(&stores.mysql).await?;
    Ok(ids.into_iter().map(ProductId).collect())
}
