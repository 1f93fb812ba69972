//! The log stream of one partition, as the flusher reads it.

use std::collections::HashMap;

use fred::{
    bytes::Bytes,
    interfaces::{ClientLike, HashesInterface, KeysInterface, SortedSetsInterface, StreamsInterface},
    types::{ClusterHash, CustomCommand, FromValue},
};

use super::{Redis, RedisError};
use crate::ids::{Partition, ProductId};

/// One entry of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// Its id, `ms-seq`.
    pub id: String,
    /// Its fields; what is no text has U+FFFD in it.
    pub fields: HashMap<String, String>,
    /// Whether all of it was text.
    pub is_text: bool,
}

impl LogEntry {
    fn of(id: String, raw: &HashMap<Bytes, Bytes>) -> Self {
        let is_text = raw.iter().all(|(name, value)| str::from_utf8(name).is_ok() && str::from_utf8(value).is_ok());
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { id, fields: raw.iter().map(|(name, value)| (text(name), text(value))).collect(), is_text }
    }
}

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
        let info: HashMap<String, fred::types::Value> = self.client.xinfo_stream(&key, false, None).await?;
        let text = |name: &str| info.get(name).and_then(fred::types::Value::as_string).unwrap_or_default().to_string();
        Ok(LogHead {
            incarnation,
            entries: info.get("length").and_then(fred::types::Value::as_u64).unwrap_or(0),
            last_id: text("last-generated-id"),
            max_deleted_id: text("max-deleted-entry-id"),
        })
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
        let (entries, first): (u64, fred::types::Value) = pipeline.all().await?;
        if entries == 0 || first.is_null() {
            return Ok((entries, 0));
        }
        let first: Vec<(String, HashMap<Bytes, Bytes>)> = first.into_xread_value()?;
        let written_ms = first.first().and_then(|(id, _)| id.split('-').next()?.parse::<i64>().ok());
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
        let _: fred::types::Value = self.client.custom(command, vec![self.keys.log(partition), id.to_owned()]).await?;
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
        let (incarnation, entries): (Option<String>, fred::types::Value) = pipeline.all().await?;
        let raw: Vec<(String, HashMap<Bytes, Bytes>)> =
            if entries.is_null() { Vec::new() } else { entries.into_xread_value()? };
        Ok((incarnation, raw.into_iter().map(|(id, fields)| LogEntry::of(id, &fields)).collect()))
    }

    /// The incarnation now, and whether the log has this entry.
    ///
    /// # Errors
    /// As any call.
    pub async fn log_entry(&self, partition: Partition, id: &str) -> Result<(Option<String>, bool), RedisError> {
        let pipeline = self.client.pipeline();
        let _: () = pipeline.hget(self.keys.meta(partition), "incarnation").await?;
        let _: () = pipeline.xrange(self.keys.log(partition), id, id, Some(1)).await?;
        let (incarnation, found): (Option<String>, fred::types::Value) = pipeline.all().await?;
        Ok((incarnation, found.array_len().is_some_and(|len| len > 0)))
    }

    /// Deletes entries that MySQL has.
    ///
    /// # Errors
    /// As any call.
    pub async fn delete_log(&self, partition: Partition, ids: Vec<String>) -> Result<(), RedisError> {
        for chunk in ids.chunks(1000) {
            let _: () = self.client.xdel(self.keys.log(partition), chunk.to_vec()).await?;
        }
        Ok(())
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
            let _: Vec<fred::types::Value> = pipeline.all().await?;
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
