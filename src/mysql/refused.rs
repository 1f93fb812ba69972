//! `log_dead`: what MySQL refused to write, and has nothing newer of. The flusher writes it.

use chrono::NaiveDateTime;
use sqlx::{FromRow, MySqlExecutor, Row, mysql::MySqlRow};

use super::decode_error;
use crate::ids::{Channel, Partition, ProductId, Round};

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

/// A refused row of which MySQL has nothing newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its number.
    pub id: i64,
    /// In whose log it was.
    pub partition: Partition,
    /// `product`, `round`, `person`, `request`, or `entry` for what could not be read.
    pub kind: String,
    /// Which row it is, for people.
    pub name: String,
    /// The entry of the log that said it last.
    pub entry: String,
    /// Of which product.
    pub product: Option<ProductId>,
    /// On which channel; `None` when it concerns all lanes of the product.
    pub channel: Option<Channel>,
    /// Of which round; `None` when it concerns all rounds.
    pub round: Option<Round>,
    /// The row in the words of the log, a JSON object; cut when it was too long.
    pub detail: String,
    /// Why: MySQL's code,
    pub sqlstate: String,
    /// and its message.
    pub message: String,
    /// How often it was refused.
    pub times: u32,
    /// When it was the first time, UTC.
    pub at: NaiveDateTime,
}

impl<'r> FromRow<'r, MySqlRow> for RefusedRow {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let channel: Option<String> = row.try_get("channel")?;
        Ok(Self {
            id: row.try_get("id")?,
            partition: Partition(row.try_get("partition_id")?),
            kind: row.try_get("kind")?,
            name: row.try_get("name")?,
            entry: row.try_get("entry")?,
            product: row.try_get::<Option<i64>, _>("product_id")?.map(ProductId),
            channel: channel.map(|channel| channel.parse()).transpose().map_err(decode_error)?,
            round: row.try_get::<Option<u32>, _>("restock_round")?.map(Round),
            detail: row.try_get("detail")?,
            sqlstate: row.try_get("sqlstate")?,
            message: row.try_get("message")?,
            times: row.try_get("times")?,
            at: row.try_get("created_at")?,
        })
    }
}

/// The first `limit` refused rows after the row `after`, of one product or of all, in order.
///
/// # Errors
/// Those of MySQL.
pub async fn rows(
    db: impl MySqlExecutor<'_>,
    product: Option<ProductId>,
    after: i64,
    limit: u32,
) -> sqlx::Result<Vec<RefusedRow>> {
    // One statement for both would not be answered from the index on products.
    let query = match product {
        Some(product) => sqlx::query_as(
            "SELECT * FROM log_dead WHERE product_id = ? AND id > ? AND mended_at IS NULL ORDER BY id LIMIT ?",
        )
        .bind(product.0),
        None => sqlx::query_as("SELECT * FROM log_dead WHERE id > ? AND mended_at IS NULL ORDER BY id LIMIT ?"),
    };
    query.bind(after).bind(limit).fetch_all(db).await
}

/// The refused row of that number, unless it is dealt with.
///
/// # Errors
/// Those of MySQL.
pub async fn row(db: impl MySqlExecutor<'_>, id: i64) -> sqlx::Result<Option<RefusedRow>> {
    sqlx::query_as("SELECT * FROM log_dead WHERE id = ? AND mended_at IS NULL").bind(id).fetch_optional(db).await
}

/// Takes the mark of a refused row away: somebody has dealt with it. With `entry` only if that is the last that said
/// it; `false` when there is no such mark.
///
/// # Errors
/// Those of MySQL.
pub async fn settle(db: impl MySqlExecutor<'_>, id: i64, entry: Option<&str>) -> sqlx::Result<bool> {
    let settled = sqlx::query(
        "UPDATE log_dead SET mended_at = UTC_TIMESTAMP(6)
         WHERE id = ? AND mended_at IS NULL AND (? IS NULL OR entry = ?)",
    )
    .bind(id)
    .bind(entry)
    .bind(entry)
    .execute(db)
    .await?;
    Ok(settled.rows_affected() > 0)
}
