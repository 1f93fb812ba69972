//! The job streams of one partition and channel: reading, groups; `handover` is how entries change hands.

mod handover;

use std::collections::HashMap;

use fred::{
    interfaces::{ClientInterface, StreamsInterface},
    types::{ClientUnblockFlag, Value},
};

use super::{
    Reconnects, Redis, RedisError,
    dead::texts,
    scripts::{Given, Places, Unreadable},
};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    trace::Traceparent,
};

/// The consumer group that all workers share.
pub const GROUP: &str = "workers";

/// How long a reader blocks, in ms.
pub const BLOCK_MS: u64 = 2000;

/// Which of a channel's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// Rounds that nobody has begun.
    Fresh,
    /// Lanes that were handed back.
    Again,
}

impl Line {
    /// An entry on it, as its lane remembers it: `j:<id>` or `a:<id>`.
    #[must_use]
    pub fn name_of(self, id: &str) -> String {
        match self {
            Self::Fresh => format!("j:{id}"),
            Self::Again => format!("a:{id}"),
        }
    }
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
    /// Who follows its round; entries of older versions have none.
    pub traceparent: Option<Traceparent>,
}

impl Entry {
    /// As the lane remembers it: `j:<id>` or `a:<id>`.
    #[must_use]
    pub fn name(&self) -> String {
        self.line.name_of(&self.id)
    }
}

type Raw = (String, HashMap<String, String>);

/// What was read, by stream: pairs in RESP2, a map in RESP3.
fn by_stream(found: Value) -> Result<HashMap<String, Value>, RedisError> {
    let pairs: Vec<(String, Value)> = match found {
        Value::Map(map) => {
            map.inner().into_iter().map(|(key, value)| Ok((key.into_string().unwrap_or_default(), value))).collect()
        }
        pairs => pairs.into_array().into_iter().map(Value::convert).collect::<Result<_, _>>(),
    }?;
    Ok(pairs.into_iter().collect())
}

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

    /// Closes the connection, which nobody else may be using.
    pub async fn close(&self) {
        self.redis.close().await;
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

    /// New entries for places that are free, without waiting.
    ///
    /// # Errors
    /// As any call, and nothing was given then unless the answer was lost; [`RedisError::is_no_group`] when the groups must
    /// be created again.
    pub async fn take(&self, places: Places) -> Result<Vec<Entry>, RedisError> {
        let given = self.redis.take(self.partition, &self.channel, &self.consumer, places).await?;
        let mut entries = Vec::with_capacity(given.len());
        for Given { line, id, product, traceparent } in given {
            entries.extend(self.entry(line, id, &product, &traceparent).await);
        }
        Ok(entries)
    }

    /// Waits up to [`BLOCK_MS`] for an entry on either stream; needs a connection of its own.
    ///
    /// # Errors
    /// As [`Jobs::take`].
    pub async fn wait(&self) -> Result<Vec<Entry>, RedisError> {
        let both = vec![(Line::Fresh, ">".to_owned()), (Line::Again, ">".to_owned())];
        let read = self.read(both, 1, Some(BLOCK_MS)).await;
        if read.as_ref().is_err_and(RedisError::is_timeout) {
            // The client takes a connection that waits for alive, whatever happens.
            self.redis.reconnect().await;
        }
        read
    }

    /// Ends a wait under way with nothing. What the server has assigned by then is not lost: it is the wait's answer.
    pub async fn stop_waiting(&self) {
        if let Err(error) = self.redis.client.unblock_self(Some(ClientUnblockFlag::Timeout)).await {
            tracing::debug!(%error, "a reader could not be told to stop; it stops by itself");
        }
    }

    /// Tells when the connection was broken since it was last asked: answers may have been lost.
    #[must_use]
    pub fn reconnects(&self) -> Reconnects {
        self.redis.reconnects()
    }

    /// Entries pending for this consumer whose delivery may have been lost with a connection, after `after`.
    ///
    /// # Errors
    /// As [`Jobs::take`].
    pub async fn pending_after(&self, line: Line, after: &str, count: u64) -> Result<Vec<Entry>, RedisError> {
        self.read(vec![(line, after.to_owned())], count, None).await
    }

    /// Gives a sign of life: whoever looks at the group's consumers sees that this one has a process. Redis before 7.2
    /// counts neither empty reads nor blocking ones; a look at what is pending beyond the last possible id counts
    /// everywhere, and changes nothing.
    ///
    /// # Errors
    /// As [`Jobs::take`].
    pub async fn touch(&self) -> Result<(), RedisError> {
        self.pending_after(Line::Fresh, "18446744073709551615-0", 1).await.map(drop)
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
        let mut found: HashMap<String, Value> = by_stream(found)?;
        let mut entries = Vec::new();
        for (line, _) in from {
            for raw in found.remove(self.key(line)).map(texts).unwrap_or_default() {
                entries.extend(self.raw_entry(line, raw).await);
            }
        }
        Ok(entries)
    }

    async fn raw_entry(&self, line: Line, (id, fields): Raw) -> Option<Entry> {
        let field = |name| fields.get(name).map_or("", String::as_str);
        self.entry(line, id, field("product"), field("traceparent")).await
    }

    /// An entry that cannot be read is set aside with a word, so that it does not hold back its neighbours.
    async fn entry(&self, line: Line, id: String, product: &str, traceparent: &str) -> Option<Entry> {
        if let Ok(product) = product.parse::<ProductId>() {
            let lane = LaneId { product, channel: self.channel.clone() };
            let traceparent = Traceparent::parse(traceparent);
            return Some(Entry { partition: self.partition, lane, line, id, traceparent });
        }
        let (partition, channel) = (self.partition, &self.channel);
        let entry = Unreadable { partition, channel, line, id: &id, reason: "names no product" };
        match self.redis.bury(&entry).await {
            Ok(true) => {
                tracing::warn!(
                    stream = self.key(line),
                    entry = id,
                    "an entry names no product; see `restock-cli dead list`"
                );
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "an entry that names no product could not be set aside; it comes again")
            }
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
        let key = self.keys.stream(entry.partition, &entry.lane.channel, entry.line);
        let _: u64 = self.client.xack(&key, GROUP, entry.id.as_str()).await?;
        let _: u64 = self.client.xdel(&key, entry.id.as_str()).await?;
        Ok(())
    }
}
