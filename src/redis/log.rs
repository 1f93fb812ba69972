//! The log stream of one partition, as the flusher reads it.

use std::collections::HashMap;

use fred::{
    error::{Error, ErrorKind},
    interfaces::{ClientLike, HashesInterface, KeysInterface, SortedSetsInterface, StreamsInterface},
    types::{ClusterHash, CustomCommand, FromValue, Value},
};

use super::{Redis, RedisError, log_entry::LogEntry};
use crate::ids::{Partition, ProductId};

/// What the flusher must know of a log before it trusts its position in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// Names this life of the log; `None` after Redis was emptied.
    pub incarnation: Option<String>,
    /// Entries not yet deleted.
    pub entries: u64,
    /// The greatest id ever given.
    pub last_id: String,
    /// The greatest id ever deleted.
    pub max_deleted_id: String,
}

/// The entries of an answer, which may be none at all.
fn read_entries(answer: Value) -> Result<Vec<LogEntry>, Error> {
    let raw = if answer.is_null() { Vec::new() } else { answer.into_array() };
    let read: Option<Vec<LogEntry>> = raw.into_iter().map(LogEntry::of).collect();
    read.ok_or_else(|| Error::new(ErrorKind::Parse, "an entry of a log"))
}

impl Redis {
    /// The state of a partition's log.
    ///
    /// # Errors
    /// As any call.
    pub async fn log_head(&self, partition: Partition) -> Result<LogHead, RedisError> {
        let key = self.keys.log(partition);
        let incarnation: Option<String> = self.client.hget(self.keys.meta(partition), "incarnation").await?;
        let exists: bool = self.client.exists(&key).await?;
        if !exists {
            let none = "0-0".to_owned();
            return Ok(LogHead { incarnation, entries: 0, last_id: none.clone(), max_deleted_id: none });
        }
        let info: HashMap<String, Value> = self.client.xinfo_stream(&key, false, None).await?;
        let text = |name: &str| info.get(name).and_then(Value::as_string).unwrap_or_default().to_string();
        Ok(LogHead {
            incarnation,
            entries: info.get("length").and_then(Value::as_u64).unwrap_or(0),
            last_id: text("last-generated-id"),
            max_deleted_id: text("max-deleted-entry-id"),
        })
    }

    /// How many entries of a partition's log are not deleted yet.
    ///
    /// # Errors
    /// As any call.
    pub async fn log_length(&self, partition: Partition) -> Result<u64, RedisError> {
        Ok(self.client.xlen(self.keys.log(partition)).await?)
    }

    /// How many entries of a partition's log are not deleted yet, and the age of the oldest, ms; 0 without any.
    ///
    /// # Errors
    /// As any call.
    pub async fn log_lag(&self, partition: Partition) -> Result<(u64, i64), RedisError> {
        let key = self.keys.log(partition);
        let pipeline = self.client.pipeline();
        let _: () = pipeline.xlen(&key).await?;
        let _: () = pipeline.xrange(&key, "-", "+", Some(1)).await?;
        let (entries, first): (u64, Value) = pipeline.all().await?;
        let first = read_entries(first)?;
        let Some(first) = first.first() else { return Ok((entries, 0)) };
        let written_ms = first.id.split('-').next().and_then(|ms| ms.parse::<i64>().ok());
        let now_ms = self.now_ms(partition).await?;
        Ok((entries, written_ms.map_or(0, |written_ms| (now_ms - written_ms).max(0))))
    }

    /// Gives the log an incarnation where it has none, and returns the one it has.
    ///
    /// # Errors
    /// As any call.
    pub async fn name_log(&self, partition: Partition, proposal: &str) -> Result<String, RedisError> {
        let key = self.keys.meta(partition);
        let _: bool = self.client.hsetnx(&key, "incarnation", proposal).await?;
        Ok(self.client.hget::<Option<String>, _, _>(&key, "incarnation").await?.unwrap_or_default())
    }

    /// Makes ids given from now on greater than `id`.
    ///
    /// # Errors
    /// As any call.
    pub async fn raise_log(&self, partition: Partition, id: &str) -> Result<(), RedisError> {
        let command = CustomCommand::new_static("XSETID", ClusterHash::FirstKey, false);
        let _: Value = self.client.custom(command, vec![self.keys.log(partition), id.to_owned()]).await?;
        Ok(())
    }

    /// The incarnation now, and up to `count` entries after `after`.
    ///
    /// # Errors
    /// As any call.
    pub async fn read_log(
        &self,
        partition: Partition,
        after: &str,
        count: u64,
    ) -> Result<(Option<String>, Vec<LogEntry>), RedisError> {
        let pipeline = self.client.pipeline();
        let _: () = pipeline.hget(self.keys.meta(partition), "incarnation").await?;
        let _: () = pipeline.xrange(self.keys.log(partition), format!("({after}"), "+", Some(count)).await?;
        let (incarnation, entries): (Option<String>, Value) = pipeline.all().await?;
        Ok((incarnation, read_entries(entries)?))
    }

    /// The incarnation now, and whether the log has this entry.
    ///
    /// # Errors
    /// As any call.
    pub async fn log_entry(&self, partition: Partition, id: &str) -> Result<(Option<String>, bool), RedisError> {
        let pipeline = self.client.pipeline();
        let _: () = pipeline.hget(self.keys.meta(partition), "incarnation").await?;
        let _: () = pipeline.xrange(self.keys.log(partition), id, id, Some(1)).await?;
        let (incarnation, found): (Option<String>, Value) = pipeline.all().await?;
        Ok((incarnation, found.array_len().is_some_and(|len| len > 0)))
    }

    /// Deletes entries by their ids.
    pub(super) async fn delete_log_entries(&self, partition: Partition, ids: Vec<String>) -> Result<(), RedisError> {
        Ok(self.client.xdel(self.keys.log(partition), ids).await?)
    }

    /// Adds an entry with these fields.
    ///
    /// # Errors
    /// As any call; whether it was added is then not known.
    pub async fn append_log(
        &self,
        partition: Partition,
        fields: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), RedisError> {
        let fields: Vec<(String, String)> = fields.into_iter().collect();
        let _: String = self.client.xadd(self.keys.log(partition), false, None, "*", fields).await?;
        Ok(())
    }

    /// Lets idempotency keys expire, once MySQL has what they led to.
    ///
    /// # Errors
    /// As any call.
    pub async fn expire_seen(
        &self,
        partition: Partition,
        seen: &[(ProductId, String)],
        ttl_s: i64,
    ) -> Result<(), RedisError> {
        let pipeline = self.client.pipeline();
        for (product, key) in seen {
            let _: () = pipeline.expire(self.keys.seen(partition, *product, key), ttl_s, None).await?;
        }
        if !seen.is_empty() {
            let _: Vec<Value> = pipeline.all().await?;
        }
        Ok(())
    }

    /// Up to `count` products in Redis that last changed at or before `upto_ms` of Redis' clock, the oldest first,
    /// without the first `skip` of them.
    ///
    /// # Errors
    /// As any call.
    pub async fn idle_products(
        &self,
        partition: Partition,
        upto_ms: i64,
        skip: i64,
        count: i64,
    ) -> Result<Vec<ProductId>, RedisError> {
        let ids: Vec<String> = self
            .client
            .zrangebyscore(self.keys.products(partition), f64::NEG_INFINITY, upto_ms as f64, false, Some((skip, count)))
            .await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Names the present time of the server that holds this partition as a primary: another one after every restart and
    /// every fail-over, as the scripts name it.
    ///
    /// # Errors
    /// As any call.
    pub async fn run_id_of(&self, partition: Partition) -> Result<String, RedisError> {
        let sections = ["server", "replication"].map(str::to_owned).to_vec();
        let info: String = self.ask_owner(partition, "INFO", sections).await?;
        let text = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        Ok(format!("{}-{}", text("run_id:"), text("master_replid:")))
    }

    /// The clock of the server that holds this partition, ms since the epoch.
    ///
    /// # Errors
    /// As any call.
    pub async fn now_ms(&self, partition: Partition) -> Result<i64, RedisError> {
        let (seconds, us): (i64, i64) = self.ask_owner(partition, "TIME", vec![]).await?;
        Ok(seconds * 1000 + us / 1000)
    }

    async fn ask_owner<T: FromValue>(
        &self,
        partition: Partition,
        command: &'static str,
        args: Vec<String>,
    ) -> Result<T, RedisError> {
        let slot = ClusterHash::Custom(fred::util::redis_keyslot(self.keys.signal(partition).as_bytes()));
        Ok(self.client.custom(CustomCommand::new_static(command, slot, false), args).await?)
    }
}
