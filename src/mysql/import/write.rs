//! Writing checked subscriptions: 10,000 in a commit, under the locks of their lines.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;
use sqlx::{MySqlConnection, MySqlPool, QueryBuilder};

use super::{
    BATCH_ROWS, CheckedSubscriptions, ImportError,
    place::{LastPlaces, Placed, find_places},
    subscriptions::Wish,
};
use crate::{
    ids::{Place, ProductId, UserId},
    mysql::is_deadlock,
};

/// Rows in one INSERT; a full one is prepared once.
const INSERT_ROWS: usize = 1_000;
/// How often a batch starts again after it lost against another transaction.
const DEADLOCKS_MAX: u32 = 10;

/// What an import of subscriptions did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportedSubscriptions {
    /// Put into line.
    pub added: u64,
    /// Of (product, user) that had a row, active or not, or a line before in the file: left as they are.
    pub kept: u64,
    /// Of `added`: moved by microseconds, because their time was taken.
    pub moved: u64,
    /// Of `added`: behind the cursor of an open round, as last flushed. They wait for the next full round.
    pub behind: u64,
}

/// Puts the good lines of a file into line; `on_rows` hears how many were handled each time.
///
/// A failed import can be run again: what was committed is then passed over.
///
/// # Errors
/// Those of MySQL.
pub async fn import_subscriptions(
    pool: &MySqlPool,
    mut checked: CheckedSubscriptions,
    on_rows: impl Fn(u64),
) -> Result<ImportedSubscriptions, ImportError> {
    let mut done = ImportedSubscriptions::default();
    let mut last = LastPlaces::default();
    loop {
        let batch = checked.spool.batch(BATCH_ROWS).map_err(ImportError::Spool)?;
        if batch.is_empty() {
            return Ok(done);
        }
        let rows = count(batch.len());
        let batch = in_line_order(batch);
        let (placed, behind) = write_with_retries(pool, &batch, &last).await?;
        done.added += count(placed.len());
        done.kept += rows.saturating_sub(count(placed.len()));
        done.moved += count(placed.iter().filter(|row| row.place != row.wish.at).count());
        done.behind += behind;
        last.remember(&placed);
        on_rows(rows);
    }
}

/// Sorted by product and time; equal times, and two lines of one user, keep the order of the file.
fn in_line_order(batch: Vec<Wish>) -> Vec<Wish> {
    let mut seen = HashSet::with_capacity(batch.len());
    let mut batch: Vec<Wish> = batch.into_iter().filter(|wish| seen.insert((wish.product, wish.user))).collect();
    batch.sort_by_key(|wish| (wish.product, wish.at));
    batch
}

async fn write_with_retries(pool: &MySqlPool, batch: &[Wish], last: &LastPlaces) -> sqlx::Result<(Vec<Placed>, u64)> {
    let mut lost = 0;
    loop {
        match write(pool, batch, last).await {
            Err(error) if is_deadlock(&error) && lost < DEADLOCKS_MAX => lost += 1,
            done => return done,
        }
    }
}

/// One transaction: answers who was put where, and how many of them stand behind a cursor.
async fn write(pool: &MySqlPool, batch: &[Wish], last: &LastPlaces) -> sqlx::Result<(Vec<Placed>, u64)> {
    let mut tx = pool.begin().await?;
    lock_lines(&mut tx, batch).await?;
    let known = known_pairs(&mut tx, batch).await?;
    let fresh: Vec<Wish> = batch.iter().filter(|wish| !known.contains(&(wish.product, wish.user))).copied().collect();
    if fresh.is_empty() {
        tx.rollback().await?;
        return Ok((Vec::new(), 0));
    }
    let placed = find_places(&mut tx, &fresh, last).await?;
    for chunk in placed.chunks(INSERT_ROWS) {
        insert(&mut tx, chunk).await?;
    }
    move_newest(&mut tx, &placed).await?;
    let behind = count_behind(&mut tx, &placed).await?;
    tx.commit().await?;
    Ok((placed, behind))
}

/// Locks the lines until the commit, in ascending order of product, as everybody does.
async fn lock_lines(tx: &mut MySqlConnection, batch: &[Wish]) -> sqlx::Result<()> {
    let mut products: Vec<ProductId> = batch.iter().map(|wish| wish.product).collect();
    products.dedup();
    let mut query = QueryBuilder::new("INSERT INTO product_line (product_id) ");
    query.push_values(&products, |mut row, product| {
        row.push_bind(product.0);
    });
    query.push(" ON DUPLICATE KEY UPDATE newest = newest");
    query.build().persistent(false).execute(tx).await.map(drop)
}

/// Which of these have a row already.
async fn known_pairs(tx: &mut MySqlConnection, batch: &[Wish]) -> sqlx::Result<HashSet<(ProductId, UserId)>> {
    let pairs: Vec<(i64, i64)> = batch.iter().map(|wish| (wish.product.0, wish.user.0)).collect();
    let pairs = serde_json::to_string(&pairs).map_err(crate::mysql::decode_error)?;
    // A long list of pairs in an IN is no index lookup on MariaDB; a join from a JSON table is one on both.
    let known: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT t.product_id, t.user_id
         FROM JSON_TABLE(?, '$[*]' COLUMNS (p BIGINT PATH '$[0]', u BIGINT PATH '$[1]')) AS j
         STRAIGHT_JOIN product_user_notification t FORCE INDEX (product_user) ON t.product_id = j.p AND t.user_id = j.u",
    )
    .bind(pairs)
    .fetch_all(tx)
    .await?;
    Ok(known.into_iter().map(|(product, user)| (ProductId(product), UserId(user))).collect())
}

async fn insert(tx: &mut MySqlConnection, rows: &[Placed]) -> sqlx::Result<()> {
    let mut query = QueryBuilder::new("INSERT INTO product_user_notification (product_id, created_at, user_id) ");
    query.push_values(rows, |mut row, placed| {
        row.push_bind(placed.wish.product.0).push_bind(placed.place.datetime()).push_bind(placed.wish.user.0);
    });
    query.build().persistent(rows.len() == INSERT_ROWS).execute(tx).await.map(drop)
}

async fn move_newest(tx: &mut MySqlConnection, placed: &[Placed]) -> sqlx::Result<()> {
    // Sorted by product and place: the last of each product wins.
    let newest: Vec<&Placed> =
        placed.chunk_by(|a, b| a.wish.product == b.wish.product).filter_map(<[_]>::last).collect();
    let mut query = QueryBuilder::new("INSERT INTO product_line (product_id, newest) ");
    query.push_values(newest, |mut row, placed| {
        row.push_bind(placed.wish.product.0).push_bind(placed.place.datetime());
    });
    query.push(" ON DUPLICATE KEY UPDATE newest = GREATEST(COALESCE(newest, VALUES(newest)), VALUES(newest))");
    query.build().persistent(false).execute(tx).await.map(drop)
}

async fn count_behind(tx: &mut MySqlConnection, placed: &[Placed]) -> sqlx::Result<u64> {
    let cursors: Vec<(i64, NaiveDateTime)> = sqlx::query_as(
        "SELECT product_id, MAX(cursor_place) FROM product_notification_history
         WHERE status IN ('QUEUED', 'IN_PROGRESS') AND cursor_place IS NOT NULL GROUP BY product_id",
    )
    .fetch_all(tx)
    .await?;
    let cursors: HashMap<ProductId, Place> =
        cursors.into_iter().map(|(product, at)| (ProductId(product), Place::from_datetime(at))).collect();
    let is_behind = |row: &&Placed| cursors.get(&row.wish.product).is_some_and(|cursor| row.place <= *cursor);
    Ok(count(placed.iter().filter(is_behind).count()))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
