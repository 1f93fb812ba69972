//! Counting what lies in the streams of a partition, cheaply: nothing is read but lengths and summaries; and what one process
//! counted in MySQL, for the others.

use std::time::Duration;

use fred::{
    interfaces::{KeysInterface, StreamsInterface},
    prelude::ClientLike,
    types::{ClusterHash, CustomCommand, Expiration, SetOptions, Value},
};

use super::{
    Redis, RedisError,
    jobs::{GROUP, Line},
};
use crate::ids::{Channel, Partition};

/// The jobs of one channel in one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobsCount {
    /// Entries that no worker has received.
    pub waiting: u64,
    /// Entries that a worker has received and not finished.
    pub pending: u64,
    /// When the oldest of these was added, ms since the epoch of Redis' clock.
    pub oldest_pending_ms: Option<i64>,
    /// Entries on the dead stream.
    pub dead: u64,
}

impl Redis {
    /// Counts the jobs of these channels, in their order.
    ///
    /// # Errors
    /// As any call.
    pub async fn count_jobs(&self, partition: Partition, channels: &[Channel]) -> Result<Vec<JobsCount>, RedisError> {
        let pipeline = self.client.pipeline();
        for channel in channels {
            for line in [Line::Fresh, Line::Again] {
                let key = self.keys.stream(partition, channel, line);
                let _: () = pipeline.xlen(&key).await?;
                let summary = CustomCommand::new_static("XPENDING", ClusterHash::FirstKey, false);
                let _: () = pipeline.custom(summary, vec![key, GROUP.to_owned()]).await?;
            }
            let _: () = pipeline.xlen(self.keys.dead(partition, channel)).await?;
        }
        let mut answers = pipeline.try_all::<Value>().await.into_iter();
        let mut next = || answers.next().unwrap_or(Ok(Value::Null)).map_err(RedisError::from);
        let mut counts = Vec::with_capacity(channels.len());
        for _ in channels {
            let mut count = JobsCount::default();
            for _ in [Line::Fresh, Line::Again] {
                let entries = next()?.as_u64().unwrap_or(0);
                // Without a group nobody has received anything.
                let (pending, oldest_ms) = match next() {
                    Err(error) if error.is_no_group() => (0, None),
                    summary => pending_of(&summary?),
                };
                count.waiting += entries.saturating_sub(pending);
                count.pending += pending;
                count.oldest_pending_ms = count.oldest_pending_ms.into_iter().chain(oldest_ms).min();
            }
            count.dead = next()?.as_u64().unwrap_or(0);
            counts.push(count);
        }
        Ok(counts)
    }

    /// What some process counted in MySQL a moment ago.
    ///
    /// # Errors
    /// As any call.
    pub async fn shared_census(&self) -> Result<Option<String>, RedisError> {
        Ok(self.client.get(self.keys.census()).await?)
    }

    /// Whether the caller is to count; `false` while another process does, for so long at most.
    ///
    /// # Errors
    /// As any call.
    pub async fn begin_census(&self, most: Duration) -> Result<bool, RedisError> {
        let (key, only) = (self.keys.census_taking(), Some(SetOptions::NX));
        let set: Option<String> = self.client.set(key, 1, Some(in_ms(most)), only, false).await?;
        Ok(set.is_some())
    }

    /// Leaves for the others what was counted, for so long.
    ///
    /// # Errors
    /// As any call.
    pub async fn share_census(&self, text: &str, good_for: Duration) -> Result<(), RedisError> {
        let _: () = self.client.set(self.keys.census(), text, Some(in_ms(good_for)), None, false).await?;
        // Whoever looks when that has gone is to count at once.
        let _: () = self.client.del(self.keys.census_taking()).await?;
        Ok(())
    }
}

fn in_ms(time: Duration) -> Expiration {
    Expiration::PX(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// How many are pending, and from when the oldest is, by its id.
fn pending_of(summary: &Value) -> (u64, Option<i64>) {
    let Value::Array(parts) = summary else { return (0, None) };
    let count = parts.first().and_then(Value::as_u64).unwrap_or(0);
    let oldest = parts.get(1).and_then(Value::as_string);
    (count, oldest.and_then(|id| id.split('-').next()?.parse().ok()))
}
