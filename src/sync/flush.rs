//! Following the log of one partition.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::MySqlConnection;
use tokio::sync::Notify;

use super::{
    apply::{Applied, Move, apply},
    batch::Batch,
    dead::{Dead, Refusals},
    position::Position,
    read::{Portion, Reader},
    totals::{Begun, Totals},
};
use crate::{
    ids::{Partition, ProductId},
    meter::FlushMeters,
    mysql::answered,
    redis::{RedisError, entry_id::EntryId, scripts::Relogged},
    stores::{StoreError, Stores, all_channels, lane_stamps},
};

/// How often the log is examined even when nothing looks wrong.
const EXAMINE_EVERY: Duration = Duration::from_secs(1);
/// No batch takes this long: the connection is dead, and did not say so.
const APPLY_MAX: Duration = Duration::from_secs(30);
/// How long an idempotency key is remembered after MySQL has what it led to.
const SEEN_TTL_S: i64 = 24 * 60 * 60;

/// What a step of the flusher did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// MySQL has all that was in the log.
    Idle,
    /// So many entries were applied.
    Applied {
        /// How many.
        entries: usize,
        /// Whether there is probably more.
        more: bool,
    },
    /// Another flusher leads this partition.
    Deposed,
}

/// The follower of one log. Whoever owns it leads the partition.
#[derive(Debug)]
pub(super) struct Flush {
    pub(super) stores: Stores,
    pub(super) partition: Partition,
    pub(super) position: Position,
    /// What is read next; behind the position after anything that may have left entries there. To apply them again
    /// does no harm, and to delete them again is all that is left to do.
    pub(super) after: EntryId,
    pub(super) run_id: String,
    pub(super) examined: Option<Instant>,
    /// Whether the log was found gone, and not all products were checked since.
    pub(super) has_lost_log: bool,
    reader: Reader,
    refusals: Refusals,
    /// The greatest request that Redis is known to remember as answered.
    newest_request: Option<i64>,
    totals: Totals,
    /// Told when lanes in Redis may be missing or behind.
    pub(super) alarm: Arc<Notify>,
    meters: FlushMeters,
}

impl Flush {
    pub(super) async fn start(
        stores: Stores,
        partition: Partition,
        db: &mut MySqlConnection,
        totals: Totals,
        alarm: Arc<Notify>,
    ) -> Result<Self, StoreError> {
        let position = Position::read(db, partition).await?;
        let refusals = Refusals::read(db, partition).await?;
        Ok(Self {
            reader: Reader::new(stores.redis.clone(), partition),
            stores,
            partition,
            position,
            after: EntryId::ZERO,
            run_id: String::new(),
            examined: None,
            has_lost_log: false,
            refusals,
            newest_request: None,
            totals,
            alarm,
            meters: FlushMeters::new(partition),
        })
    }

    /// Applies the next batch.
    ///
    /// # Errors
    /// Those of Redis: call again. Those of MySQL: the connection, and with it the leadership, is not to be trusted.
    pub(super) async fn step(&mut self, db: &mut MySqlConnection) -> Result<Flushed, StoreError> {
        let done = self.try_step(db).await;
        if done.is_err() {
            self.doubt();
        }
        done
    }

    /// Reads all that is left from the start and examines the log first.
    fn doubt(&mut self) {
        self.reader.forget();
        self.after = EntryId::ZERO;
        self.examined = None;
    }

    async fn try_step(&mut self, db: &mut MySqlConnection) -> Result<Flushed, StoreError> {
        if self.examined.is_none_or(|at| at.elapsed() >= EXAMINE_EVERY) && !self.examine(db).await? {
            return Ok(Flushed::Deposed);
        }
        let Portion { incarnation, batch, more } = self.reader.next(self.after).await?;
        if incarnation.as_deref() != Some(&self.position.incarnation) {
            self.doubt();
            return Ok(Flushed::Applied { entries: 0, more: true });
        }
        let Some(last) = batch.last() else {
            self.meters.went_well();
            return Ok(Flushed::Idle);
        };
        if more {
            self.reader.read_ahead(last);
        }
        let to = Position { last: last.max(self.position.last), ..self.position.clone() };
        let (partition, from, refusals) = (self.partition, &self.position, &self.refusals);
        let step = Move { redis: &self.stores.redis, partition, batch: &batch, from, to: &to, refusals };
        let begun = Instant::now();
        let applied = tokio::time::timeout(APPLY_MAX, apply(db, &step)).await;
        let applied = applied.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
        let (dead, mended) = match applied {
            Applied::Committed { dead, mended } => (dead, mended),
            Applied::Deposed => return Ok(Flushed::Deposed),
            Applied::Unknown(error) => return Err(error.into()),
            Applied::Gone => {
                tracing::warn!(%partition, entries = batch.ids.len(), "Redis lost what was read of the log before MySQL had it");
                self.doubt();
                return Ok(Flushed::Applied { entries: 0, more: true });
            }
        };
        self.meters.applied(batch.ids.len(), batch.rows(), begun.elapsed());
        self.meters.refused.increment(dead.len() as u64);
        self.position = to;
        self.after = last;
        self.totals.expect(batch.rounds.iter().filter_map(|said| Begun::of(&said.what)));
        self.refusals.forget(&mended);
        self.log_again(db, &dead).await?;
        self.clean_up(&batch, &dead).await?;
        self.meters.went_well();
        Ok(Flushed::Applied { entries: batch.ids.len(), more })
    }

    /// Lets keys expire, then deletes the entries: the other way round a key might stay for ever.
    ///
    /// The key of an answer that MySQL refused stays: its row is still pending, and is pushed again.
    async fn clean_up(&mut self, batch: &Batch, dead: &[Dead]) -> Result<(), RedisError> {
        let redis = self.stores.redis.clone();
        let is_dead = |entry| dead.iter().any(|dead| dead.entry == entry);
        let answers = batch.answers.iter().filter(|said| !is_dead(said.entry));
        let seen: Vec<(ProductId, String)> = answers.map(|said| (said.what.product, said.what.key.clone())).collect();
        redis.expire_seen(self.partition, &seen, SEEN_TTL_S).await?;
        let newest = batch.answers.iter().filter_map(|said| said.what.request).max();
        if newest > self.newest_request {
            let known = redis.newest_request(self.partition).await?;
            if newest > known {
                redis.set_newest_request(self.partition, newest.unwrap_or(0)).await?;
            }
            self.newest_request = known.max(newest);
        }
        let ids = batch.ids.iter().map(EntryId::to_string).collect();
        redis.delete_log(self.partition, ids).await
    }

    /// Logs the state of products with refused rows again, once for each content: what is refused again is left.
    async fn log_again(&mut self, db: &mut MySqlConnection, dead: &[Dead]) -> Result<(), StoreError> {
        for Dead { name, kind, sqlstate, entry, .. } in dead {
            tracing::warn!(row = name, kind, sqlstate, %entry, "MySQL refused a row; set aside in log_dead");
        }
        for product in self.refusals.news(dead) {
            let recorded = answered(lane_stamps(&mut *db, &[product])).await?.into_keys().map(|(_, channel)| channel);
            let channels: Vec<_> = all_channels(&self.stores.settings.channels, recorded).into_iter().collect();
            if self.stores.redis.relog(self.partition, product, &channels).await? == Relogged::Absent {
                tracing::debug!(%product, "nothing to log again: Redis does not hold it");
            }
        }
        // Not before: if Redis fails in between, the batch is applied once more and finds the same rows refused.
        self.refusals.remember(dead);
        Ok(())
    }
}
