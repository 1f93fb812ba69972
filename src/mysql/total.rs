//! How many people a round is about: counted once it has begun, beside the work.

use sqlx::MySqlPool;

use super::line;
use crate::ids::{LaneId, Place, Round};

/// Counts the active people in (`from`, `upto`] as the total of a round that has none; false when it has one, or is not
/// there. Counted late, somebody who was told may have left the line since: there are at least as many as are settled.
///
/// # Errors
/// Those of MySQL.
pub async fn count(
    db: &MySqlPool,
    lane: &LaneId,
    round: Round,
    (from, upto): (Option<Place>, Option<Place>),
) -> sqlx::Result<bool> {
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
        return Ok(false);
    }
    let total = match upto {
        None => 0,
        Some(upto) => line::count_active(db, lane.product, from, upto).await?,
    };
    let done = sqlx::query(
        "UPDATE product_notification_history
         SET total = GREATEST(?, sent_count + skipped_count + failed_count + unknown_count)
         WHERE product_id = ? AND restock_round = ? AND channel = ? AND total IS NULL",
    )
    .bind(total)
    .bind(lane.product.0)
    .bind(round.0)
    .bind(lane.channel.as_str())
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}
