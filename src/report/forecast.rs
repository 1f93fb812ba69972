//! What announcing a restock would do: how many people, for how long.

use serde::Serialize;

use super::{ReportError, Sources, status};
use crate::{
    ids::{Partition, Place, ProductId},
    mysql::{line, product::ProductRow},
    round::{RoundState, Status},
};

/// The whole microseconds in which no more than the rate's starts lie: a second, and the time within which a start may
/// come after its moment.
const PACE_WINDOW_US: u64 = 1_020_000;

/// What a restock would do.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// Of which product.
    pub product: ProductId,
    /// How many people would be told, on the channel with the most.
    pub people: u64,
    /// How long that takes at the shared pace when nobody else uses it; null without a pace.
    pub seconds: Option<f64>,
    /// Pieces in stock before.
    #[serde(skip)]
    pub stock: i64,
}

/// What the next round of a product would do, were it begun now.
///
/// # Errors
/// Those of MySQL; those of Redis other than that it does not answer.
pub async fn of_restock(sources: &Sources, product: &ProductRow) -> Result<Forecast, ReportError> {
    let rows = status::rounds(sources, Some(product.id)).await?.rows;
    let newest = line::newest_active(&sources.mysql, product.id).await?;
    let (mut most, mut messages) = (0, 0);
    if let Some(newest) = newest {
        for channel in &sources.settings.channels {
            let lane = rows.iter().map(|row| &row.state).find(|state| state.lane.channel == *channel);
            let people = people(sources, product.id, lane, newest).await?;
            most = most.max(people);
            messages += people;
        }
    }
    let seconds = seconds(messages, sources.settings.rate);
    Ok(Forecast { product: product.id, people: most, seconds, stock: stock(sources, product).await? })
}

/// A round after one that was cut off goes on where that one stood; if nobody stands there, it starts at the first.
async fn people(
    sources: &Sources,
    product: ProductId,
    lane: Option<&RoundState>,
    newest: Place,
) -> Result<u64, ReportError> {
    let goes_on = lane.filter(|lane| lane.status.is_canceled() || lane.status == Status::Queued);
    if let Some(lane) = goes_on.filter(|lane| lane.cursor.is_some()) {
        let waiting = line::count_active(&sources.mysql, product, lane.cursor, newest).await?;
        let told = u64::try_from(lane.ahead.len()).unwrap_or(u64::MAX);
        if waiting > told {
            return Ok(waiting - told);
        }
    }
    Ok(line::count_active(&sources.mysql, product, None, newest).await?)
}

pub(super) fn seconds(messages: u64, rate: u32) -> Option<f64> {
    let interval_us = PACE_WINDOW_US.div_ceil(u64::from(rate).max(1));
    let us = u32::try_from(messages.saturating_mul(interval_us) / 1_000).unwrap_or(u32::MAX);
    (rate > 0).then(|| f64::from(us) / 1_000.0)
}

/// What Redis holds is newer than what MySQL was told.
async fn stock(sources: &Sources, product: &ProductRow) -> Result<i64, ReportError> {
    let Some(redis) = &sources.redis else { return Ok(product.stock) };
    let partition = Partition::of(product.id, sources.settings.partitions);
    match redis.stock_of(partition, product.id).await {
        Err(error) if error.is_unreachable() => Ok(product.stock),
        found => Ok(found?.unwrap_or(product.stock)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_takes_as_long_as_the_pace_needs() {
        assert_eq!(seconds(1_000, 500), Some(2.04));
        assert_eq!(seconds(0, 500), Some(0.0));
        assert_eq!(seconds(1_000, 0), None);
    }
}
