//! How entries change hands: taken over from silent owners, put back in line.

use std::collections::HashMap;

use fred::{interfaces::StreamsInterface, types::Value};

use super::{Entry, GROUP, Jobs, Line};
use crate::redis::{RedisError, dead::texts, inspect::JobStream};

/// The most entries put back by one call.
const LEAVE_MAX: u64 = 100;

impl Jobs {
    /// Puts what is pending for this consumer back in line, but for what `is_worked` says, and takes its name out of the
    /// groups when nothing is pending for it then.
    ///
    /// # Errors
    /// As any call; what is left then is taken over when it is idle for long enough.
    pub async fn leave(&self, is_worked: impl Fn(&Entry) -> bool) -> Result<(), RedisError> {
        for line in [Line::Fresh, Line::Again] {
            let mut after = "0".to_owned();
            loop {
                let entries = self.pending_after(line, &after, LEAVE_MAX).await?;
                let Some(last) = entries.last() else { break };
                after.clone_from(&last.id);
                for entry in entries.iter().filter(|entry| !is_worked(entry)) {
                    let requeued = self.redis.requeue(entry).await?;
                    tracing::info!(lane = %entry.lane, entry = entry.name(), how = ?requeued, "put back in line");
                }
            }
            let stream = JobStream { partition: self.partition, channel: self.channel.clone(), line };
            self.redis.drop_consumer(&stream, &self.consumer, 0).await?;
        }
        Ok(())
    }

    /// Takes over up to `count` entries idle for at least `idle_ms`, from `cursor` on; returns the next cursor.
    ///
    /// # Errors
    /// As [`Jobs::take`].
    pub async fn claim_idle(
        &self,
        line: Line,
        idle_ms: u64,
        cursor: &str,
        count: u64,
    ) -> Result<(String, Vec<Entry>), RedisError> {
        let found: Value = self
            .redis
            .client
            .xautoclaim(self.key(line), GROUP, self.consumer.as_str(), idle_ms, cursor, Some(count), false)
            .await?;
        let mut parts = found.into_array().into_iter();
        let next = parts.next().and_then(|next| next.into_string()).unwrap_or_else(|| "0-0".to_owned());
        let mut entries = Vec::new();
        for raw in parts.next().map(texts).unwrap_or_default() {
            entries.extend(self.raw_entry(line, raw).await);
        }
        Ok((next, entries))
    }

    /// Whether a stream has entries that no worker was given yet.
    ///
    /// # Errors
    /// As any call.
    pub async fn has_waiting(&self) -> Result<bool, RedisError> {
        for line in [Line::Fresh, Line::Again] {
            let Some(last) = self.last_given(line).await? else { continue };
            let next: Value = self.redis.client.xrange(self.key(line), format!("({last}"), "+", Some(1)).await?;
            if next.array_len().is_some_and(|len| len > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn last_given(&self, line: Line) -> Result<Option<String>, RedisError> {
        let groups: Vec<HashMap<String, Value>> = self.redis.client.xinfo_groups(self.key(line)).await?;
        Ok(groups.iter().find_map(|group| {
            let ours = group.get("name")?.as_string()? == GROUP;
            ours.then(|| group.get("last-delivered-id")?.as_string()).flatten()
        }))
    }
}
