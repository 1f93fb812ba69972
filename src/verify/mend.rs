//! Repairs: each goes through the scripts and rules that the processes use, so that it may run beside them, and twice.

use std::fmt;

use super::Verifier;
use crate::{
    ids::{LaneId, Partition, ProductId, Round},
    mysql::{line, request},
    producer::{Producer, ProducerError},
    redis::{
        inspect::JobStream,
        jobs::Jobs,
        scripts::{Canceled, Relogged, Unreadable, channel_list},
    },
    round::Stamp,
    stores::{Checked, StoreError, all_channels, lane_stamps},
};

/// Requests pushed or decided at once.
const PAGE_REQUESTS: u32 = 500;
/// How long Redis remembers a key after MySQL has what it led to: who is younger and not known was never pushed.
const SEEN_HOURS: u32 = 24;

/// What mends a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Checks a product against MySQL: what is absent or behind is installed, an open lane gets its entry.
    Check(ProductId),
    /// Logs a product's state in Redis again.
    Relog(ProductId),
    /// Makes MySQL's row of a round newer than Redis' lane of this stamp, and installs it.
    Reinstall {
        /// The lane.
        lane: LaneId,
        /// The round that it stands at.
        round: Round,
        /// The stamp that both have.
        stamp: Stamp,
    },
    /// Ends a row of a round that its lane has left behind and that never began.
    Supersede(LaneId, Round, Stamp),
    /// Ends the round of a channel that is not enabled.
    Cancel(LaneId),
    /// Creates the workers' group, from the start of the stream.
    CreateGroup(JobStream),
    /// Acknowledges and deletes an entry that stands for nothing.
    DropEntry(JobStream, String),
    /// Sets an entry aside that cannot be read.
    Bury(JobStream, String),
    /// Deletes an entry that nobody is given any more, and gives its lane another one.
    ReplaceEntry(JobStream, String, ProductId),
    /// Takes a consumer out of the group, unless something is pending for it or it lives.
    DropConsumer {
        /// Its name.
        name: String,
        /// The streams that know it.
        streams: Vec<JobStream>,
        /// Only if it was silent for this long, ms.
        idle_ms: u64,
    },
    /// Tells Redis of the enabled channels.
    Mirror(Partition),
    /// Lets held requests go on that Redis knows, or that it would know had they been pushed; refuses the others.
    ReleaseRequests(Partition),
    /// Pushes the pending requests of a product.
    Push(ProductId),
    /// Counts the people of a round that has ended.
    Count(LaneId, Round),
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(product) => write!(f, "check product {product} against MySQL and install what is missing"),
            Self::Relog(product) => write!(f, "log Redis' state of product {product} again"),
            Self::Reinstall { lane, round, .. } => {
                write!(f, "install MySQL's state of round {round} of {lane} in Redis")
            }
            Self::Supersede(lane, round, _) => write!(f, "end round {round} of {lane} as SUPERSEDED in MySQL"),
            Self::Cancel(lane) => write!(f, "end the round of {lane} as CANCELED_BY_ADMIN"),
            Self::CreateGroup(_) => f.write_str("create the group from the start of the stream"),
            Self::DropEntry(..) => f.write_str("acknowledge and delete it"),
            Self::Bury(..) => f.write_str("move it to the dead stream"),
            Self::ReplaceEntry(_, _, product) => write!(f, "delete it and give product {product} another one"),
            Self::DropConsumer { name, .. } => write!(f, "take {name} out of the group"),
            Self::Mirror(_) => f.write_str("tell Redis of the enabled channels"),
            Self::ReleaseRequests(_) => f.write_str("let those go on that Redis knows, and refuse the others"),
            Self::Push(product) => write!(f, "push the pending requests of product {product}"),
            Self::Count(lane, round) => write!(f, "count the people of round {round} of {lane}"),
        }
    }
}

impl Verifier {
    /// Mends one finding; whether something was changed. May run beside everything else.
    ///
    /// # Errors
    /// When a store fails; the same may be tried again.
    pub async fn mend(&self, mend: &Mend) -> Result<bool, StoreError> {
        let redis = &self.stores.redis;
        match mend {
            Mend::Check(product) => Ok(self.stores.check(*product).await? != Checked::NoSuchProduct),
            Mend::Relog(product) => self.relog(*product).await,
            Mend::Reinstall { lane, round, stamp } => self.reinstall(lane, *round, *stamp).await,
            Mend::Supersede(lane, round, stamp) => Ok(self.supersede(lane, *round, *stamp).await?),
            Mend::Cancel(lane) => {
                let partition = self.stores.partition_of(lane.product);
                let canceled = redis.cancel(partition, lane, "its channel is disabled").await?;
                Ok(matches!(canceled, Canceled::Ended(_) | Canceled::Told(_)))
            }
            Mend::CreateGroup(stream) => {
                let jobs = Jobs::new(redis.clone(), stream.partition, stream.channel.clone(), String::new());
                jobs.ensure_groups().await?;
                Ok(true)
            }
            Mend::DropEntry(stream, id) => {
                redis.drop_from(stream, id).await?;
                Ok(true)
            }
            Mend::Bury(JobStream { partition, channel, line }, id) => {
                let (partition, line) = (*partition, *line);
                let entry = Unreadable { partition, channel, line, id, reason: "names no product" };
                Ok(redis.bury(&entry).await?)
            }
            Mend::ReplaceEntry(stream, id, product) => {
                redis.drop_from(stream, id).await?;
                Ok(self.stores.check(*product).await? != Checked::NoSuchProduct)
            }
            Mend::DropConsumer { name, streams, idle_ms } => {
                let mut dropped = false;
                for stream in streams {
                    dropped |= redis.drop_consumer(stream, name, *idle_ms).await?;
                }
                Ok(dropped)
            }
            Mend::Mirror(partition) => {
                redis.mirror_channels(*partition, &channel_list(&self.stores.settings.channels)).await?;
                Ok(true)
            }
            Mend::ReleaseRequests(partition) => self.release(*partition).await,
            Mend::Push(product) => self.push(*product).await,
            Mend::Count(lane, round) => Ok(self.count(lane, *round).await?),
        }
    }

    async fn relog(&self, product: ProductId) -> Result<bool, StoreError> {
        let recorded = lane_stamps(&self.stores.mysql, &[product]).await?.into_keys().map(|(_, channel)| channel);
        let channels: Vec<_> = all_channels(&self.stores.settings.channels, recorded).into_iter().collect();
        let partition = self.stores.partition_of(product);
        let relogged = self.stores.redis.relog(partition, product, &channels).await?;
        if relogged == Relogged::Absent {
            return Ok(false);
        }
        // Whether it was mended is seen once MySQL has it; when it does not get it, that is a finding of its own.
        let _ = self.flushed(partition).await?;
        Ok(true)
    }

    /// Only of a row that still has the stamp: what was changed since is left alone.
    async fn reinstall(&self, lane: &LaneId, round: Round, stamp: Stamp) -> Result<bool, StoreError> {
        let raised = sqlx::query(
            "UPDATE product_notification_history SET epoch = ?, version = ? + 1
             WHERE product_id = ? AND restock_round = ? AND channel = ? AND (epoch < ? OR (epoch = ? AND version <= ?))",
        )
        .bind(stamp.epoch)
        .bind(stamp.version)
        .bind(lane.product.0)
        .bind(round.0)
        .bind(lane.channel.as_str())
        .bind(stamp.epoch)
        .bind(stamp.epoch)
        .bind(stamp.version)
        .execute(&self.stores.mysql)
        .await?;
        if raised.rows_affected() == 0 {
            return Ok(false);
        }
        self.stores.check(lane.product).await?;
        let _ = self.flushed(self.stores.partition_of(lane.product)).await?;
        Ok(true)
    }

    async fn supersede(&self, lane: &LaneId, round: Round, stamp: Stamp) -> sqlx::Result<bool> {
        let ended = sqlx::query(
            "UPDATE product_notification_history
             SET status = 'SUPERSEDED', ended_at = UTC_TIMESTAMP(6), reason = 'left behind by its lane'
             WHERE product_id = ? AND restock_round = ? AND channel = ? AND status = 'QUEUED' AND started_at IS NULL
               AND epoch = ? AND version = ?",
        )
        .bind(lane.product.0)
        .bind(round.0)
        .bind(lane.channel.as_str())
        .bind(stamp.epoch)
        .bind(stamp.version)
        .execute(&self.stores.mysql)
        .await?;
        Ok(ended.rows_affected() > 0)
    }

    /// A request that Redis knows is answered as before. One that it does not know was never pushed if it is younger
    /// than Redis' memory; else nobody can tell whether its people were told, and it is refused.
    async fn release(&self, partition: Partition) -> Result<bool, StoreError> {
        let (db, partitions) = (&self.stores.mysql, self.stores.settings.partitions);
        let held = request::held_upto(db, partition).await?;
        let mut after = 0;
        'pages: loop {
            let rows = request::pending(db, partition, partitions, after, PAGE_REQUESTS).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if row.id > held {
                    break 'pages;
                }
                after = row.id;
                let key = row.key_or_number();
                // One that expired before the relay pushes the row would make it a second round.
                if self.stores.redis.keep_seen(partition, row.product, &key).await? {
                    continue;
                }
                sqlx::query(
                    "UPDATE restock_request SET state = 'REFUSED', reason = ?
                     WHERE id = ? AND state = 'PENDING' AND created_at < UTC_TIMESTAMP(6) - INTERVAL ? HOUR",
                )
                .bind("MySQL was set back, and whether this was announced is not known; enqueue it again if it was not")
                .bind(row.id)
                .bind(SEEN_HOURS)
                .execute(db)
                .await?;
            }
        }
        sqlx::query("UPDATE flush_position SET held_upto_request = 0 WHERE partition_id = ? AND held_upto_request = ?")
            .bind(partition.0)
            .bind(held)
            .execute(db)
            .await?;
        Ok(true)
    }

    async fn push(&self, product: ProductId) -> Result<bool, StoreError> {
        let producer = Producer::new(self.stores.clone());
        let (partition, partitions) = (self.stores.partition_of(product), self.stores.settings.partitions);
        let mut after = request::held_upto(&self.stores.mysql, partition).await?;
        let mut pushed = false;
        loop {
            let rows = request::pending(&self.stores.mysql, partition, partitions, after, PAGE_REQUESTS).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            // An impossible one is the relay's to refuse.
            for row in rows.iter().filter(|row| row.product == product && row.product.0 > 0 && row.quantity >= 0) {
                match producer.push(row).await {
                    Ok(accepted) => pushed |= accepted.round.is_some(),
                    Err(ProducerError::Store(error)) => return Err(error),
                    Err(error) => tracing::warn!(request = row.id, %error, "a request cannot be a round"),
                }
            }
        }
        let _ = self.flushed(partition).await?;
        Ok(pushed)
    }

    async fn count(&self, lane: &LaneId, round: Round) -> sqlx::Result<bool> {
        let db = &self.stores.mysql;
        let Some(row) = crate::mysql::history::round_of(db, lane, round).await? else { return Ok(false) };
        let total = match row.state.upto {
            None => 0,
            Some(upto) => line::count_active(db, lane.product, row.state.from, upto).await?,
        };
        // Counted late, somebody who was told may have left the line since.
        let counted = sqlx::query(
            "UPDATE product_notification_history
             SET total = GREATEST(?, sent_count + skipped_count + failed_count + unknown_count)
             WHERE product_id = ? AND restock_round = ? AND channel = ? AND total IS NULL",
        )
        .bind(total)
        .bind(lane.product.0)
        .bind(round.0)
        .bind(lane.channel.as_str())
        .execute(db)
        .await?;
        Ok(counted.rows_affected() > 0)
    }
}
