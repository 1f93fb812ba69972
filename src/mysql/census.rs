//! Counting what the record holds, by indexes and up to a bound: it is asked every few seconds.

use sqlx::MySqlConnection;

use crate::round::Status;

/// Rows beyond which nobody counts on: whether it is ten thousand or more changes nothing.
const COUNT_MAX: i64 = 10_000;

/// The statuses that are counted: those of open rounds, and the one that somebody must see to.
pub const COUNTED: [Status; 3] = [Status::Queued, Status::InProgress, Status::CanceledByError];

/// What needs somebody or something to happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Rounds by [`COUNTED`]; of those that ended by an error only the last one of its lane.
    pub rounds: [i64; COUNTED.len()],
    /// Rows refused and not dealt with.
    pub dead_rows: i64,
}

/// Counts, each up to ten thousand.
///
/// # Errors
/// Those of MySQL.
pub async fn take(db: &mut MySqlConnection) -> sqlx::Result<Census> {
    let mut census = Census::default();
    for (status, rounds) in COUNTED.into_iter().zip(&mut census.rounds) {
        let sql = if status.is_open() {
            "SELECT COUNT(*) FROM (SELECT 1 FROM product_notification_history WHERE status = ? LIMIT ?) counted"
        } else {
            "SELECT COUNT(*) FROM (
                SELECT 1 FROM product_notification_history ended WHERE status = ? AND NOT EXISTS (
                    SELECT 1 FROM product_notification_history newer WHERE newer.product_id = ended.product_id
                    AND newer.restock_round > ended.restock_round AND newer.channel = ended.channel)
                LIMIT ?) counted"
        };
        *rounds = sqlx::query_scalar(sql).bind(status.as_str()).bind(COUNT_MAX).fetch_one(&mut *db).await?;
    }
    census.dead_rows =
        sqlx::query_scalar("SELECT COUNT(*) FROM (SELECT 1 FROM log_dead WHERE mended_at IS NULL LIMIT ?) counted")
            .bind(COUNT_MAX)
            .fetch_one(&mut *db)
            .await?;
    Ok(census)
}
