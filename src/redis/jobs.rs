//! The job streams of one partition and channel: reading, reclaiming, groups.

use std::collections::HashMap;

use fred::{interfaces::StreamsInterface, types::Value};

use super::{Redis, RedisError};
use crate::ids::{Channel, LaneId, Partition, ProductId};

/// The consumer group that all workers share.
pub const GROUP: &str = "workers";

/// How long a reader blocks, in ms.
pub const BLOCK_MS: u64 = 2000;

/// So many of the newest entries are tried, where others have taken some of them out of turn.
const NEWEST_MAX: u64 = 4;

/// Which of a channel's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Line {
    /// Rounds that nobody has begun.
    Fresh,
    /// Lanes that were handed back.
    Again,
}

/// A pending entry that stands for a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The partition in which it lies.
    pub partition: Partition,
    /// The lane it stands for.
    pub lane: LaneId,
    /// On which stream.
    pub line: Line,
    /// Its id there.
    pub id: String,
}

impl Entry {
    /// As the lane remembers it: `j:<id>` or `a:<id>`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.line {
            Line::Fresh => format!("j:{}", self.id),
            Line::Again => format!("a:{}", self.id),
        }
    }
}

type Raw = (String, HashMap<String, String>);

/// Of an entry that is pending and was deleted only the id is left.
type Pending = (String, Option<HashMap<String, String>>);

/// The two streams of one partition and channel, as one consumer reads them.
#[derive(Debug, Clone)]
pub struct Jobs {
    redis: Redis,
    partition: Partition,
    channel: Channel,
    consumer: String,
    fresh: String,
    again: String,
}

impl Jobs {
    /// The streams of `channel` in `partition`, read as `consumer`.
    #[must_use]
    pub fn new(redis: Redis, partition: Partition, channel: Channel, consumer: String) -> Self {
        let (fresh, again) = (redis.keys().jobs(partition, &channel), redis.keys().again(partition, &channel));
        Self { redis, partition, channel, consumer, fresh, again }
    }

    fn key(&self, line: Line) -> &str {
        match line {
            Line::Fresh => &self.fresh,
            Line::Again => &self.again,
        }
    }

    /// Creates the groups where they are missing, from the start of the streams.
    ///
    /// # Errors
    /// As any call.
    pub async fn ensure_groups(&self) -> Result<(), RedisError> {
        for line in [Line::Fresh, Line::Again] {
            let made: Result<(), _> = self.redis.client.xgroup_create(self.key(line), GROUP, "0", true).await;
            match made {
                Err(error) if error.details().starts_with("BUSYGROUP") => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Up to `count` new entries of one stream, without waiting.
    ///
    /// # Errors
    /// As any call; [`RedisError::is_no_group`] when the groups must be created again.
    pub async fn take(&self, line: Line, count: u64) -> Result<Vec<Entry>, RedisError> {
        self.read(vec![(line, ">".to_owned())], count, None).await
    }

    /// Waits up to [`BLOCK_MS`] for an entry on either stream; needs a connection of its own.
    ///
    /// # Errors
    /// As [`Jobs::take`].
    pub async fn wait(&self) -> Result<Vec<Entry>, RedisError> {
        let both = vec![(Line::Fresh, ">".to_owned()), (Line::Again, ">".to_owned())];
        self.read(both, 1, Some(BLOCK_MS)).await
    }

    /// Entries pending for this consumer whose delivery may have been lost with a connection, after `after`.
    ///
    /// # Errors
    /// As [`Jobs::take`].
    pub async fn pending_after(&self, line: Line, after: &str, count: u64) -> Result<Vec<Entry>, RedisError> {
        self.read(vec![(line, after.to_owned())], count, None).await
    }

    async fn read(
        &self,
        from: Vec<(Line, String)>,
        count: u64,
        block_ms: Option<u64>,
    ) -> Result<Vec<Entry>, RedisError> {
        let keys: Vec<&str> = from.iter().map(|(line, _)| self.key(*line)).collect();
        let ids: Vec<String> = from.iter().map(|(_, id)| id.clone()).collect();
        let found: Value = self
            .redis
            .client
            .xreadgroup(GROUP, self.consumer.as_str(), Some(count), block_ms, false, keys, ids)
            .await?;
        if found.is_null() {
            return Ok(Vec::new());
        }
        let found: HashMap<String, Vec<Pending>> = found.flatten_array_values(2).convert()?;
        let mut entries = Vec::new();
        for (line, _) in from {
            for (id, fields) in found.get(self.key(line)).into_iter().flatten() {
                entries.extend(self.entry(line, (id.clone(), fields.clone().unwrap_or_default())).await);
            }
        }
        Ok(entries)
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
        let (next, found): (String, Vec<Raw>) = self
            .redis
            .client
            .xautoclaim_values(self.key(line), GROUP, self.consumer.as_str(), idle_ms, cursor, Some(count), false)
            .await?;
        let mut entries = Vec::new();
        for raw in found {
            entries.extend(self.entry(line, raw).await);
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
            let next: Vec<Raw> =
                self.redis.client.xrange_values(self.key(line), format!("({last}"), "+", Some(1)).await?;
            if !next.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest fresh entry that no worker was given yet, out of turn.
    ///
    /// Its turn still comes, if it is there by then: whoever is given it finds the lane held.
    ///
    /// # Errors
    /// As any call.
    pub async fn take_newest(&self) -> Result<Option<Entry>, RedisError> {
        let Some(last) = self.last_given(Line::Fresh).await? else { return Ok(None) };
        let newest: Vec<Raw> =
            self.redis.client.xrevrange_values(&self.fresh, "+", format!("({last}"), Some(NEWEST_MAX)).await?;
        for raw in newest {
            let (group, consumer) = (GROUP, self.consumer.as_str());
            // FORCE makes it ours, unless somebody has it: nobody's is idle for so long.
            let claimed: Vec<String> = self
                .redis
                .client
                .xclaim(&self.fresh, group, consumer, u64::from(u32::MAX), raw.0.as_str(), None, None, None, true, true)
                .await?;
            if !claimed.is_empty() {
                return Ok(self.entry(Line::Fresh, raw).await);
            }
        }
        Ok(None)
    }

    async fn last_given(&self, line: Line) -> Result<Option<String>, RedisError> {
        let groups: Vec<HashMap<String, Value>> = self.redis.client.xinfo_groups(self.key(line)).await?;
        Ok(groups.iter().find_map(|group| {
            let ours = group.get("name")?.as_string()? == GROUP;
            ours.then(|| group.get("last-delivered-id")?.as_string()).flatten()
        }))
    }

    /// An entry that cannot be read is dropped with a word, so that it does not hold back its neighbours.
    async fn entry(&self, line: Line, (id, fields): Raw) -> Option<Entry> {
        let product = fields.get("product").and_then(|text| text.parse::<ProductId>().ok());
        if let Some(product) = product {
            let lane = LaneId { product, channel: self.channel.clone() };
            return Some(Entry { partition: self.partition, lane, line, id });
        }
        tracing::warn!(stream = self.key(line), entry = id, "dropped an entry that names no product");
        let acked: Result<(), _> = self.redis.client.xack(self.key(line), GROUP, id.as_str()).await;
        let deleted: Result<(), _> = self.redis.client.xdel(self.key(line), id.as_str()).await;
        if let Err(error) = acked.and(deleted) {
            tracing::warn!(%error, "could not drop it; it will come again");
        }
        None
    }
}

impl Redis {
    /// Acknowledges and deletes an entry that stands for nothing.
    ///
    /// # Errors
    /// As any call.
    pub async fn drop_entry(&self, entry: &Entry) -> Result<(), RedisError> {
        let channel = &entry.lane.channel;
        let key = match entry.line {
            Line::Fresh => self.keys.jobs(entry.partition, channel),
            Line::Again => self.keys.again(entry.partition, channel),
        };
        let _: u64 = self.client.xack(&key, GROUP, entry.id.as_str()).await?;
        let _: u64 = self.client.xdel(&key, entry.id.as_str()).await?;
        Ok(())
    }
}
