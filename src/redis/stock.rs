//! The stock of a product as it stands, and the name of that state.

use fred::interfaces::HashesInterface;

use super::{Redis, RedisError};
use crate::{
    ids::{Partition, ProductId},
    round::Stamp,
};

/// The stock at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// Pieces, not below zero.
    pub units: i64,
    /// Names the state of the product: another one after every change of it, and never the same again as long as Redis
    /// does not lose all that it holds.
    pub tag: String,
}

/// The name that MySQL's state of a product has, and keeps when it is installed in Redis.
#[must_use]
pub fn tag_of(stamp: Stamp) -> String {
    format!("{}-{}", stamp.epoch, stamp.version)
}

impl Redis {
    /// The stock of a product with its newest round, 0 before the first; `None` when Redis does not hold it.
    ///
    /// # Errors
    /// As any call.
    pub async fn read_stock(
        &self,
        partition: Partition,
        product: ProductId,
    ) -> Result<Option<(Stock, u32)>, RedisError> {
        let fields = vec!["stock", "round", "epoch", "version", "tag", "tagged"];
        type Fields = (Option<i64>, Option<u32>, Option<u64>, Option<u64>, Option<String>, Option<u64>);
        let (units, round, epoch, version, tag, tagged): Fields =
            self.client.hmget(self.keys.product(partition, product), fields).await?;
        Ok(units.map(|units| {
            let stamp = Stamp { epoch: epoch.unwrap_or(0), version: version.unwrap_or(0) };
            // As `tag_of` in the scripts.
            let tag = tag.filter(|_| tagged == version).unwrap_or_else(|| tag_of(stamp));
            (Stock { units, tag }, round.unwrap_or(0))
        }))
    }
}
