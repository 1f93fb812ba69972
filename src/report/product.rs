//! A product as it stands: MySQL's row with what Redis knows better.

use super::{ReportError, Sources};
use crate::{
    ids::Partition,
    mysql::product::ProductRow,
    redis::stock::{Stock, tag_of},
    round::Stamp,
};

/// The row with the stock and the round of this moment, and the stock with the name of its state. What Redis holds is
/// newer than what MySQL was told; without it, or where it does not hold the product, MySQL's stands.
///
/// # Errors
/// Those of Redis other than that it does not answer.
pub async fn now(sources: &Sources, row: ProductRow) -> Result<(ProductRow, Stock), ReportError> {
    let partition = Partition::of(row.id, sources.settings.partitions);
    let found = match &sources.redis {
        None => None,
        Some(redis) => match redis.read_stock(partition, row.id).await {
            Err(error) if error.is_unreachable() => None,
            found => found?,
        },
    };
    Ok(match found {
        Some((stock, round)) => (ProductRow { stock: stock.units, restock_round: round, ..row }, stock),
        None => {
            let tag = tag_of(Stamp { epoch: row.epoch, version: row.version });
            let stock = Stock { units: row.stock, tag };
            (row, stock)
        }
    })
}
