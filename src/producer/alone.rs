//! What can be done to a product with Redis alone, while MySQL does not answer: who must stop the sending cannot wait.
//!
//! Only where Redis holds the product and has checked it under its present run. Its state is the newest there is then, and
//! MySQL gets it from the log as any other; until that is flushed only Redis' own persistence keeps it.

use super::{CanceledLane, Cancellation, PausedProduct, ProducerError};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    redis::{
        Redis, RedisError,
        inspect::ProductView,
        scripts::{Canceled, Paused, StockChange, StockChanged},
    },
};

/// A product that Redis knows well enough.
#[derive(Debug)]
pub struct Alone {
    redis: Redis,
    partition: Partition,
    product: ProductId,
    channels: Vec<Channel>,
}

impl Alone {
    /// `None` when Redis does not hold the product, or holds it from before its last start.
    ///
    /// # Errors
    /// As any call.
    pub async fn find(redis: Redis, product: ProductId) -> Result<Option<Self>, RedisError> {
        let Some((partition, channels)) = redis.mirrored(product).await? else { return Ok(None) };
        let is_known = redis.is_checked(partition, product).await?;
        Ok(is_known.then_some(Self { redis, partition, product, channels }))
    }

    /// Which product.
    #[must_use]
    pub fn product(&self) -> ProductId {
        self.product
    }

    /// The enabled channels, as Redis was told last.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// As [`Producer::change_stock`](super::Producer::change_stock); what Redis then holds.
    ///
    /// # Errors
    /// [`ProducerError::BelowZero`], [`ProducerError::AboveMost`], [`ProducerError::Unsettled`], and those of Redis.
    pub async fn change_stock(&self, change: StockChange) -> Result<ProductView, ProducerError> {
        let product = self.product;
        let stock = match self.redis.change_stock(self.partition, product, change).await? {
            StockChanged::Ok(stock) => stock,
            StockChanged::Below(stock) => return Err(ProducerError::BelowZero { product, stock }),
            StockChanged::Above(most) => return Err(ProducerError::AboveMost { product, most }),
            StockChanged::Unchecked => return Err(ProducerError::Unsettled(product)),
        };
        let view = self.redis.read_product(self.partition, product).await?;
        Ok(ProductView { stock, ..view.ok_or(ProducerError::Unsettled(product))? })
    }

    /// As [`Producer::cancel_all`](super::Producer::cancel_all).
    ///
    /// # Errors
    /// [`ProducerError::NothingToCancel`], [`ProducerError::Unsettled`], and those of Redis.
    pub async fn cancel_all(&self, channels: &[Channel], reason: &str) -> Result<Vec<CanceledLane>, ProducerError> {
        let mut lanes = Vec::new();
        for channel in channels {
            let lane = LaneId { product: self.product, channel: channel.clone() };
            let done = match self.redis.cancel(self.partition, &lane, reason).await? {
                Canceled::Ended(round) => Cancellation::Ended(round),
                Canceled::Told(round) => Cancellation::Told(round),
                Canceled::Nothing => continue,
                Canceled::Unchecked => return Err(ProducerError::Unsettled(self.product)),
            };
            lanes.push(CanceledLane { channel: lane.channel, done });
        }
        if lanes.is_empty() {
            return Err(ProducerError::nothing_to_cancel(self.product, channels));
        }
        Ok(lanes)
    }

    /// As [`Producer::pause`](super::Producer::pause).
    ///
    /// # Errors
    /// [`ProducerError::Unsettled`], and those of Redis.
    pub async fn pause(&self, paused: bool) -> Result<PausedProduct, ProducerError> {
        match self.redis.pause(self.partition, self.product, &self.channels, paused).await? {
            Paused::Done { open, held } => Ok(PausedProduct { paused, changed: true, open, held }),
            Paused::Same => Ok(PausedProduct { paused, changed: false, open: 0, held: 0 }),
            Paused::Unchecked => Err(ProducerError::Unsettled(self.product)),
        }
    }
}
