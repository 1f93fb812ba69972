//! What a shop does: announce restocks, change stock, cancel rounds and go on with them.
//!
//! A restock goes through the outbox: first a row in MySQL ([`accept`]), then Redis ([`Producer::push`]). A Redis that
//! does not answer delays the round and never loses it: the flusher's relay pushes the row again.
//!
//! Whatever Redis holds no more, or holds from before it was restarted, is checked against MySQL and asked again.

mod alone;
mod enqueue;
mod error;
mod lanes;
mod preview;
mod rate;
mod resume;

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    ids::{Channel, LaneId, ProductId},
    mysql::setting::Settings,
    redis::{
        scripts::{Canceled, StockChange, StockChanged, StockSet, channel_list},
        stock::Stock,
    },
    stores::{Checked, Stores},
};

pub use alone::Alone;
pub use enqueue::{Accepted, Order, accept, accept_all, enqueue_known};
pub use error::ProducerError;
pub use lanes::{CanceledLane, Cancellation, PausedProduct};
pub use preview::{WouldCancel, WouldResume};
pub use rate::announce_limits;
pub use resume::{Continued, Resume};

/// Entries in a partition's log at which nothing more is accepted, and nobody more is told.
pub const BACKLOG_MAX: u64 = 100_000;
/// How often a call is tried when the product had to be checked, or something moved meanwhile.
const TRIES_MAX: usize = 5;

/// Changes products and their rounds; shared by reference.
#[derive(Debug)]
pub struct Producer {
    stores: Stores,
    /// As last read from MySQL.
    channels: Mutex<Arc<[Channel]>>,
}

impl Producer {
    /// A producer on these stores.
    #[must_use]
    pub fn new(stores: Stores) -> Self {
        let channels = Mutex::new(stores.settings.channels.as_slice().into());
        Self { stores, channels }
    }

    /// What it works on.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The enabled channels, as last read.
    #[must_use]
    pub fn channels(&self) -> Arc<[Channel]> {
        Arc::clone(&self.channels.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hears which channels are enabled, from whoever follows the settings.
    pub fn follow(&self, enabled: &[Channel]) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if **channels != *enabled {
            *channels = enabled.into();
        }
    }

    /// Asks MySQL which channels are enabled: what is done by hand must miss none that was enabled a moment ago.
    ///
    /// # Errors
    /// Those of MySQL, and [`ProducerError::Setting`].
    pub async fn look_up_channels(&self) -> Result<(), ProducerError> {
        self.follow(&Settings::load(&self.stores.mysql).await?.channels);
        Ok(())
    }

    /// Changes the stock and answers what it is then. At 0 the sending stops.
    ///
    /// # Errors
    /// [`ProducerError::BelowZero`], [`ProducerError::AboveMost`], [`ProducerError::NotFound`], and those of the stores.
    pub async fn change_stock(&self, product: ProductId, change: StockChange) -> Result<i64, ProducerError> {
        let partition = self.stores.partition_of(product);
        for _ in 0..TRIES_MAX {
            match self.stores.redis.change_stock(partition, product, change).await? {
                StockChanged::Ok(stock) => return Ok(stock),
                StockChanged::Below(stock) => return Err(ProducerError::BelowZero { product, stock }),
                StockChanged::Above(most) => return Err(ProducerError::AboveMost { product, most }),
                StockChanged::Unchecked => self.check(product).await?,
            }
        }
        Err(ProducerError::Unsettled(product))
    }

    /// Sets the stock; with a tag only where the product is still in that state. At 0 the sending stops.
    ///
    /// # Errors
    /// [`ProducerError::Moved`], [`ProducerError::BelowZero`], [`ProducerError::NotFound`], and those of the stores.
    pub async fn set_stock(&self, product: ProductId, units: i64, tag: Option<&str>) -> Result<Stock, ProducerError> {
        let partition = self.stores.partition_of(product);
        if units < 0 {
            return Err(ProducerError::BelowZero { product, stock: units });
        }
        for _ in 0..TRIES_MAX {
            match self.stores.redis.set_stock(partition, product, units, tag).await? {
                StockSet::Ok(stock) => return Ok(stock),
                StockSet::Moved(stock) => return Err(ProducerError::Moved { product, stock }),
                StockSet::Above(most) => return Err(ProducerError::AboveMost { product, most }),
                StockSet::Unchecked => self.check(product).await?,
            }
        }
        Err(ProducerError::Unsettled(product))
    }

    /// Ends the open round of a lane, and the one that waits behind it. `reason` is for people and not empty.
    ///
    /// # Errors
    /// [`ProducerError::NothingToCancel`], [`ProducerError::NotFound`], and those of the stores.
    pub async fn cancel(
        &self,
        product: ProductId,
        channel: &Channel,
        reason: &str,
    ) -> Result<Cancellation, ProducerError> {
        let (partition, lane) = (self.stores.partition_of(product), LaneId { product, channel: channel.clone() });
        // A lane that is behind MySQL would be canceled in vain: MySQL's state is newer, and is installed again.
        if !self.stores.redis.is_checked(partition, product).await? {
            self.check(product).await?;
        }
        let mut canceled = self.stores.redis.cancel(partition, &lane, reason).await?;
        if canceled == Canceled::Unchecked {
            self.check(product).await?;
            canceled = self.stores.redis.cancel(partition, &lane, reason).await?;
        }
        match canceled {
            Canceled::Ended(round) => Ok(Cancellation::Ended(round)),
            Canceled::Told(round) => Ok(Cancellation::Told(round)),
            // Still absent after a check: the lane never had a round.
            Canceled::Nothing | Canceled::Unchecked => {
                Err(ProducerError::nothing_to_cancel(product, std::slice::from_ref(channel)))
            }
        }
    }

    async fn check(&self, product: ProductId) -> Result<(), ProducerError> {
        match self.stores.check(product).await? {
            Checked::Done(_) => Ok(()),
            Checked::NoSuchProduct => Err(ProducerError::NotFound(product)),
        }
    }

    /// MySQL's settings stand, here and in Redis.
    async fn agree_on_channels(&self, product: ProductId) -> Result<(), ProducerError> {
        self.look_up_channels().await?;
        let partition = self.stores.partition_of(product);
        Ok(self.stores.redis.mirror_channels(partition, &channel_list(&self.channels())).await?)
    }
}
