//! A product as it stands: MySQL's row with what Redis knows better.

use super::{ReportError, Sources};
use crate::{
    ids::Partition,
    mysql::product::ProductRow,
    redis::{
        RedisError,
        stock::{LiveStock, Stock, tag_of},
    },
    round::Stamp,
};

/// The row with the stock and the round of this moment, and the stock with the name of its state. Redis' stands where it
/// is as new as what MySQL was told; after it came back with older data, or where it does not hold the product, MySQL's.
///
/// # Errors
/// Those of Redis other than that it does not answer.
pub async fn now(sources: &Sources, row: ProductRow) -> Result<(ProductRow, Stock), ReportError> {
    let partition = Partition::of(row.id, sources.settings.partitions);
    let found = match &sources.redis {
        None => None,
        Some(redis) => match redis.read_stock(partition, row.id).await {
            Err(error) if error.is_unreachable() => None,
            Err(error @ RedisError::Unreadable { .. }) => {
                tracing::warn!(product = %row.id, %error, "what MySQL knows of the product is shown");
                None
            }
            found => found?,
        },
    };
    // Read after MySQL's, so that it is behind only where Redis has lost what MySQL had heard of.
    let recorded = Stamp { epoch: row.epoch, version: row.version };
    Ok(match found.filter(|live| live.stamp >= recorded) {
        Some(LiveStock { stock, round, .. }) => (ProductRow { stock: stock.units, restock_round: round, ..row }, stock),
        None => {
            let tag = tag_of(recorded);
            let stock = Stock { units: row.stock, tag };
            (row, stock)
        }
    })
}
