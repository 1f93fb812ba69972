//! Following the log of one partition.

use std::{
    collections::HashMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::MySqlConnection;
use tokio::sync::Notify;

use super::{
    apply::{Applied, Dead, Move, apply},
    batch::{BATCH_ENTRIES, Batch, cut},
    position::{Match, Position, hold_requests, judge},
    reconcile,
    totals::{Begun, Totals},
};
use crate::{
    ids::{Partition, ProductId},
    redis::{
        RedisError,
        entry_id::EntryId,
        log::LogEntry,
        scripts::{Relogged, random_hex},
    },
    stores::{StoreError, Stores, lane_stamps},
};

/// How often the log is examined even when nothing looks wrong.
const EXAMINE_EVERY: Duration = Duration::from_secs(1);
/// No batch takes this long: the connection is dead, and did not say so.
const APPLY_MAX: Duration = Duration::from_secs(30);
/// How long an idempotency key is remembered after MySQL has what it led to.
const SEEN_TTL_S: i64 = 24 * 60 * 60;
/// The most refused rows remembered so that they are not logged again and again.
const REFUSED_MAX: usize = 10_000;

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
    stores: Stores,
    partition: Partition,
    position: Position,
    /// What is read next; behind the position after anything that may have left entries there. To apply them again
    /// does no harm, and to delete them again is all that is left to do.
    after: EntryId,
    run_id: String,
    examined: Option<Instant>,
    refused: HashMap<String, u64>,
    totals: Totals,
    /// Told when lanes in Redis may be missing or behind.
    alarm: Arc<Notify>,
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
        Ok(Self {
            stores,
            partition,
            position,
            after: EntryId::ZERO,
            run_id: String::new(),
            examined: None,
            refused: HashMap::new(),
            totals,
            alarm,
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
        self.after = EntryId::ZERO;
        self.examined = None;
    }

    async fn try_step(&mut self, db: &mut MySqlConnection) -> Result<Flushed, StoreError> {
        if self.examined.is_none_or(|at| at.elapsed() >= EXAMINE_EVERY) && !self.examine(db).await? {
            return Ok(Flushed::Deposed);
        }
        let (incarnation, entries) = self.read().await?;
        if incarnation.as_deref() != Some(&self.position.incarnation) {
            self.doubt();
            return Ok(Flushed::Applied { entries: 0, more: true });
        }
        let Some(last) = entries.last().map(|(id, _)| *id) else { return Ok(Flushed::Idle) };
        let more = entries.len() >= BATCH_ENTRIES;
        let taken = if more { cut(&entries) } else { entries.len() };
        let batch = Batch::fold(&entries[..taken]);
        let last = batch.last().unwrap_or(last);
        let to = Position { last: last.max(self.position.last), ..self.position.clone() };
        let step = Move { partition: self.partition, batch: &batch, from: &self.position, to: &to };
        let applied = tokio::time::timeout(APPLY_MAX, apply(db, &step)).await;
        let applied = applied.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
        let Applied::Committed(dead) = applied else { return Ok(Flushed::Deposed) };
        self.position = to;
        self.after = last;
        self.totals.expect(batch.rounds.iter().filter_map(|said| Begun::of(&said.what)));
        for row in dead {
            self.log_again(db, row).await?;
        }
        self.clean_up(&batch).await?;
        Ok(Flushed::Applied { entries: taken, more })
    }

    async fn read(&self) -> Result<(Option<String>, Vec<(EntryId, LogEntry)>), StoreError> {
        let count = BATCH_ENTRIES as u64;
        let (incarnation, raw) = self.stores.redis.read_log(self.partition, &self.after.to_string(), count).await?;
        let entries =
            raw.into_iter().map(|entry| Ok((parse_id(&entry.0)?, entry))).collect::<Result<_, StoreError>>()?;
        Ok((incarnation, entries))
    }

    /// Lets keys expire, then deletes the entries: the other way round a key might stay for ever.
    async fn clean_up(&self, batch: &Batch) -> Result<(), RedisError> {
        let seen: Vec<(ProductId, String)> =
            batch.answers.iter().map(|said| (said.what.product, said.what.key.clone())).collect();
        self.stores.redis.expire_seen(self.partition, &seen, SEEN_TTL_S).await?;
        let ids = batch.ids.iter().map(EntryId::to_string).collect();
        self.stores.redis.delete_log(self.partition, ids).await
    }

    /// Logs a refused product or round again, once per version: what was logged again and is refused again is left.
    async fn log_again(&mut self, db: &mut MySqlConnection, dead: Dead) -> Result<(), StoreError> {
        let Dead { name, kind, sqlstate, .. } = dead;
        tracing::warn!(row = name, kind, sqlstate, entry = %dead.entry, "MySQL refused a row; set aside in log_dead");
        let (Some(product), Some(stamp)) = (dead.product, dead.stamp) else { return Ok(()) };
        if self.refused.get(&name).is_some_and(|before| stamp.version <= before + 1) {
            return Ok(());
        }
        if self.refused.len() >= REFUSED_MAX {
            self.refused.clear();
        }
        self.refused.insert(name, stamp.version);
        let mut channels = self.stores.settings.channels.clone();
        for (_, channel) in lane_stamps(db, &[product]).await?.into_keys() {
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        if self.stores.redis.relog(self.partition, product, &channels).await? == Relogged::Absent {
            tracing::debug!(%product, "nothing to log again: Redis does not hold it");
        }
        Ok(())
    }

    /// Finds out whether this is still the log that the position is about. False: another flusher leads.
    async fn examine(&mut self, db: &mut MySqlConnection) -> Result<bool, StoreError> {
        let (redis, partition) = (self.stores.redis.clone(), self.partition);
        let run_id = redis.run_id_of(partition).await?;
        if run_id != self.run_id {
            self.after = EntryId::ZERO;
            self.alarm.notify_one();
        }
        let head = redis.log_head(partition).await?;
        match judge(&self.position, &head).map_err(|_| RedisError::Unreadable {
            what: "log",
            field: "last-generated-id".to_owned(),
            text: format!("{} {}", head.last_id, head.max_deleted_id),
        })? {
            Match::Sound => {}
            Match::TailLost if head.last_id == EntryId::ZERO.to_string() => self.after = EntryId::ZERO,
            Match::TailLost => {
                tracing::warn!(%partition, last = head.last_id, position = %self.position.last, "Redis lost the end of the log");
                redis.raise_log(partition, &self.position.last.to_string()).await?;
                self.after = EntryId::ZERO;
                self.alarm.notify_one();
            }
            Match::Another => {
                let incarnation = redis.name_log(partition, &random_hex()).await?;
                if !self.position.incarnation.is_empty() {
                    tracing::warn!(%partition, incarnation, "Redis was emptied or replaced: the log starts anew");
                }
                if !self.follow(db, Position { incarnation, last: EntryId::ZERO }).await? {
                    return Ok(false);
                }
            }
            Match::WentBack => {
                let (held, last) = (hold_requests(db, partition).await?, parse_id(&head.max_deleted_id)?);
                tracing::warn!(%partition, position = %self.position.last, deleted = %last, held_upto_request = held,
                    "MySQL was set back: what Redis holds is logged again; people's outcomes since then are lost, and \
                     pending requests are held until `restock-cli verify --repair`");
                reconcile::check_all(&self.stores, partition).await?;
                let incarnation = head.incarnation.unwrap_or_default();
                if !self.follow(db, Position { incarnation, last }).await? {
                    return Ok(false);
                }
            }
        }
        self.run_id = run_id;
        self.examined = Some(Instant::now());
        Ok(true)
    }

    /// Goes on from another position, reading all that is there.
    async fn follow(&mut self, db: &mut MySqlConnection, position: Position) -> sqlx::Result<bool> {
        self.after = EntryId::ZERO;
        self.alarm.notify_one();
        let moved = self.position.move_to(&position, db, self.partition).await?;
        self.position = position;
        Ok(moved)
    }
}

fn parse_id(text: &str) -> Result<EntryId, RedisError> {
    text.parse().map_err(|_| RedisError::Unreadable { what: "log", field: "id".to_owned(), text: text.to_owned() })
}
