//! One transaction that applies a batch and moves the position.
//!
//! Invariant: a batch is applied as a whole with its position, or not at all. A row that MySQL refuses is set aside in
//! `log_dead` by that same transaction; everything else that fails is tried again.

use sqlx::{Connection, MySqlConnection};

use super::{
    batch::{Batch, Said},
    position::Position,
    rows::{Row, portions},
};
use crate::{
    ids::{Partition, ProductId},
    mysql,
    redis::entry_id::EntryId,
    round::Stamp,
};

/// The most of a refused row that is kept; a `TEXT` holds as many in any alphabet.
const DETAIL_CHARS_MAX: usize = 15_000;
const MESSAGE_CHARS_MAX: usize = 255;
/// What is not read at all counts as bad data.
const UNREADABLE: &str = "22000";

/// A batch with where it starts and ends.
#[derive(Debug)]
pub(super) struct Move<'a> {
    pub(super) partition: Partition,
    pub(super) batch: &'a Batch,
    pub(super) from: &'a Position,
    pub(super) to: &'a Position,
}

/// A row that MySQL refused.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) entry: EntryId,
    pub(super) product: Option<ProductId>,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) stamp: Option<Stamp>,
    pub(super) sqlstate: String,
    detail: String,
    message: String,
}

/// How it went.
#[derive(Debug)]
pub(super) enum Applied {
    /// All of it is committed, these rows aside.
    Committed(Vec<Dead>),
    /// Another flusher moved the position: nothing was written.
    Deposed,
}

/// Applies a batch; at first all rows at once, and when one is refused, again with a savepoint before each portion.
pub(super) async fn apply(db: &mut MySqlConnection, step: &Move<'_>) -> sqlx::Result<Applied> {
    match attempt(db, step, false).await {
        Err(error) if mysql::is_refused(&error) => attempt(db, step, true).await,
        done => done,
    }
}

async fn attempt(db: &mut MySqlConnection, step: &Move<'_>, careful: bool) -> sqlx::Result<Applied> {
    let mut tx = db.begin().await?;
    let batch = step.batch;
    let mut dead: Vec<Dead> = batch.unreadable.iter().map(unreadable).collect();
    if careful {
        write_carefully(&mut tx, &batch.products, &mut dead).await?;
        write_carefully(&mut tx, &batch.rounds, &mut dead).await?;
        write_carefully(&mut tx, &batch.people, &mut dead).await?;
        write_carefully(&mut tx, &batch.answers, &mut dead).await?;
    } else {
        write(&mut tx, &batch.products).await?;
        write(&mut tx, &batch.rounds).await?;
        write(&mut tx, &batch.people).await?;
        write(&mut tx, &batch.answers).await?;
    }
    for row in &dead {
        bury(&mut tx, step.partition, row).await?;
    }
    if step.from.move_to(step.to, &mut tx, step.partition).await? {
        tx.commit().await?;
        Ok(Applied::Committed(dead))
    } else {
        tx.rollback().await?;
        Ok(Applied::Deposed)
    }
}

async fn write<T: Row>(tx: &mut MySqlConnection, rows: &[Said<T>]) -> sqlx::Result<()> {
    for portion in portions(rows) {
        T::write(portion, tx).await?;
    }
    Ok(())
}

/// Halves a refused portion until the refused rows are alone.
async fn write_carefully<T: Row>(tx: &mut MySqlConnection, rows: &[Said<T>], dead: &mut Vec<Dead>) -> sqlx::Result<()> {
    for portion in portions(rows) {
        let mut left = vec![portion];
        while let Some(rows) = left.pop() {
            sqlx::raw_sql("SAVEPOINT before_rows").execute(&mut *tx).await?;
            match T::write(rows, tx).await {
                Ok(()) => {}
                Err(error) if mysql::is_refused(&error) => {
                    sqlx::raw_sql("ROLLBACK TO SAVEPOINT before_rows").execute(&mut *tx).await?;
                    match rows {
                        [row] => dead.push(refused(row, &error)),
                        _ => {
                            let (first, second) = rows.split_at(rows.len() / 2);
                            left.extend([second, first]);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn refused<T: Row>(row: &Said<T>, error: &sqlx::Error) -> Dead {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let message = error.as_database_error().map_or_else(String::new, |error| error.message().to_owned());
    Dead {
        entry: row.entry,
        product: Some(row.what.product()),
        kind: T::KIND,
        name: row.what.name(),
        stamp: row.what.stamp(),
        sqlstate: code.unwrap_or_default().into_owned(),
        detail: format!("{:?}", row.what),
        message,
    }
}

fn unreadable(row: &Said<super::batch::Unreadable>) -> Dead {
    Dead {
        entry: row.entry,
        product: None,
        kind: "entry",
        name: format!("entry {}", row.entry),
        stamp: None,
        sqlstate: UNREADABLE.to_owned(),
        detail: row.what.fields.clone(),
        message: row.what.error.clone(),
    }
}

async fn bury(tx: &mut MySqlConnection, partition: Partition, dead: &Dead) -> sqlx::Result<()> {
    let first = |text: &str, chars_max: usize| text.chars().take(chars_max).collect::<String>();
    sqlx::query(
        "INSERT INTO log_dead (partition_id, entry, product_id, kind, detail, `sqlstate`, message)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(partition.0)
    .bind(dead.entry.to_string())
    .bind(dead.product.map(|product| product.0))
    .bind(dead.kind)
    .bind(first(&dead.detail, DETAIL_CHARS_MAX))
    .bind(&dead.sqlstate)
    .bind(first(&dead.message, MESSAGE_CHARS_MAX))
    .execute(tx)
    .await
    .map(drop)
}
