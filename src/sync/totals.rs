//! How many people a round is about: counted in MySQL beside the work, once it has begun.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::NaiveDateTime;
use sqlx::MySqlPool;
use tokio::sync::mpsc;

use crate::{
    ids::{LaneId, ParseError, Partition, Place, ProductId, Round},
    mysql::line,
    round::RoundState,
};

/// The most rounds that wait to be counted; more are found in MySQL after them.
const WAITING_MAX: usize = 10_000;
/// Rounds without a total read at once.
const MISSED_ROWS: u32 = 500;
/// The most rounds remembered as counted.
const COUNTED_MAX: usize = 100_000;

/// A round that has begun, so that its people are fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    lane: LaneId,
    round: Round,
    from: Option<Place>,
    upto: Option<Place>,
}

impl Begun {
    /// None before its first worker has begun it.
    pub(super) fn of(state: &RoundState) -> Option<Self> {
        let &RoundState { round, from, upto, .. } = state;
        state.started_us.map(|_| Self { lane: state.lane.clone(), round, from, upto })
    }

    fn read((product, channel, round, from, upto): BegunRow) -> sqlx::Result<Self> {
        let channel = channel.parse().map_err(|error: ParseError| sqlx::Error::Decode(Box::new(error)))?;
        let place = |at: Option<NaiveDateTime>| at.map(Place::from_datetime);
        let lane = LaneId { product: ProductId(product), channel };
        Ok(Self { lane, round: Round(round), from: place(from), upto: place(upto) })
    }
}

/// Product, channel, round, from and upto.
type BegunRow = (i64, String, u32, Option<NaiveDateTime>, Option<NaiveDateTime>);

/// Where the rounds to be counted are handed in.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    sender: mpsc::Sender<Begun>,
    missed: Arc<AtomicBool>,
}

impl Totals {
    pub(super) fn channel(partition: Partition, partitions: u16) -> (Self, Counter) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        // Those that an earlier leader began to count and did not finish are missed from the start.
        let missed = Arc::new(AtomicBool::new(true));
        let counter = Counter { partition, partitions, waiting, missed: Arc::clone(&missed), counted: HashSet::new() };
        (Self { sender, missed }, counter)
    }

    /// Has them counted; when there is no room, after those that wait.
    pub(super) fn expect(&self, rounds: impl Iterator<Item = Begun>) {
        for round in rounds {
            if self.sender.try_send(round).is_err() {
                self.missed.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// Counts the rounds that were handed in, and those that MySQL has without a total.
#[derive(Debug)]
pub(super) struct Counter {
    partition: Partition,
    partitions: u16,
    waiting: mpsc::Receiver<Begun>,
    /// Whether there may be rounds without a total that nobody hands in again.
    missed: Arc<AtomicBool>,
    counted: HashSet<(LaneId, Round)>,
}

impl Counter {
    /// Counts what was missed, or waits for the next round and counts it, unless that was done.
    pub(super) async fn next(&mut self, db: &MySqlPool) -> sqlx::Result<()> {
        let done = if self.missed.swap(false, Ordering::Relaxed) {
            self.count_missed(db).await
        } else {
            self.count_next(db).await
        };
        if done.is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
        done
    }

    async fn count_next(&mut self, db: &MySqlPool) -> sqlx::Result<()> {
        let Some(begun) = self.waiting.recv().await else { return std::future::pending().await };
        let key = (begun.lane.clone(), begun.round);
        if self.counted.contains(&key) {
            return Ok(());
        }
        count(db, &begun).await?;
        if self.counted.len() >= COUNTED_MAX {
            self.counted.clear();
        }
        self.counted.insert(key);
        Ok(())
    }

    /// Counts every round that has begun and has no total, also one that has ended.
    async fn count_missed(&mut self, db: &MySqlPool) -> sqlx::Result<()> {
        loop {
            let missed: Vec<BegunRow> = sqlx::query_as(
                "SELECT product_id, channel, restock_round, from_place, upto_place FROM product_notification_history
                 WHERE total IS NULL AND started_at IS NOT NULL AND MOD(product_id, ?) = ? LIMIT ?",
            )
            .bind(self.partitions)
            .bind(self.partition.0)
            .bind(MISSED_ROWS)
            .fetch_all(db)
            .await?;
            let is_last = missed.len() < MISSED_ROWS as usize;
            for row in missed {
                count(db, &Begun::read(row)?).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

async fn count(db: &MySqlPool, begun: &Begun) -> sqlx::Result<()> {
    let Begun { lane, round, from, upto } = begun;
    let counted: Option<Option<u64>> = sqlx::query_scalar(
        "SELECT total FROM product_notification_history
         WHERE product_id = ? AND restock_round = ? AND channel = ?",
    )
    .bind(lane.product.0)
    .bind(round.0)
    .bind(lane.channel.as_str())
    .fetch_optional(db)
    .await?;
    if counted != Some(None) {
        return Ok(());
    }
    let total = match upto {
        None => 0,
        Some(upto) => line::count_active(db, lane.product, *from, *upto).await?,
    };
    // Counted late, somebody who was told may have left the line since.
    sqlx::query(
        "UPDATE product_notification_history
         SET total = GREATEST(?, sent_count + skipped_count + failed_count + unknown_count)
         WHERE product_id = ? AND restock_round = ? AND channel = ? AND total IS NULL",
    )
    .bind(total)
    .bind(lane.product.0)
    .bind(round.0)
    .bind(lane.channel.as_str())
    .execute(db)
    .await
    .map(drop)
}
