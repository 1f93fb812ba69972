//! Looking at pending entries without taking them.

use fred::{interfaces::StreamsInterface, types::Value};

use super::{Redis, RedisError, dead::texts, inspect::JobStream, jobs::GROUP};
use crate::ids::ProductId;

/// An entry given out and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub consumer: String,
    /// Since it was last given out or renewed, ms.
    pub idle_ms: u64,
    /// How often it was given out.
    pub deliveries: u64,
}

/// The same, with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// The entry.
    pub pending: PendingView,
    /// Its product; none when the entry was deleted, or names none.
    pub product: Option<ProductId>,
}

/// Some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPage {
    /// The stream's key.
    pub key: String,
    /// In the order of their ids.
    pub entries: Vec<PendingEntry>,
    /// The clock of the server just before, ms since the epoch.
    pub now_ms: i64,
}

impl Redis {
    /// The first `count` pending entries of a stream after `after`, in order; from the first with none. A stream without
    /// a group has none.
    ///
    /// # Errors
    /// As any call.
    pub async fn read_pending(
        &self,
        stream: &JobStream,
        after: Option<&str>,
        count: u64,
    ) -> Result<Vec<PendingView>, RedisError> {
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let found: Result<Value, _> =
            self.client.xpending(self.stream_key(stream), GROUP, (start, "+".to_owned(), count)).await;
        let found = match found.map_err(RedisError::from) {
            Err(error) if error.is_no_group() => return Ok(Vec::new()),
            found => found?,
        };
        if found.is_null() {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, String, u64, u64)> = found.convert()?;
        let view = |(id, consumer, idle_ms, deliveries)| PendingView { id, consumer, idle_ms, deliveries };
        Ok(rows.into_iter().map(view).collect())
    }

    /// As [`Redis::read_pending`], with what each stands for.
    ///
    /// # Errors
    /// As any call.
    pub async fn pending(
        &self,
        stream: &JobStream,
        after: Option<&str>,
        count: u64,
    ) -> Result<PendingPage, RedisError> {
        let now_ms = self.now_ms(stream.partition).await?;
        let found = self.read_pending(stream, after, count).await?;
        let key = self.stream_key(stream);
        let ids: Vec<&str> = found.iter().map(|pending| pending.id.as_str()).collect();
        let products = self.products_of(&key, &ids).await?;
        let entries = found.into_iter().zip(products).map(|(pending, product)| PendingEntry { pending, product });
        Ok(PendingPage { key, entries: entries.collect(), now_ms })
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
