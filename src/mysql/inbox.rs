//! The messages of the channel `inbox`: written by workers, read by whoever they are for.
//!
//! Invariant: the row of `inbox_sequence` is locked before numbers are taken and until the commit, and a number is
//! `max(now in µs, the newest + 1)`. So messages become visible in the order of their numbers: who has seen one can read
//! every smaller one that ever was or will be, and goes on behind it without missing any. With AUTO_INCREMENT they could not:
//! a number is given out when a row is inserted, and a smaller one may be committed after a greater one was read.
//! Since a number is a time as well, a database that was set back gives none out that somebody has seen.

use chrono::NaiveDateTime;
use sqlx::{FromRow, MySqlConnection, MySqlExecutor, MySqlPool, QueryBuilder, Row, mysql::MySqlRow};

use super::{decode_error, sizes::portions};
use crate::ids::{ProductId, Round, Sku, UserId};

/// The most messages that [`store`] takes.
pub const STORE_ROWS_MAX: usize = 1_000;
/// Rows deleted in one transaction.
const STEP_ROWS: u32 = 5_000;
/// Unread messages are counted up to here: nobody reads an exact number beyond.
pub const UNREAD_MAX: u32 = 10_000;

const COLUMNS: &str = "id, product_id, restock_round, user_id, sku, name, started_at, read_at";

/// A message to be written. Its delivery is named by product, round and user: of several attempts one row is left.
#[derive(Debug, Clone, Copy)]
pub struct NewMessage<'a> {
    /// What is back in stock.
    pub product: ProductId,
    /// In which round.
    pub round: Round,
    /// For whom.
    pub user: UserId,
    /// The product's code.
    pub sku: Option<&'a Sku>,
    /// The product's name.
    pub name: &'a str,
    /// When the attempt started.
    pub started_at: NaiveDateTime,
}

/// A message as it stands in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// Its number: greater than that of every message that could be read before it.
    pub id: i64,
    /// What is back in stock.
    pub product: ProductId,
    /// In which round; 0 for a test.
    pub round: Round,
    /// For whom.
    pub user: UserId,
    /// The product's code, as it was then.
    pub sku: Option<Sku>,
    /// The product's name, as it was then.
    pub name: String,
    /// When the attempt started that wrote it.
    pub started_at: NaiveDateTime,
    /// When its reader said so.
    pub read_at: Option<NaiveDateTime>,
}

impl<'r> FromRow<'r, MySqlRow> for InboxRow {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let sku: Option<String> = row.try_get("sku")?;
        Ok(Self {
            id: row.try_get("id")?,
            product: ProductId(row.try_get("product_id")?),
            round: Round(row.try_get("restock_round")?),
            user: UserId(row.try_get("user_id")?),
            sku: sku.map(|sku| sku.parse()).transpose().map_err(decode_error)?,
            name: row.try_get("name")?,
            started_at: row.try_get("started_at")?,
            read_at: row.try_get("read_at")?,
        })
    }
}

/// Whose messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody's.
    Everyone,
    /// One person's.
    Person(UserId),
}

/// Writes messages, [`STORE_ROWS_MAX`] at most: all of them or none. What was written before is left as it is.
///
/// # Errors
/// Those of MySQL. [`sqlx::Error::RowNotFound`] when the schema was not made to its end.
pub async fn store(db: &MySqlPool, messages: &[NewMessage<'_>]) -> sqlx::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let after_first = i64::try_from(messages.len() - 1).unwrap_or(i64::MAX);
    let mut tx = db.begin().await?;
    let taken = sqlx::query(
        "UPDATE inbox_sequence SET last_id = LAST_INSERT_ID(
           GREATEST(last_id + 1, CAST(UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6)) * 1000000 AS SIGNED)) + ?) WHERE id = 1",
    )
    .bind(after_first)
    .execute(&mut *tx)
    .await?;
    if taken.rows_affected() == 0 {
        return Err(sqlx::Error::RowNotFound);
    }
    let first = taken.last_insert_id().cast_signed() - after_first;
    let mut ids = first..;
    for portion in portions(messages, STORE_ROWS_MAX.next_power_of_two()) {
        insert(&mut tx, portion.iter().zip(ids.by_ref())).await?;
    }
    tx.commit().await
}

async fn insert<'a>(
    tx: &mut MySqlConnection,
    messages: impl Iterator<Item = (&'a NewMessage<'a>, i64)>,
) -> sqlx::Result<()> {
    let mut query =
        QueryBuilder::new("INSERT INTO inbox_message (id, product_id, restock_round, user_id, sku, name, started_at) ");
    query.push_values(messages, |mut row, (message, id)| {
        row.push_bind(id).push_bind(message.product.0).push_bind(message.round.0).push_bind(message.user.0);
        row.push_bind(message.sku.map(Sku::as_str)).push_bind(message.name).push_bind(message.started_at);
    });
    // IGNORE would hide what is wrong with a row, too.
    query.push(" ON DUPLICATE KEY UPDATE id = inbox_message.id");
    query.build().execute(tx).await.map(drop)
}

/// The number of the newest message, or a greater one that stands for none: everything up to here can be read.
///
/// # Errors
/// Those of MySQL. [`sqlx::Error::RowNotFound`] when the schema was not made to its end.
pub async fn newest(db: impl MySqlExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT last_id FROM inbox_sequence WHERE id = 1").fetch_one(db).await
}

/// A page of the messages after `after`, up to `upto`, in the order of their numbers.
///
/// # Errors
/// Those of MySQL.
pub async fn page_after(
    db: impl MySqlExecutor<'_>,
    audience: Audience,
    after: i64,
    upto: i64,
    limit: u32,
) -> sqlx::Result<Vec<InboxRow>> {
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM inbox_message WHERE id > "));
    query.push_bind(after).push(" AND id <= ").push_bind(upto);
    if let Audience::Person(user) = audience {
        query.push(" AND user_id = ").push_bind(user.0);
    }
    query.push(" ORDER BY id LIMIT ").push_bind(limit);
    query.build_query_as().fetch_all(db).await
}

/// A page of a person's messages before `before`, the newest first.
///
/// # Errors
/// Those of MySQL.
pub async fn page_before(
    db: impl MySqlExecutor<'_>,
    user: UserId,
    before: Option<i64>,
    limit: u32,
) -> sqlx::Result<Vec<InboxRow>> {
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM inbox_message WHERE user_id = "));
    query.push_bind(user.0).push(" AND id < ").push_bind(before.unwrap_or(i64::MAX));
    query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
    query.build_query_as().fetch_all(db).await
}

/// How many messages a person has not read, up to [`UNREAD_MAX`].
///
/// # Errors
/// Those of MySQL.
pub async fn count_unread(db: impl MySqlExecutor<'_>, user: UserId) -> sqlx::Result<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM (SELECT 1 FROM inbox_message WHERE user_id = ? AND read_at IS NULL LIMIT ?) unread",
    )
    .bind(user.0)
    .bind(UNREAD_MAX)
    .fetch_one(db)
    .await?;
    Ok(count.unsigned_abs())
}

/// Notes that a person has read one message; `None` when they have no such message. How often makes no difference.
///
/// # Errors
/// Those of MySQL.
pub async fn mark_read(db: &MySqlPool, user: UserId, message: i64) -> sqlx::Result<Option<bool>> {
    let marked = sqlx::query(
        "UPDATE inbox_message SET read_at = UTC_TIMESTAMP(6) WHERE id = ? AND user_id = ? AND read_at IS NULL",
    )
    .bind(message)
    .bind(user.0)
    .execute(db)
    .await?;
    if marked.rows_affected() > 0 {
        return Ok(Some(true));
    }
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM inbox_message WHERE id = ? AND user_id = ?")
        .bind(message)
        .bind(user.0)
        .fetch_optional(db)
        .await?;
    Ok(known.map(|_| false))
}

/// Runs a change with a `LIMIT` as its last placeholder over [`STEP_ROWS`] rows at a time until none is left; how many it changed.
async fn in_steps(db: &MySqlPool, sql: &'static str, numbers: &[i64]) -> sqlx::Result<u64> {
    let mut all = 0;
    loop {
        let step = numbers.iter().fold(sqlx::query(sql), |step, number| step.bind(*number));
        let changed = step.bind(STEP_ROWS).execute(db).await?.rows_affected();
        all += changed;
        if changed < u64::from(STEP_ROWS) {
            return Ok(all);
        }
    }
}

/// Notes that a person has read everything up to a message; how many that were not read before.
///
/// # Errors
/// Those of MySQL.
pub async fn mark_all_read(db: &MySqlPool, user: UserId, upto: i64) -> sqlx::Result<u64> {
    let sql = "UPDATE inbox_message SET read_at = UTC_TIMESTAMP(6)
               WHERE user_id = ? AND id <= ? AND read_at IS NULL ORDER BY id LIMIT ?";
    in_steps(db, sql, &[user.0, upto]).await
}

/// How many messages a person has.
///
/// # Errors
/// Those of MySQL.
pub async fn count_of(db: impl MySqlExecutor<'_>, user: UserId) -> sqlx::Result<u64> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM inbox_message WHERE user_id = ?").bind(user.0).fetch_one(db).await?;
    Ok(count.unsigned_abs())
}

/// Deletes a person's messages; how many.
///
/// # Errors
/// Those of MySQL.
pub async fn erase(db: &MySqlPool, user: UserId) -> sqlx::Result<u64> {
    in_steps(db, "DELETE FROM inbox_message WHERE user_id = ? LIMIT ?", &[user.0]).await
}

/// The first number that a message written at this time or later can have.
fn number_at(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

/// How many messages were written before this time.
///
/// # Errors
/// Those of MySQL.
pub async fn count_before(db: impl MySqlExecutor<'_>, before: NaiveDateTime) -> sqlx::Result<u64> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM inbox_message WHERE id < ?")
        .bind(number_at(before))
        .fetch_one(db)
        .await?;
    Ok(count.unsigned_abs())
}

/// Deletes some messages that were written before this time, the oldest first; how many. To be called until there are none.
///
/// # Errors
/// Those of MySQL.
pub async fn prune(db: &MySqlPool, before: NaiveDateTime) -> sqlx::Result<u64> {
    let deleted = sqlx::query("DELETE FROM inbox_message WHERE id < ? ORDER BY id LIMIT ?")
        .bind(number_at(before))
        .bind(STEP_ROWS)
        .execute(db)
        .await?;
    Ok(deleted.rows_affected())
}
