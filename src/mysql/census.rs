//! Counting what the record holds: it is asked every few seconds for as long as the deployment lives, so each count is one walk
//! along an index and ends at a bound, however much has gathered in the tables.

use serde::{Deserialize, Serialize};
use sqlx::MySqlConnection;

use crate::round::Status;

/// Rows beyond which nobody counts on: whether it is ten thousand or more changes nothing. The help of the metrics says so.
pub const COUNT_MAX: i64 = 10_000;

/// The statuses that are counted: those of open rounds, and the one that somebody must see to.
pub const COUNTED: [Status; 3] = [Status::Queued, Status::InProgress, Status::CanceledByError];

/// What needs somebody or something to happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Rounds by [`COUNTED`], each up to [`COUNT_MAX`]; of those that ended by an error only the last one of its lane, among
    /// the [`COUNT_MAX`] that ended so last.
    pub rounds: [i64; COUNTED.len()],
    /// Rows refused and not dealt with, up to [`COUNT_MAX`].
    pub dead_rows: i64,
    /// Requests without a round, up to [`COUNT_MAX`].
    pub requests: i64,
    /// The age of the oldest of these, ms; 0 without any.
    pub oldest_request_ms: i64,
}

/// By an index that begins with `status`.
const OPEN: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM product_notification_history WHERE status = ? LIMIT ?) counted";
/// By the same; then, once for each lane, one step back from the end of its product's rounds. (MySQL 9 walks all of
/// them instead: for each round that ended it would walk ten million rows.)
const ENDED: &str = "SELECT COUNT(*) FROM (
        SELECT product_id, channel, MAX(restock_round) AS last_round FROM (
            SELECT product_id, restock_round, channel FROM product_notification_history
            WHERE status = ? ORDER BY ended_at DESC LIMIT ?) ended
        GROUP BY product_id, channel) lanes
    WHERE lanes.last_round = (
        SELECT newest.restock_round FROM product_notification_history newest
        WHERE newest.product_id = lanes.product_id AND newest.channel = lanes.channel
        ORDER BY newest.restock_round DESC LIMIT 1)";
/// By the index `mended`.
const DEAD: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM log_dead WHERE mended_at IS NULL LIMIT ?) counted";
/// By the index `state`, in the order of the numbers: the oldest are the first.
const REQUESTS: &str = "SELECT COUNT(*), TIMESTAMPDIFF(MICROSECOND, MIN(created_at), UTC_TIMESTAMP(6)) FROM (
        SELECT created_at FROM restock_request WHERE state = 'PENDING' ORDER BY id LIMIT ?) counted";

/// Counts.
///
/// # Errors
/// Those of MySQL.
pub async fn take(db: &mut MySqlConnection) -> sqlx::Result<Census> {
    let mut census = Census::default();
    for (status, rounds) in COUNTED.into_iter().zip(&mut census.rounds) {
        let sql = if status.is_open() { OPEN } else { ENDED };
        *rounds = sqlx::query_scalar(sql).bind(status.as_str()).bind(COUNT_MAX).fetch_one(&mut *db).await?;
    }
    census.dead_rows = sqlx::query_scalar(DEAD).bind(COUNT_MAX).fetch_one(&mut *db).await?;
    let (requests, oldest_us): (i64, Option<i64>) =
        sqlx::query_as(REQUESTS).bind(COUNT_MAX).fetch_one(&mut *db).await?;
    (census.requests, census.oldest_request_ms) = (requests, oldest_us.unwrap_or(0).max(0) / 1000);
    Ok(census)
}
