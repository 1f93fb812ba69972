//! Looking at pending entries without taking them.

use fred::{interfaces::StreamsInterface, types::Value};

use super::{
    Redis, RedisError,
    dead::texts,
    jobs::{GROUP, Line},
};
use crate::ids::{Channel, Partition, ProductId};

/// An entry that was given to a consumer and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// Its id on the stream.
    pub id: String,
    /// For whom it is pending.
    pub consumer: String,
    /// Since it was last given out or claimed, in ms.
    pub idle_ms: u64,
    /// How often it was given out.
    pub deliveries: u64,
    /// What it stands for; none when it was deleted, or names none.
    pub product: Option<ProductId>,
}

/// Some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPage {
    /// The stream's key.
    pub stream: String,
    /// In the order of their ids.
    pub entries: Vec<PendingEntry>,
    /// The clock of the server just before, ms since the epoch.
    pub now_ms: i64,
}

impl Redis {
    /// The first `count` pending entries of a stream after the entry `after`. A stream without a group has none.
    ///
    /// # Errors
    /// As any call.
    pub async fn pending(
        &self,
        partition: Partition,
        channel: &Channel,
        line: Line,
        after: Option<&str>,
        count: u64,
    ) -> Result<PendingPage, RedisError> {
        let stream = self.keys.stream(partition, channel, line);
        let now_ms = self.now_ms(partition).await?;
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let found: Result<Vec<(String, String, u64, u64)>, _> =
            match self.client.xpending::<Value, _, _, _>(&stream, GROUP, (start, "+".to_owned(), count)).await {
                Ok(found) if found.is_null() => Ok(Vec::new()),
                Ok(found) => found.convert(),
                Err(error) => Err(error),
            };
        let found = match found.map_err(RedisError::from) {
            Err(error) if error.is_no_group() => Vec::new(),
            found => found?,
        };
        let ids: Vec<&str> = found.iter().map(|(id, ..)| id.as_str()).collect();
        let products = self.products_of(&stream, &ids).await?;
        let entry = |((id, consumer, idle_ms, deliveries), product)| PendingEntry {
            id,
            consumer,
            idle_ms,
            deliveries,
            product,
        };
        let entries = found.into_iter().zip(products).map(entry).collect();
        Ok(PendingPage { stream, entries, now_ms })
    }

    async fn products_of(&self, stream: &str, ids: &[&str]) -> Result<Vec<Option<ProductId>>, RedisError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let pipeline = self.client.pipeline();
        for id in ids {
            let _: () = pipeline.xrange(stream, *id, *id, Some(1)).await?;
        }
        let found: Vec<Value> = pipeline.all().await?;
        Ok(found
            .into_iter()
            .map(|entry| {
                let entries = texts(entry);
                entries.first().and_then(|(_, fields)| fields.get("product")?.parse().ok())
            })
            .collect())
    }
}
