//! One round with all that is shown of it, by one statement.

use sqlx::{FromRow, MySqlExecutor, Row, mysql::MySqlRow};

use super::RoundRow;
use crate::{
    ids::{ProductId, Round},
    mysql::refused::Refused,
};

/// A round in all channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// By channel.
    pub rows: Vec<RoundRow>,
    /// How many rows of each of these lanes, or of its product, MySQL refused.
    pub marks: Vec<Refused>,
    /// The newest round of the product; `None` without rows.
    pub newest: Option<Round>,
}

struct SeenRow {
    row: RoundRow,
    refused: i64,
    newest: Option<u32>,
}

impl<'r> FromRow<'r, MySqlRow> for SeenRow {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        Ok(Self {
            refused: row.try_get("refused")?,
            newest: row.try_get("newest_round")?,
            row: RoundRow::from_row(row)?,
        })
    }
}

/// The newest round of a product up to `upto`, whatever became of it.
///
/// # Errors
/// Those of MySQL.
pub async fn newest_upto(db: impl MySqlExecutor<'_>, product: ProductId, upto: Round) -> sqlx::Result<Seen> {
    let found: Vec<SeenRow> = sqlx::query_as(
        "SELECT h.*, p.sku, p.is_paused, p.restock_round AS newest_round,
           (SELECT COUNT(*) FROM log_dead d WHERE d.product_id = h.product_id AND d.mended_at IS NULL
             AND (d.channel IS NULL OR d.channel = h.channel)) AS refused
         FROM product_notification_history h LEFT JOIN product p ON p.id = h.product_id
         WHERE h.product_id = ? AND h.restock_round =
           (SELECT MAX(restock_round) FROM product_notification_history WHERE product_id = ? AND restock_round <= ?)
         ORDER BY h.channel",
    )
    .bind(product.0)
    .bind(product.0)
    .bind(upto.0)
    .fetch_all(db)
    .await?;
    let mut seen = Seen::default();
    for SeenRow { row, refused, newest } in found {
        let (lane, rows) = (&row.state.lane, refused.unsigned_abs());
        if rows > 0 {
            seen.marks.push(Refused { product: Some(product), channel: Some(lane.channel.clone()), rows });
        }
        seen.newest = newest.map(Round);
        seen.rows.push(row);
    }
    Ok(seen)
}
