//! How many people a round is about: counted in MySQL beside the work, once it has begun. A round that told everybody
//! before it was counted says so itself ([`RoundState::total`]).

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::NaiveDateTime;
use sqlx::{AssertSqlSafe, MySql, MySqlPool, QueryBuilder};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    clock::wall_us,
    ids::{LaneId, ParseError, Partition, Place, ProductId, Round},
    mysql::many::{self, Span},
    round::{RoundState, Status},
};

/// The most rounds that wait to be counted; more are found in MySQL after them.
const WAITING_MAX: usize = 10_000;
/// Rounds without a total read at once.
const MISSED_ROWS: u32 = 500;
/// Rounds that an earlier leader died before counting had ended seconds ago, or in the outage that it was making up for.
const ENDED_LATELY_US: i64 = 3_600_000_000;
/// Of an end that no round comes before.
const NEVER: i64 = i64::MAX;
/// A round that has begun is counted so much later: a short one has ended by then, and says its total itself.
const COUNT_AFTER: Duration = Duration::from_secs(1);
/// The most rounds counted by one query.
const TOGETHER_MAX: usize = 64;
/// The most rounds remembered as counted.
const COUNTED_MAX: usize = 100_000;

/// A round that has begun, so that its people are fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    lane: LaneId,
    round: Round,
    from: Option<Place>,
    upto: Option<Place>,
    ended_us: Option<i64>,
}

impl Begun {
    /// None before its first worker has begun it, and where the total is known.
    pub(super) fn of(state: &RoundState) -> Option<Self> {
        let &RoundState { round, from, upto, started_us, ended_us, .. } = state;
        let is_open = started_us.is_some() && state.total().is_none();
        is_open.then(|| Self { lane: state.lane.clone(), round, from, upto, ended_us })
    }

    fn key(&self) -> (i64, u32, &str) {
        (self.lane.product.0, self.round.0, self.lane.channel.as_str())
    }

    /// Missed, it is found by an end from here on; also one that has none, and ends before it is looked for.
    fn end_us(&self) -> i64 {
        self.ended_us.unwrap_or_else(|| wall_us() - ENDED_LATELY_US)
    }

    fn read((product, channel, round, from, upto, ended): BegunRow) -> sqlx::Result<Self> {
        let channel = channel.parse().map_err(|error: ParseError| sqlx::Error::Decode(Box::new(error)))?;
        let place = |at: Option<NaiveDateTime>| at.map(Place::from_datetime);
        let lane = LaneId { product: ProductId(product), channel };
        let ended_us = ended.map(|at| at.and_utc().timestamp_micros());
        Ok(Self { lane, round: Round(round), from: place(from), upto: place(upto), ended_us })
    }
}

/// Product, channel, round, from, upto and end.
type BegunRow = (i64, String, u32, Option<NaiveDateTime>, Option<NaiveDateTime>, Option<NaiveDateTime>);

/// Where the rounds to be counted are handed in.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    sender: mpsc::Sender<Begun>,
    missed: Arc<AtomicI64>,
}

impl Totals {
    pub(super) fn channel(partition: Partition, partitions: u16) -> (Self, Counter) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        // Those that an earlier leader began to count and did not finish are missed from the start.
        let missed = Arc::new(AtomicI64::new(wall_us() - ENDED_LATELY_US));
        let counter = Counter { partition, partitions, waiting, missed: Arc::clone(&missed), counted: HashSet::new() };
        (Self { sender, missed }, counter)
    }

    /// Has them counted; when there is no room, after those that wait.
    pub(super) fn expect(&self, rounds: impl Iterator<Item = Begun>) {
        for round in rounds {
            let end_us = round.end_us();
            if self.sender.try_send(round).is_err() {
                self.missed.fetch_min(end_us, Ordering::Relaxed);
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
    /// Rounds without a total that nobody hands in again are open, or ended at this µs or later; [`NEVER`] when there are none.
    missed: Arc<AtomicI64>,
    counted: HashSet<(LaneId, Round)>,
}

impl Counter {
    /// Counts what was missed, or waits for the next round and counts it, unless that was done.
    pub(super) async fn next(&mut self, db: &MySqlPool) -> sqlx::Result<()> {
        let since_us = self.missed.swap(NEVER, Ordering::Relaxed);
        if since_us == NEVER {
            return self.count_next(db).await;
        }
        let done = self.count_missed(db, since_us).await;
        if done.is_err() {
            self.missed.fetch_min(since_us, Ordering::Relaxed);
        }
        done
    }

    async fn count_next(&mut self, db: &MySqlPool) -> sqlx::Result<()> {
        let mut begun = Vec::new();
        if self.waiting.recv_many(&mut begun, WAITING_MAX).await == 0 {
            return std::future::pending().await;
        }
        sleep(COUNT_AFTER).await;
        begun.retain(|begun| !self.counted.contains(&(begun.lane.clone(), begun.round)));
        let done = count_all(db, &mut begun).await;
        if done.is_err() {
            let since_us = begun.iter().map(Begun::end_us).min().unwrap_or(NEVER);
            self.missed.fetch_min(since_us, Ordering::Relaxed);
        }
        done?;
        if self.counted.len() >= COUNTED_MAX {
            self.counted.clear();
        }
        self.counted.extend(begun.into_iter().map(|begun| (begun.lane, begun.round)));
        Ok(())
    }

    /// Counts every round that has begun and has no total, and is open or has ended since.
    async fn count_missed(&mut self, db: &MySqlPool, since_us: i64) -> sqlx::Result<()> {
        for status in Status::ALL {
            self.count_missed_of(db, status, since_us).await?;
        }
        Ok(())
    }

    async fn count_missed_of(&mut self, db: &MySqlPool, status: Status, since_us: i64) -> sqlx::Result<()> {
        // That of an open round is NULL.
        let ended = if status.is_open() { "ended_at <=> ?" } else { "ended_at >= ?" };
        let since = (!status.is_open()).then(|| Place(since_us).datetime());
        let sql = format!(
            "SELECT product_id, channel, restock_round, from_place, upto_place, ended_at FROM product_notification_history
             WHERE status = ? AND {ended} AND total IS NULL AND started_at IS NOT NULL AND MOD(product_id, ?) = ?
             LIMIT ?"
        );
        loop {
            let missed: Vec<BegunRow> = sqlx::query_as(AssertSqlSafe(sql.as_str()))
                .bind(status.as_str())
                .bind(since)
                .bind(self.partitions)
                .bind(self.partition.0)
                .bind(MISSED_ROWS)
                .fetch_all(db)
                .await?;
            let is_last = missed.len() < MISSED_ROWS as usize;
            let mut missed: Vec<Begun> = missed.into_iter().map(Begun::read).collect::<Result<_, _>>()?;
            count_all(db, &mut missed).await?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Counts the people of these rounds, each of which may be named more than once; of those that have no total yet.
async fn count_all(db: &MySqlPool, begun: &mut Vec<Begun>) -> sqlx::Result<()> {
    // In the order of the key, as the flusher writes them, so that the two never wait for each other.
    begun.sort_by(|a, b| a.key().cmp(&b.key()));
    begun.dedup_by(|a, b| a.key() == b.key());
    for together in begun.chunks(TOGETHER_MAX) {
        count(db, together).await?;
    }
    Ok(())
}

/// Counts the people of those of these rounds that have no total yet.
async fn count(db: &MySqlPool, begun: &[Begun]) -> sqlx::Result<()> {
    if begun.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::new(
        "SELECT product_id, restock_round, channel FROM product_notification_history WHERE total IS NULL AND (",
    );
    push_keys(&mut query, begun);
    let open: Vec<(i64, u32, String)> = query.push(")").build_query_as().fetch_all(db).await?;
    let is_open = |begun: &&Begun| {
        let (product, round, channel) = begun.key();
        open.iter().any(|row| (row.0, row.1, row.2.as_str()) == (product, round, channel))
    };
    let open: Vec<Begun> = begun.iter().filter(is_open).cloned().collect();
    if open.is_empty() {
        return Ok(());
    }
    // Without an `upto` nobody was in line.
    let span =
        |begun: &Begun| Span { product: begun.lane.product, after: begun.from, upto: begun.upto.unwrap_or(Place(0)) };
    let totals = many::counts_active(db, &open.iter().map(span).collect::<Vec<_>>()).await?;

    // Counted late, somebody who was told may have left the line since.
    let mut query = QueryBuilder::new("UPDATE product_notification_history SET total = GREATEST(CASE");
    for (begun, total) in open.iter().zip(totals) {
        query.push(" WHEN ");
        push_keys(&mut query, std::slice::from_ref(begun));
        query.push(" THEN ").push_bind(total);
    }
    query.push(" END, sent_count + skipped_count + failed_count + unknown_count) WHERE total IS NULL AND (");
    push_keys(&mut query, &open);
    query.push(")").build().execute(db).await.map(drop)
}

/// Names rounds in a way that both servers answer from the key.
fn push_keys(query: &mut QueryBuilder<MySql>, begun: &[Begun]) {
    for (at, begun) in begun.iter().enumerate() {
        let (product, round, channel) = begun.key();
        query.push(if at == 0 { "(product_id = " } else { " OR (product_id = " }).push_bind(product);
        query.push(" AND restock_round = ").push_bind(round);
        query.push(" AND channel = ").push_bind(channel.to_owned()).push(")");
    }
}
