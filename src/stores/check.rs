//! Checking a product in Redis against MySQL, and installing there what is absent or behind.
//!
//! Invariant: an epoch is committed in MySQL before Redis sees it, and is installed by one caller only, while that
//! caller holds the lock of the product's row. So two installations never carry the same epoch, whoever dies between.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{Connection, FromRow, MySqlConnection};

use super::{LaneStamps, StoreError, Stores, lane_stamps};
use crate::{
    ids::{Channel, ProductId, Round},
    mysql::{answered, history, session},
    redis::scripts::{Hydrate, Hydrated, LaneRecord, channel_list},
    round::{RoundState, Stamp, Status},
};

/// How often a check starts over because another one came between.
const TRIES_MAX: u32 = 20;
/// How long a check waits for somebody else's lock on the product.
const LOCK_WAIT: Duration = Duration::from_secs(3);
/// The longest pause before the first of them, in ms; it grows with each.
const PAUSE_MS: u64 = 10;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Redis holds the product and may be asked again; so many of its lanes had to be installed.
    Done(u64),
    /// MySQL has no such product.
    NoSuchProduct,
}

/// How one attempt ended.
enum Attempt {
    Done(u64),
    /// Redis is at this epoch: a later one must be above it.
    Behind(u64),
    /// Another check has reserved an epoch after this one.
    Overtaken(u64),
    NoSuchProduct,
}

#[derive(FromRow)]
struct Record {
    stock: i64,
    restock_round: u32,
    epoch: u64,
    version: u64,
    reserved_epoch: u64,
    is_paused: bool,
}

impl Stores {
    /// Makes Redis hold this product, absent or aged, with at least what MySQL knows of it; newer state is kept.
    ///
    /// # Errors
    /// When a store fails; it may be called again. [`StoreError::Contended`] when too many call it at once.
    pub async fn check(&self, product: ProductId) -> Result<Checked, StoreError> {
        let mut above = 0;
        for attempt in 1..=TRIES_MAX {
            let overtaken = match answered(self.attempt(product, above)).await? {
                Attempt::Done(installed) => {
                    tracing::debug!(%product, installed, "checked against MySQL");
                    return Ok(Checked::Done(installed));
                }
                Attempt::NoSuchProduct => return Ok(Checked::NoSuchProduct),
                Attempt::Behind(epoch) => {
                    above = epoch;
                    None
                }
                Attempt::Overtaken(epoch) => Some(epoch),
            };
            let pause_ms = rand::random_range(0..=PAUSE_MS * u64::from(attempt));
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            // A check that began after this one has read all that this one would: many at once need only one.
            if let Some(epoch) = overtaken
                && self.redis.product_epoch(self.partition_of(product), product).await? > Some(epoch)
            {
                return Ok(Checked::Done(0));
            }
        }
        Err(StoreError::Contended(product))
    }

    async fn attempt(&self, product: ProductId, above: u64) -> Result<Attempt, StoreError> {
        let mut connection = self.mysql.acquire().await?;
        session::hold_locks(&mut connection, LOCK_WAIT).await?;
        let done = self.attempt_by(&mut connection, product, above).await?;
        // After an error it may be silent no longer: the pool makes another one.
        session::let_go(&mut connection).await?;
        Ok(done)
    }

    async fn attempt_by(
        &self,
        connection: &mut MySqlConnection,
        product: ProductId,
        above: u64,
    ) -> Result<Attempt, StoreError> {
        let Some(epoch) = reserve_epoch(&mut *connection, product, above).await? else {
            return Ok(Attempt::NoSuchProduct);
        };
        let mut tx = connection.begin().await?;
        let record: Option<Record> = sqlx::query_as(
            "SELECT stock, restock_round, epoch, version, reserved_epoch, is_paused FROM product WHERE id = ? FOR UPDATE",
        )
        .bind(product.0)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(record) = record else { return Ok(Attempt::NoSuchProduct) };
        if record.reserved_epoch != epoch {
            return Ok(Attempt::Overtaken(epoch));
        }
        let (lanes, last_round) = self.read_lanes_of(&mut tx, product).await?;
        let hydrate = Hydrate {
            partition: self.partition_of(product),
            product,
            stock: record.stock,
            // A product row that MySQL refused must not make it forget a round that was given out.
            round: record.restock_round.max(last_round),
            paused: record.is_paused,
            stamp: Stamp { epoch: record.epoch, version: record.version },
            epoch,
            lanes,
        };
        // Who knows the product there can find it there, with MySQL away.
        let channels = channel_list(&self.settings.channels);
        self.redis.mirror_first(hydrate.partition, self.settings.partitions, &channels).await?;
        let hydrated = self.redis.hydrate(&hydrate).await?;
        tx.commit().await?;
        Ok(match hydrated {
            Hydrated::Done(installed) => Attempt::Done(installed),
            Hydrated::Newer(epoch) => Attempt::Behind(epoch),
        })
    }

    /// The lanes of all enabled channels and of all channels with a row, and the greatest round of any.
    async fn read_lanes_of(
        &self,
        tx: &mut MySqlConnection,
        product: ProductId,
    ) -> Result<(Vec<LaneRecord>, u32), StoreError> {
        let mut stamps: BTreeMap<Channel, LaneStamps> =
            lane_stamps(&mut *tx, &[product]).await?.into_iter().map(|((_, channel), lane)| (channel, lane)).collect();
        for channel in &self.settings.channels {
            stamps.entry(channel.clone()).or_default();
        }
        let rounds = history::lanes_of(&mut *tx, product).await?;
        // Waits come after the current round of their lane, so that the first of each is enough.
        let mut current: BTreeMap<&Channel, Round> = BTreeMap::new();
        for round in &rounds {
            current.entry(&round.lane.channel).or_insert(round.round);
        }
        let current: Vec<_> = current.into_iter().filter(|(_, round)| round.0 > 1).collect();
        let ended = history::end_stale(&mut *tx, product, &current).await?;
        if ended > 0 {
            tracing::warn!(%product, rounds = ended, "MySQL had older rounds as open");
        }
        let last_round = stamps.values().map(|lane| lane.last_round).max().unwrap_or(0);
        let lanes = stamps.into_iter().map(|(channel, lane)| record(channel, lane.newest, &rounds)).collect();
        Ok((lanes, last_round))
    }
}

/// Commits an epoch that nobody else gets; `None` when there is no such product.
async fn reserve_epoch(db: &mut MySqlConnection, product: ProductId, above: u64) -> sqlx::Result<Option<u64>> {
    let reserved = sqlx::query(
        "UPDATE product SET reserved_epoch = LAST_INSERT_ID(GREATEST(reserved_epoch, epoch, ?) + 1) WHERE id = ?",
    )
    .bind(above)
    .bind(product.0)
    .execute(db)
    .await?;
    Ok((reserved.rows_affected() == 1).then(|| reserved.last_insert_id()))
}

/// Of the rows of [`history::lanes_of`] the first of a channel is its current or last round, the second waits.
fn record(channel: Channel, stamp: Stamp, rounds: &[RoundState]) -> LaneRecord {
    let mut own = rounds.iter().filter(|round| round.lane.channel == channel);
    let current = own.next().cloned();
    let waiting = own.find(|round| round.status == Status::Queued).map(waits);
    LaneRecord { channel, current, waiting, stamp }
}

fn waits(round: &RoundState) -> (Round, i64) {
    (round.round, round.queued_us.unwrap_or(0))
}
