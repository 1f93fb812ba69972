//! How many people a round is about: counted in MySQL beside the work, once it has begun.

use std::collections::HashSet;

use sqlx::MySqlPool;
use tokio::sync::mpsc;

use crate::{
    ids::{LaneId, Place, Round},
    mysql::line,
    round::RoundState,
};

/// The most rounds that wait to be counted. Of more, those still running are handed in again with their next change.
const WAITING_MAX: usize = 10_000;
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
}

/// Where the rounds to be counted are handed in.
#[derive(Debug, Clone)]
pub(super) struct Totals(mpsc::Sender<Begun>);

impl Totals {
    pub(super) fn channel() -> (Self, Counter) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        (Self(sender), Counter { waiting, counted: HashSet::new() })
    }

    /// Has them counted, if there is room.
    pub(super) fn expect(&self, rounds: impl Iterator<Item = Begun>) {
        for round in rounds {
            if self.0.try_send(round).is_err() {
                return;
            }
        }
    }
}

/// Counts the rounds that were handed in.
#[derive(Debug)]
pub(super) struct Counter {
    waiting: mpsc::Receiver<Begun>,
    counted: HashSet<(LaneId, Round)>,
}

impl Counter {
    /// Waits for the next round and counts it, unless that was done.
    pub(super) async fn next(&mut self, db: &MySqlPool) -> sqlx::Result<()> {
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
    sqlx::query(
        "UPDATE product_notification_history SET total = ?
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
