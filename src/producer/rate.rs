//! Telling Redis of the pace.

use crate::{
    mysql::setting::Settings,
    redis::{Redis, RedisError},
};

/// Tells Redis of the limits that MySQL has, so that no worker has to hear of them from there.
///
/// # Errors
/// Those of Redis: workers hear of it from MySQL then.
pub async fn announce_limits(redis: &Redis, settings: &Settings) -> Result<(), RedisError> {
    for channel in &settings.channels {
        redis.set_limit(channel, settings.limit_of(channel)).await?;
    }
    Ok(())
}
