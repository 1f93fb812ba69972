//! The outbox: requests to restock, written by us or by other programs in their own transactions.

use std::str::FromStr;

use serde::Serialize;
use sqlx::{FromRow, MySqlConnection, MySqlExecutor, Row, mysql::MySqlRow};

use super::decode_error;
use crate::{
    ids::{IdempotencyKey, ParseError, Partition, ProductId, Round},
    trace::{self, Traceparent},
};

/// A statement that reads requests, with all that a [`Request`] has.
macro_rules! requests {
    ($condition:literal) => {
        concat!(
            "SELECT id, product_id, quantity, idempotency_key, state, restock_round, reason, traceparent ",
            "FROM restock_request ",
            $condition
        )
    };
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestState {
    /// Not yet answered by Redis, or the answer is not yet flushed.
    Pending,
    /// It has its round.
    Accepted,
    /// It can never have one; the reason is in the row.
    Refused,
}

impl FromStr for RequestState {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "PENDING" => Ok(Self::Pending),
            "ACCEPTED" => Ok(Self::Accepted),
            "REFUSED" => Ok(Self::Refused),
            _ => Err(ParseError::new("state", text, "PENDING, ACCEPTED or REFUSED")),
        }
    }
}

/// A row of the outbox. Other programs write rows too: nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number; `#<id>` is the key of a row without a key.
    pub id: i64,
    /// What was restocked; there may be no such product.
    pub product: ProductId,
    /// By how many pieces; another program may have written a negative number.
    pub quantity: i64,
    /// What makes a repetition count once, as given.
    pub key: Option<String>,
    /// Where it stands.
    pub state: RequestState,
    /// The round it got.
    pub round: Option<Round>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Who follows it.
    pub traceparent: Option<Traceparent>,
}

impl Request {
    /// What makes a repetition of it count once: its key, or `#<id>` without one, which no key may begin with.
    #[must_use]
    pub fn key_or_number(&self) -> String {
        self.key.clone().unwrap_or_else(|| format!("#{}", self.id))
    }
}

impl<'r> FromRow<'r, MySqlRow> for Request {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let state: String = row.try_get("state")?;
        Ok(Self {
            id: row.try_get("id")?,
            product: ProductId(row.try_get("product_id")?),
            quantity: i64::from(row.try_get::<i32, _>("quantity")?),
            key: row.try_get("idempotency_key")?,
            state: state.parse().map_err(decode_error)?,
            round: row.try_get::<Option<u32>, _>("restock_round")?.map(Round),
            reason: row.try_get("reason")?,
            // What other programs wrote there may be anything, and is no reason to refuse a restock.
            traceparent: row.try_get::<Option<String>, _>("traceparent")?.and_then(|text| Traceparent::parse(&text)),
        })
    }
}

/// Puts a request into the outbox, with the trace of the work under way: whoever makes it a round, this process or the flusher,
/// goes on with that. The same product and key give the row that is there, whatever its quantity: the caller compares.
///
/// # Errors
/// Those of MySQL; a quantity beyond `INT` is refused by it.
pub async fn insert_or_find(
    db: &mut MySqlConnection,
    product: ProductId,
    quantity: i64,
    key: Option<&IdempotencyKey>,
) -> sqlx::Result<Request> {
    let key = key.map(IdempotencyKey::as_str);
    let traceparent = trace::current();
    let inserted = sqlx::query(
        "INSERT INTO restock_request (product_id, quantity, idempotency_key, traceparent) VALUES (?, ?, ?, ?)",
    )
    .bind(product.0)
    .bind(quantity)
    .bind(key)
    .bind(traceparent.as_ref().map(Traceparent::as_str))
    .execute(&mut *db)
    .await;
    match inserted {
        Ok(done) => Ok(Request {
            id: done.last_insert_id().cast_signed(),
            product,
            quantity,
            key: key.map(str::to_owned),
            state: RequestState::Pending,
            round: None,
            reason: None,
            traceparent,
        }),
        Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
            find_by(db, product, key).await?.ok_or(sqlx::Error::RowNotFound)
        }
        Err(error) => Err(error),
    }
}

/// The first `limit` pending requests of a partition after the request `after_id`, in order.
///
/// # Errors
/// Those of MySQL.
pub async fn pending(
    db: impl MySqlExecutor<'_>,
    partition: Partition,
    partitions: u16,
    after_id: i64,
    limit: u32,
) -> sqlx::Result<Vec<Request>> {
    // Twice MOD, because MySQL's is negative for a negative number, and such a row is to be refused by somebody.
    sqlx::query_as(requests!(
        "WHERE state = 'PENDING' AND id > ? AND MOD(MOD(product_id, ?) + ?, ?) = ? ORDER BY id LIMIT ?"
    ))
    .bind(after_id)
    .bind(i64::from(partitions))
    .bind(i64::from(partitions))
    .bind(i64::from(partitions))
    .bind(i64::from(partition.0))
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The request up to which a partition's are held: MySQL was set back, and somebody decides; 0 without any.
///
/// # Errors
/// Those of MySQL.
pub async fn held_upto(db: impl MySqlExecutor<'_>, partition: Partition) -> sqlx::Result<i64> {
    let held: Option<i64> = sqlx::query_scalar("SELECT held_upto_request FROM flush_position WHERE partition_id = ?")
        .bind(partition.0)
        .fetch_optional(db)
        .await?;
    Ok(held.unwrap_or(0))
}

/// The request of that number.
///
/// # Errors
/// Those of MySQL.
pub async fn find(db: impl MySqlExecutor<'_>, id: i64) -> sqlx::Result<Option<Request>> {
    sqlx::query_as(requests!("WHERE id = ?")).bind(id).fetch_optional(db).await
}

/// The request of that product and key.
///
/// # Errors
/// Those of MySQL.
pub async fn find_key(
    db: impl MySqlExecutor<'_>,
    product: ProductId,
    key: &IdempotencyKey,
) -> sqlx::Result<Option<Request>> {
    find_by(db, product, Some(key.as_str())).await
}

async fn find_by(db: impl MySqlExecutor<'_>, product: ProductId, key: Option<&str>) -> sqlx::Result<Option<Request>> {
    sqlx::query_as(requests!("WHERE product_id = ? AND idempotency_key = ?"))
        .bind(product.0)
        .bind(key)
        .fetch_optional(db)
        .await
}

/// The requests that have no round yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outbox {
    /// How many.
    pub pending: i64,
    /// The age of the oldest, ms; 0 without any.
    pub oldest_ms: i64,
}

/// Counts them.
///
/// # Errors
/// Those of MySQL.
pub async fn outbox(db: impl MySqlExecutor<'_>) -> sqlx::Result<Outbox> {
    let (pending, oldest_us): (i64, Option<i64>) = sqlx::query_as(
        "SELECT COUNT(*), TIMESTAMPDIFF(MICROSECOND, MIN(created_at), UTC_TIMESTAMP(6))
         FROM restock_request WHERE state = 'PENDING'",
    )
    .fetch_one(db)
    .await?;
    Ok(Outbox { pending, oldest_ms: oldest_us.unwrap_or(0).max(0) / 1000 })
}
