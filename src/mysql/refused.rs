//! Reading `log_dead`: what MySQL refused to write, and has nothing newer of.

use sqlx::{FromRow, MySqlExecutor, Row, mysql::MySqlRow};

use super::decode_error;
use crate::ids::{Channel, ProductId};

/// How many rows of a lane MySQL refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Of which product; `None` when that could not be read either.
    pub product: Option<ProductId>,
    /// On which channel; `None` when it concerns all lanes of the product.
    pub channel: Option<Channel>,
    /// How many.
    pub rows: u64,
}

impl<'r> FromRow<'r, MySqlRow> for Refused {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let channel: Option<String> = row.try_get("channel")?;
        Ok(Self {
            product: row.try_get::<Option<i64>, _>("product_id")?.map(ProductId),
            channel: channel.map(|channel| channel.parse()).transpose().map_err(decode_error)?,
            rows: row.try_get::<i64, _>("refused")?.unsigned_abs(),
        })
    }
}

/// What is marked as refused, of one product or of all: per lane, and per product where it concerns all its lanes.
///
/// # Errors
/// Those of MySQL.
pub async fn refused(db: impl MySqlExecutor<'_>, product: Option<ProductId>) -> sqlx::Result<Vec<Refused>> {
    sqlx::query_as(
        "SELECT product_id, channel, COUNT(*) AS refused FROM log_dead
         WHERE mended_at IS NULL AND (? IS NULL OR product_id = ?) GROUP BY product_id, channel
         ORDER BY product_id, channel",
    )
    .bind(product.map(|id| id.0))
    .bind(product.map(|id| id.0))
    .fetch_all(db)
    .await
}
