//! Looking at what is in Redis without changing it, for those who check it: products, streams, groups, consumers.

use std::collections::HashMap;

use fred::{
    interfaces::{ClientLike, HashesInterface, KeysInterface, StreamsInterface},
    types::{ClusterHash, CustomCommand, Value},
};
use futures_util::stream::{Stream, try_unfold};

use super::{
    Redis, RedisError,
    dead::texts,
    entry_id::EntryId,
    jobs::{GROUP, Line},
};
use crate::{
    ids::{Channel, Partition, ProductId},
    round::Stamp,
};

/// A product as Redis holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductView {
    /// Pieces in stock.
    pub stock: i64,
    /// Its newest round; 0 before the first.
    pub round: u32,
    /// Whether it stands still.
    pub is_paused: bool,
    /// How new this state is.
    pub stamp: Stamp,
}

/// One of the job streams of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStream {
    /// The partition in which it lies.
    pub partition: Partition,
    /// Whose work it holds.
    pub channel: Channel,
    /// Which of the channel's two.
    pub line: Line,
}

/// The workers' group on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The last entry given to anybody.
    pub last_delivered: EntryId,
    /// Entries given out and not acknowledged.
    pub pending: u64,
}

/// A consumer of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerView {
    /// Its name.
    pub name: String,
    /// Entries given to it and not acknowledged.
    pub pending: u64,
    /// Since its last sign of life, ms.
    pub idle_ms: u64,
}

/// The two job streams of a channel in a partition.
#[must_use]
pub fn job_streams(partition: Partition, channel: &Channel) -> [JobStream; 2] {
    [Line::Fresh, Line::Again].map(|line| JobStream { partition, channel: channel.clone(), line })
}

impl JobStream {
    /// As a lane names an entry of this stream.
    #[must_use]
    pub fn name_of(&self, id: &str) -> String {
        self.line.name_of(id)
    }
}

impl Redis {
    /// The key of a job stream.
    #[must_use]
    pub fn stream_key(&self, stream: &JobStream) -> String {
        self.keys.stream(stream.partition, &stream.channel, stream.line)
    }

    /// A product; `None` when Redis does not hold it.
    ///
    /// # Errors
    /// As any call; [`RedisError::Unreadable`] when a field does not have its form.
    pub async fn read_product(
        &self,
        partition: Partition,
        product: ProductId,
    ) -> Result<Option<ProductView>, RedisError> {
        let fields: HashMap<String, String> = self.client.hgetall(self.keys.product(partition, product)).await?;
        if !fields.contains_key("stock") {
            return Ok(None);
        }
        Ok(Some(ProductView {
            stock: number(&fields, "stock")?,
            round: number(&fields, "round")?,
            is_paused: fields.get("paused").is_some_and(|paused| paused == "1"),
            stamp: Stamp { epoch: number(&fields, "epoch")?, version: number(&fields, "version")? },
        }))
    }

    /// The products that Redis holds, page by page. Who is there from the first page to the last is seen at least once.
    ///
    /// # Errors
    /// As any call; an error is the last item.
    pub fn scan_products(
        &self,
        partition: Partition,
        count: u32,
    ) -> impl Stream<Item = Result<Vec<ProductId>, RedisError>> {
        try_unfold(Some("0".to_owned()), move |cursor| async move {
            let Some(cursor) = cursor else { return Ok(None) };
            let scan = CustomCommand::new_static("ZSCAN", ClusterHash::FirstKey, false);
            let args = vec![self.keys.products(partition), cursor, "COUNT".to_owned(), count.to_string()];
            let (next, flat): (String, Vec<String>) = self.client.custom(scan, args).await?;
            let products = flat.iter().step_by(2).filter_map(|id| id.parse().ok()).collect();
            Ok(Some((products, (next != "0").then_some(next))))
        })
    }

    /// How many entries a job stream holds.
    ///
    /// # Errors
    /// As any call.
    pub async fn stream_len(&self, stream: &JobStream) -> Result<u64, RedisError> {
        Ok(self.client.xlen(self.stream_key(stream)).await?)
    }

    /// How many lanes of a channel were given up.
    ///
    /// # Errors
    /// As any call.
    pub async fn dead_len(&self, partition: Partition, channel: &Channel) -> Result<u64, RedisError> {
        Ok(self.client.xlen(self.keys.dead(partition, channel)).await?)
    }

    /// The workers' group of a stream; `None` when there is none.
    ///
    /// # Errors
    /// As any call.
    pub async fn read_group(&self, stream: &JobStream) -> Result<Option<GroupView>, RedisError> {
        let key = self.stream_key(stream);
        let exists: bool = self.client.exists(&key).await?;
        if !exists {
            return Ok(None);
        }
        let groups: Vec<HashMap<String, Value>> = self.client.xinfo_groups(&key).await?;
        let text = |group: &HashMap<String, Value>, name: &str| group.get(name).and_then(Value::as_string);
        let Some(group) = groups.iter().find(|group| text(group, "name").is_some_and(|name| name == GROUP)) else {
            return Ok(None);
        };
        let last = text(group, "last-delivered-id").unwrap_or_default();
        let pending = group.get("pending").and_then(Value::as_u64).unwrap_or(0);
        Ok(Some(GroupView { last_delivered: entry_id(&last)?, pending }))
    }

    /// The consumers of the workers' group; none without a group.
    ///
    /// # Errors
    /// As any call.
    pub async fn read_consumers(&self, stream: &JobStream) -> Result<Vec<ConsumerView>, RedisError> {
        if self.read_group(stream).await?.is_none() {
            return Ok(Vec::new());
        }
        let found: Result<Vec<HashMap<String, Value>>, _> =
            self.client.xinfo_consumers(self.stream_key(stream), GROUP).await;
        let found = match found.map_err(RedisError::from) {
            Err(error) if error.is_no_group() => Vec::new(),
            found => found?,
        };
        let count = |fields: &HashMap<String, Value>, name: &str| fields.get(name).and_then(Value::as_u64).unwrap_or(0);
        let view = |fields: HashMap<String, Value>| {
            let name = fields.get("name").and_then(Value::as_string)?;
            Some(ConsumerView { name, pending: count(&fields, "pending"), idle_ms: count(&fields, "idle") })
        };
        Ok(found.into_iter().filter_map(view).collect())
    }

    /// Up to `count` entries of a job stream after `after`, with the product that each names, if it names one.
    ///
    /// # Errors
    /// As any call.
    pub async fn entries_after(
        &self,
        stream: &JobStream,
        after: &str,
        count: u64,
    ) -> Result<Vec<(String, Option<ProductId>)>, RedisError> {
        let found: Value = self.client.xrange(self.stream_key(stream), format!("({after}"), "+", Some(count)).await?;
        let product = |fields: &HashMap<String, String>| fields.get("product").and_then(|text| text.parse().ok());
        Ok(texts(found).into_iter().map(|(id, fields)| (id, product(&fields))).collect())
    }

    /// Which of these entries a job stream holds.
    ///
    /// # Errors
    /// As any call.
    pub async fn hold_entries(&self, stream: &JobStream, ids: &[String]) -> Result<Vec<bool>, RedisError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (key, pipeline) = (self.stream_key(stream), self.client.pipeline());
        for id in ids {
            let _: () = pipeline.xrange(&key, id.as_str(), id.as_str(), Some(1)).await?;
        }
        let found: Vec<Value> = pipeline.all().await?;
        Ok(found.iter().map(|entries| entries.array_len().is_some_and(|len| len > 0)).collect())
    }

    /// Acknowledges and deletes an entry of a job stream that stands for nothing.
    ///
    /// # Errors
    /// As any call.
    pub async fn drop_from(&self, stream: &JobStream, id: &str) -> Result<(), RedisError> {
        let key = self.stream_key(stream);
        let _: u64 = self.client.xack(&key, GROUP, id).await?;
        let _: u64 = self.client.xdel(&key, id).await?;
        Ok(())
    }

    /// The oldest entry of a partition's log; `None` when it is empty.
    ///
    /// # Errors
    /// As any call.
    pub async fn oldest_in_log(&self, partition: Partition) -> Result<Option<EntryId>, RedisError> {
        let found: Value = self.client.xrange(self.keys.log(partition), "-", "+", Some(1)).await?;
        texts(found).first().map(|(id, _)| entry_id(id)).transpose()
    }

    /// The enabled channels as Redis was told last, `name,…`.
    ///
    /// # Errors
    /// As any call.
    pub async fn mirrored_channels(&self, partition: Partition) -> Result<Option<String>, RedisError> {
        Ok(self.client.hget(self.keys.meta(partition), "channels").await?)
    }

    /// Whether Redis knows what this idempotency key led to; if so, it does not forget it until MySQL has an answer once
    /// more.
    ///
    /// # Errors
    /// As any call.
    pub async fn keep_seen(&self, partition: Partition, product: ProductId, key: &str) -> Result<bool, RedisError> {
        let seen = self.keys.seen(partition, product, key);
        // One that expires between the two is not there, as one that was never known.
        Ok(self.client.persist(&seen).await? || self.client.exists(&seen).await?)
    }
}

fn entry_id(text: &str) -> Result<EntryId, RedisError> {
    text.parse().map_err(|_| unreadable("stream", "id", text))
}

fn number<T: std::str::FromStr>(fields: &HashMap<String, String>, name: &str) -> Result<T, RedisError> {
    let text = fields.get(name).map_or("", String::as_str);
    text.parse().map_err(|_| unreadable("product", name, text))
}

fn unreadable(what: &'static str, field: &str, text: &str) -> RedisError {
    RedisError::Unreadable { what, field: field.to_owned(), text: text.to_owned() }
}
