//! What belongs to a whole partition: the log and how far MySQL followed it, what is mirrored, the outbox, refused rows.

use chrono::NaiveDateTime;

use super::{Finding, Kind, Mend, Report, Subject, Verifier};
use crate::{
    ids::{Partition, ProductId, rfc3339},
    mysql::request,
    redis::{entry_id::EntryId, scripts::channel_list},
    stores::StoreError,
};

/// Products with stuck requests, or refused rows, that are reported at most.
const ROWS_MAX: u32 = 1_000;

impl Verifier {
    pub(super) async fn check_partition(&self, partition: Partition, report: &mut Report) -> Result<(), StoreError> {
        self.check_log(partition, report).await?;
        report.extend(self.confirmed(|| self.look_at_position(partition)).await?);
        report.extend(self.confirmed(|| self.look_at_mirror(partition)).await?);
        report.extend(self.confirmed(|| self.look_at_held(partition)).await?);
        self.check_requests(partition, None, report).await?;
        if partition == Partition(0) {
            self.check_refused(None, report).await?;
        }
        Ok(())
    }

    /// Old entries that are still there after as long again.
    pub(super) async fn check_log(&self, partition: Partition, report: &mut Report) -> Result<(), StoreError> {
        let redis = &self.stores.redis;
        let age_ms = |entry: EntryId, now_ms: i64| u64::try_from(now_ms).unwrap_or(0).saturating_sub(entry.ms);
        let Some(first) = redis.oldest_in_log(partition).await? else { return Ok(()) };
        if age_ms(first, redis.now_ms(partition).await?) < self.patience.log_ms || self.flushed(partition).await? {
            return Ok(());
        }
        if redis.oldest_in_log(partition).await? != Some(first) {
            return Ok(());
        }
        let entries = redis.log_head(partition).await?.entries;
        let age_s = age_ms(first, redis.now_ms(partition).await?) / 1000;
        let detail = format!("{entries} entries wait for MySQL, the oldest for {age_s} s");
        report.add(Finding::new(Kind::LogUnflushed, Subject::Partition(partition), detail));
        Ok(())
    }

    /// As the flusher judges it when it looks; it does so every second.
    async fn look_at_position(&self, partition: Partition) -> Result<Vec<Finding>, StoreError> {
        // The flusher goes on meanwhile: the log's end is compared with where it was before, and what was deleted with
        // where it is after.
        let (_, before) = self.position(partition).await?;
        let head = self.stores.redis.log_head(partition).await?;
        let (known, last) = self.position(partition).await?;
        let id = |text: &str| text.parse::<EntryId>().unwrap_or(EntryId::ZERO);
        let (newest, deleted) = (id(&head.last_id), id(&head.max_deleted_id));
        let named = head.incarnation.unwrap_or_default();
        let detail = if known.is_empty() && named.is_empty() {
            return Ok(Vec::new());
        } else if known != named {
            "MySQL followed another log than the one in Redis: Redis was emptied or replaced, or MySQL was".to_owned()
        } else if deleted > last {
            format!("entries up to {deleted} are gone from the log, and MySQL has them up to {last}: it was set back")
        } else if newest < before {
            format!("the log ends at {newest}, and MySQL has it up to {before}: Redis lost the end of it")
        } else {
            return Ok(Vec::new());
        };
        Ok(vec![Finding::new(Kind::LogReplaced, Subject::Partition(partition), detail)])
    }

    /// The life of the log that MySQL follows, and the last entry of it that it has.
    async fn position(&self, partition: Partition) -> sqlx::Result<(String, EntryId)> {
        let found: Option<(String, String)> =
            sqlx::query_as("SELECT incarnation, last_entry FROM flush_position WHERE partition_id = ?")
                .bind(partition.0)
                .fetch_optional(&self.stores.mysql)
                .await?;
        let (incarnation, last) = found.unwrap_or_default();
        Ok((incarnation, last.parse().unwrap_or(EntryId::ZERO)))
    }

    async fn look_at_mirror(&self, partition: Partition) -> Result<Vec<Finding>, StoreError> {
        let Some(mirrored) = self.stores.redis.mirrored_channels(partition).await? else { return Ok(Vec::new()) };
        let stored = channel_list(&self.stores.settings.channels);
        if mirrored == stored {
            return Ok(Vec::new());
        }
        let detail = format!("Redis goes by the channels {mirrored}, the settings by {stored}");
        let finding = Finding::new(Kind::ChannelsDiffer, Subject::Partition(partition), detail);
        Ok(vec![finding.mended_by(Mend::Mirror(partition))])
    }

    async fn look_at_held(&self, partition: Partition) -> Result<Vec<Finding>, StoreError> {
        let held = request::held_upto(&self.stores.mysql, partition).await?;
        if held == 0 {
            return Ok(Vec::new());
        }
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM restock_request WHERE state = 'PENDING' AND id <= ? AND MOD(MOD(product_id, ?) + ?, ?) = ?",
        )
        .bind(held)
        .bind(i64::from(self.stores.settings.partitions))
        .bind(i64::from(self.stores.settings.partitions))
        .bind(i64::from(self.stores.settings.partitions))
        .bind(i64::from(partition.0))
        .fetch_one(&self.stores.mysql)
        .await?;
        let detail = format!("{count} requests up to #{held} wait for somebody to decide: MySQL was set back");
        let finding = Finding::new(Kind::RequestsHeld, Subject::Partition(partition), detail);
        Ok(vec![finding.mended_by(Mend::ReleaseRequests(partition))])
    }

    pub(super) async fn check_requests(
        &self,
        partition: Partition,
        only: Option<ProductId>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let first = self.look_at_requests(partition, only).await?;
        if first.is_empty() {
            return Ok(());
        }
        // What was relayed a moment ago gets its answer with the flush.
        let _ = self.flushed(partition).await?;
        tokio::time::sleep(super::LOOK_AGAIN).await;
        let again = self.look_at_requests(partition, only).await?;
        report.extend(again.into_iter().filter(|finding| first.iter().any(|before| before.is_same(finding))));
        Ok(())
    }

    async fn look_at_requests(
        &self,
        partition: Partition,
        only: Option<ProductId>,
    ) -> Result<Vec<Finding>, StoreError> {
        let held = request::held_upto(&self.stores.mysql, partition).await?;
        let partitions = i64::from(self.stores.settings.partitions);
        let rows: Vec<(i64, i64, i64, NaiveDateTime)> = sqlx::query_as(
            "SELECT product_id, COUNT(*), MIN(id), MIN(created_at) FROM restock_request
             WHERE state = 'PENDING' AND id > ? AND created_at < UTC_TIMESTAMP(6) - INTERVAL ? MICROSECOND
               AND MOD(MOD(product_id, ?) + ?, ?) = ? AND (? IS NULL OR product_id = ?)
             GROUP BY product_id ORDER BY MIN(id) LIMIT ?",
        )
        .bind(held)
        .bind(self.patience.request_ms * 1000)
        .bind(partitions)
        .bind(partitions)
        .bind(partitions)
        .bind(i64::from(partition.0))
        .bind(only.map(|product| product.0))
        .bind(only.map(|product| product.0))
        .bind(ROWS_MAX)
        .fetch_all(&self.stores.mysql)
        .await?;
        let finding = |(product, count, first, since): (i64, i64, i64, NaiveDateTime)| {
            let detail = format!("{count} requests without a round, the first is #{first} of {}", rfc3339(since));
            let finding = Finding::new(Kind::RequestStuck, Subject::Product(ProductId(product)), detail);
            finding.mended_by(Mend::Push(ProductId(product)))
        };
        Ok(rows.into_iter().map(finding).collect())
    }

    pub(super) async fn check_refused(&self, only: Option<ProductId>, report: &mut Report) -> Result<(), StoreError> {
        let rows: Vec<(u16, Option<i64>, String, i64, i64, String)> = sqlx::query_as(
            "SELECT partition_id, product_id, kind, COUNT(*), MAX(id), MAX(`sqlstate`) FROM log_dead
             WHERE mended_at IS NULL AND (? IS NULL OR product_id = ?)
             GROUP BY partition_id, product_id, kind ORDER BY MAX(id) LIMIT ?",
        )
        .bind(only.map(|product| product.0))
        .bind(only.map(|product| product.0))
        .bind(ROWS_MAX)
        .fetch_all(&self.stores.mysql)
        .await?;
        for (partition, product, kind, count, upto, sqlstate) in rows {
            let subject =
                product.map_or(Subject::Partition(Partition(partition)), |id| Subject::Product(ProductId(id)));
            let detail =
                format!("MySQL refused {count} rows of kind {kind} (SQLSTATE {sqlstate}), log_dead up to {upto}");
            let finding = Finding::new(Kind::RowRefused, subject, detail);
            // Redis still has the whole state of a product and its rounds. A person's outcome is nowhere else.
            let mend = match product {
                Some(product) if kind == "product" || kind == "round" => Some(Mend::Relog(ProductId(product))),
                _ => None,
            };
            report.add(Finding { mend, ..finding });
        }
        Ok(())
    }
}
