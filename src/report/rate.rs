//! The pace that all workers share, what each channel may use of it, and what is used.

use serde::Serialize;
use utoipa::ToSchema;

use super::{ReportError, Sources};
use crate::redis::{
    Redis, RedisError,
    scripts::{PaceUse, TOTAL},
};

/// A pace, as people and programs read it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RateRow {
    /// `total`, or a channel.
    pub name: String,
    /// Starts a second; 0 is no pace, null a channel without a rate of its own.
    pub limit: Option<u32>,
    /// Permits used in the last second; null when Redis does not answer.
    pub used: Option<i64>,
    /// Whether all sending stands still.
    pub paused: bool,
}

/// That of all, then each enabled channel's.
///
/// # Errors
/// Those of Redis other than that it does not answer.
pub async fn rows(sources: &Sources) -> Result<Vec<RateRow>, ReportError> {
    let (settings, redis) = (&sources.settings, sources.redis.as_ref());
    let row = |name: &str, limit, used| RateRow { name: name.to_owned(), limit, used, paused: settings.paused };
    let mut rows = vec![row(TOTAL, Some(settings.rate), used(redis, TOTAL).await?)];
    for channel in &settings.channels {
        let limit = settings.channel_rates.get(channel).copied();
        rows.push(row(channel.as_str(), limit, used(redis, channel.as_str()).await?));
    }
    Ok(rows)
}

async fn used(redis: Option<&Redis>, name: &str) -> Result<Option<i64>, RedisError> {
    let Some(redis) = redis else { return Ok(None) };
    match redis.pace_use(name).await {
        Ok(PaceUse { last_second, .. }) => Ok(Some(last_second)),
        Err(error) if error.is_unreachable() => Ok(None),
        Err(error) => Err(error),
    }
}
