//! Following the log of one partition.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::MySqlConnection;
use tokio::sync::{Notify, oneshot};

use super::{
    apply::{Applied, Move, apply},
    batch::Batch,
    beside::{self, Second},
    dead::Refusals,
    lead::kept_alive,
    position::Position,
    read::{Portion, Reader},
    totals::Totals,
};
use crate::{
    ids::Partition,
    meter::FlushMeters,
    mysql::answered_within,
    redis::entry_id::EntryId,
    stores::{StoreError, Stores},
};

/// How often the log is examined even when nothing looks wrong.
const EXAMINE_EVERY: Duration = Duration::from_secs(1);
/// No batch takes this long: the connection is dead, and did not say so.
const APPLY_MAX: Duration = Duration::from_secs(30);
/// A step that took longer leaves its second batch to the next one: between two the loop gives a sign of life.
const STEP_MAX: Duration = Duration::from_secs(5);

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
    pub(super) refusals: Refusals,
    beside: Second,
    /// The greatest request that Redis is known to remember as answered.
    pub(super) newest_request: Option<i64>,
    pub(super) totals: Totals,
    /// Told when lanes in Redis may be missing or behind.
    pub(super) alarm: Arc<Notify>,
    pub(super) meters: FlushMeters,
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
            beside: Second::default(),
            newest_request: None,
            totals,
            alarm,
            meters: FlushMeters::new(partition),
        })
    }

    /// Applies the next batch, or the next two.
    ///
    /// # Errors
    /// Those of Redis: call again. Those of MySQL: the connection, and with it the leadership, is not to be trusted.
    pub(super) async fn advance(&mut self, db: &mut MySqlConnection) -> Result<Flushed, StoreError> {
        let done = self.try_advance(db).await;
        if done.is_err() {
            self.doubt();
        }
        done
    }

    /// Reads all that is left from the start and examines the log first.
    pub(super) fn doubt(&mut self) {
        self.reader.forget();
        self.after = EntryId::ZERO;
        self.examined = None;
    }

    async fn try_advance(&mut self, db: &mut MySqlConnection) -> Result<Flushed, StoreError> {
        if self.examined.is_none_or(|at| at.elapsed() >= EXAMINE_EVERY) && !self.examine(db).await? {
            return Ok(Flushed::Deposed);
        }
        let portions = self.reader.next(self.after).await?;
        let is_this_log = |portion: &Portion| portion.incarnation.as_deref() == Some(&self.position.incarnation);
        if !portions.iter().all(is_this_log) {
            self.doubt();
            return Ok(Flushed::Applied { entries: 0, more: true });
        }
        let batches: Vec<&Batch> =
            portions.iter().map(|portion| &portion.batch).filter(|it| !it.ids.is_empty()).collect();
        if batches.len() < 2 {
            self.beside.close();
        }
        let Some(last) = batches.last().and_then(|batch| batch.last()) else {
            self.meters.went_well();
            return Ok(Flushed::Idle);
        };
        let more = portions.last().is_some_and(|portion| portion.more);
        if more {
            self.reader.read_ahead(last);
        }
        let (begun, mut done) = (Instant::now(), 0);
        if let [first, second] = batches[..]
            && beside::suits(first, second)
        {
            let ended;
            (done, ended) = self.apply_both(db, first, second).await?;
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
        for (at, batch) in batches.iter().enumerate().skip(done) {
            if at > 0 && begun.elapsed() > STEP_MAX {
                return Ok(Flushed::Applied { entries: batches[..at].iter().map(|it| it.ids.len()).sum(), more: true });
            }
            let (begun, to) = (Instant::now(), self.position.behind(batch));
            let applied = answered_within(APPLY_MAX, apply(db, &self.step(batch, &self.position, &to))).await?;
            if let Some(ended) = self.applied(db, batch, to, applied, begun.elapsed()).await? {
                return Ok(ended);
            }
        }
        self.meters.went_well();
        Ok(Flushed::Applied { entries: batches.iter().map(|batch| batch.ids.len()).sum(), more })
    }

    /// Applies two batches, beside each other as far as that goes; how many of them are done, and how the step ends if it
    /// cannot go on.
    async fn apply_both(
        &mut self,
        db: &mut MySqlConnection,
        first: &Batch,
        second: &Batch,
    ) -> Result<(usize, Option<Flushed>), StoreError> {
        let (begun, mut beside) = (Instant::now(), std::mem::take(&mut self.beside));
        let to = self.position.behind(first);
        let then = to.behind(second);
        let (go_on, may_go_on) = oneshot::channel();
        let (applied, took, followed) = {
            let (one, two) = (self.step(first, &self.position, &to), self.step(second, &to, &then));
            let behind = beside.apply(&self.stores.mysql, &two, may_go_on);
            tokio::pin!(behind);
            let mut gave_up = None;
            let applied = {
                let ahead = answered_within(APPLY_MAX, apply(db, &one));
                tokio::pin!(ahead);
                loop {
                    tokio::select! {
                        biased;
                        applied = &mut ahead => break applied?,
                        done = &mut behind, if gave_up.is_none() => gave_up = Some(done),
                    }
                }
            };
            let took = begun.elapsed();
            // What was refused of it is logged again first: the second may mend it.
            if matches!(&applied, Applied::Committed { dead, .. } if dead.is_empty()) {
                // Nobody waits for it where the second has given up.
                let _ = go_on.send(());
            } else {
                drop(go_on);
            }
            let followed = match gave_up {
                Some(done) => done,
                None => kept_alive(db, answered_within(APPLY_MAX, behind)).await?,
            };
            (applied, took, followed)
        };
        self.beside = beside;
        let second_took = begun.elapsed().saturating_sub(took);
        if let Some(ended) = self.applied(db, first, to, applied, took).await? {
            return Ok((1, Some(ended)));
        }
        match followed? {
            Some(applied) => Ok((2, self.applied(db, second, then, applied, second_took).await?)),
            None => Ok((1, None)),
        }
    }

    fn step<'a>(&'a self, batch: &'a Batch, from: &'a Position, to: &'a Position) -> Move<'a> {
        let (redis, partition, refusals) = (&self.stores.redis, self.partition, &self.refusals);
        Move { redis, partition, batch, from, to, refusals }
    }
}
