//! Deleting old rounds with their outcomes, in small steps.
//!
//! Invariant: of each lane only a prefix goes, so that what stays has no gaps; and it ends before the last round that
//! was begun, whose cursor says where the next one starts. A round's row goes before its outcomes: what is left of a
//! prune that was interrupted belongs to no round, and the next prune deletes it.

use chrono::NaiveDateTime;
use sqlx::{MySqlPool, QueryBuilder};

use super::{decode_error, history::CANCELED_WHILE_WAITING};
use crate::ids::{Channel, LaneId, ProductId, Round};

/// Rows deleted in one transaction.
const STEP_ROWS: u32 = 5_000;

/// A lane, and the first of its rounds that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// Which lane.
    pub lane: LaneId,
    /// Everything before it goes.
    pub keep: Round,
}

/// The lanes of a product that have rounds, each with the first round to keep: one that is open, ended at `before` or
/// later, or is the last that people belonged to.
///
/// # Errors
/// Those of MySQL.
pub async fn prefixes(db: &MySqlPool, product: ProductId, before: NaiveDateTime) -> sqlx::Result<Vec<Prefix>> {
    let rows: Vec<(String, Option<u32>, Option<u32>)> = sqlx::query_as(
        "SELECT channel,
           MIN(CASE WHEN status IN ('QUEUED', 'IN_PROGRESS') OR ended_at IS NULL OR ended_at >= ?
               THEN restock_round END),
           MAX(CASE WHEN status <> 'SUPERSEDED' AND NOT (reason <=> ?) THEN restock_round END)
         FROM product_notification_history WHERE product_id = ? GROUP BY channel",
    )
    .bind(before)
    .bind(CANCELED_WHILE_WAITING)
    .bind(product.0)
    .fetch_all(db)
    .await?;
    let mut prefixes = Vec::new();
    for (channel, young, last) in rows {
        // A lane that was only ever overtaken keeps everything.
        let Some(last) = last else { continue };
        let channel: Channel = channel.parse().map_err(decode_error)?;
        let keep = Round(young.unwrap_or(last).min(last));
        prefixes.push(Prefix { lane: LaneId { product, channel }, keep });
    }
    Ok(prefixes)
}

/// How many rounds, and how many outcomes, lie in a prefix.
///
/// # Errors
/// Those of MySQL.
pub async fn count(db: &MySqlPool, prefix: &Prefix) -> sqlx::Result<(u64, u64)> {
    let mut counts = [0_i64; 2];
    for (count, table) in counts.iter_mut().zip(TABLES) {
        let mut query = QueryBuilder::new(format!("SELECT COUNT(*) FROM {table} WHERE product_id = "));
        query.push_bind(prefix.lane.product.0).push(" AND restock_round < ").push_bind(prefix.keep.0);
        query.push(" AND channel = ").push_bind(prefix.lane.channel.as_str());
        *count = query.build_query_scalar().fetch_one(db).await?;
    }
    Ok((counts[0].unsigned_abs(), counts[1].unsigned_abs()))
}

/// Rounds first, then people.
const TABLES: [&str; 2] = ["product_notification_history", "product_user_notification_history"];

/// Deletes some rounds of a prefix; how many. To be called until there are none.
///
/// # Errors
/// Those of MySQL.
pub async fn delete_rounds(db: &MySqlPool, prefix: &Prefix) -> sqlx::Result<u64> {
    let deleted = sqlx::query(
        "DELETE FROM product_notification_history
         WHERE product_id = ? AND restock_round < ? AND channel = ? AND status NOT IN ('QUEUED', 'IN_PROGRESS')
         ORDER BY restock_round LIMIT ?",
    )
    .bind(prefix.lane.product.0)
    .bind(prefix.keep.0)
    .bind(prefix.lane.channel.as_str())
    .bind(STEP_ROWS)
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes some outcomes of one round of a prefix; how many. To be called until there are none.
///
/// # Errors
/// Those of MySQL.
pub async fn delete_outcomes(db: &MySqlPool, lane: &LaneId, round: Round) -> sqlx::Result<u64> {
    let deleted = sqlx::query(
        "DELETE FROM product_user_notification_history
         WHERE product_id = ? AND restock_round = ? AND channel = ? ORDER BY place LIMIT ?",
    )
    .bind(lane.product.0)
    .bind(round.0)
    .bind(lane.channel.as_str())
    .bind(STEP_ROWS)
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
