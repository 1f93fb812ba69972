//! What `resume` and `cancel` would do, without doing it.

use serde::Serialize;

use super::{Producer, ProducerError, Resume};
use crate::{
    ids::{Channel, LaneId, Place, ProductId, Round, UserId},
    mysql::line,
    redis::lane::LaneView,
    round::Status,
};

/// A lane that would go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WouldResume {
    /// Of which product.
    pub product: ProductId,
    /// With which round.
    pub round: Round,
    /// On which channel.
    pub channel: Channel,
    /// After this place; null is the start of the line.
    pub cursor: Option<Place>,
    /// Who would be given up.
    pub skipped: Option<UserId>,
    /// How many people would be told.
    pub people: u64,
}

/// A lane whose open round would end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WouldCancel {
    /// Of which product.
    pub product: ProductId,
    /// Which round.
    pub round: Round,
    /// On which channel.
    pub channel: Channel,
    /// The round that waits behind it and would end too.
    pub waiting: Option<Round>,
    /// Who holds it, and would settle what is in flight first.
    pub owner: Option<String>,
    /// How many people would not be told.
    pub people: u64,
}

impl Producer {
    /// What [`Producer::resume`] would do.
    ///
    /// # Errors
    /// As [`Producer::resume`].
    pub async fn would_resume(
        &self,
        product: ProductId,
        channel: &Channel,
        how: Resume,
    ) -> Result<WouldResume, ProducerError> {
        let nothing = |status| ProducerError::NothingToResume { product, channel: channel.clone(), status };
        let view = self.lane(product, channel).await?.ok_or_else(|| nothing(None))?;
        let is_again = how == Resume::RetryFailed;
        if !(view.status.is_canceled() || is_again && view.status == Status::Completed) {
            return Err(nothing(Some(view.status)));
        }
        let failed = if is_again { view.counts.failed } else { 0 };
        if is_again && failed == 0 {
            return Err(ProducerError::NobodyFailed { product, channel: channel.clone(), round: view.round });
        }
        let stock = self.stores.redis.stock_of(self.stores.partition_of(product), product).await?.unwrap_or(0);
        if stock <= 0 {
            return Err(ProducerError::NoStock { product, stock });
        }
        let skipped = match how {
            Resume::Skip => self.would_skip(&LaneId { product, channel: channel.clone() }).await?,
            Resume::Plain | Resume::RetryFailed => None,
        };
        let left = if view.status.is_canceled() { self.left(product, &view).await? } else { 0 };
        Ok(WouldResume {
            product,
            round: view.round,
            channel: channel.clone(),
            cursor: view.cursor,
            skipped,
            people: failed + left.saturating_sub(u64::from(skipped.is_some())),
        })
    }

    /// What [`Producer::cancel`] would do.
    ///
    /// # Errors
    /// As [`Producer::cancel`].
    pub async fn would_cancel(&self, product: ProductId, channel: &Channel) -> Result<WouldCancel, ProducerError> {
        let view = self.lane(product, channel).await?.filter(|view| view.status.is_open());
        let view = view.ok_or_else(|| ProducerError::nothing_to_cancel(product, std::slice::from_ref(channel)))?;
        Ok(WouldCancel {
            product,
            round: view.round,
            channel: channel.clone(),
            waiting: view.waiting,
            people: self.left(product, &view).await?,
            owner: view.owner,
        })
    }

    /// A lane as it stands; a product that Redis does not hold is installed there first, as it is in MySQL.
    async fn lane(&self, product: ProductId, channel: &Channel) -> Result<Option<LaneView>, ProducerError> {
        let (partition, lane) = (self.stores.partition_of(product), LaneId { product, channel: channel.clone() });
        if self.stores.redis.stock_of(partition, product).await?.is_none() {
            self.check(product).await?;
        }
        Ok(self.stores.redis.read_lanes(partition, &[lane]).await?.pop().flatten())
    }

    /// Active people between the cursor and the end of the round; of the line, when it has not begun.
    async fn left(&self, product: ProductId, view: &LaneView) -> Result<u64, ProducerError> {
        let mysql = &self.stores.mysql;
        let upto = match view.upto {
            Some(upto) => Some(upto),
            None => line::newest_active(mysql, product).await?,
        };
        let Some(upto) = upto else { return Ok(0) };
        let people = line::count_active(mysql, product, view.cursor, upto).await?;
        Ok(people.saturating_sub(u64::try_from(view.ahead.len()).unwrap_or(u64::MAX)))
    }
}
