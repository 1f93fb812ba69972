//! One transaction that applies a batch and moves the position.
//!
//! Invariant: a batch is applied as a whole with its position, or not at all. A row that MySQL refuses is set aside in
//! `log_dead` by that same transaction; everything else that fails is tried again. Nothing is applied that Redis has lost
//! and a check has replaced (`fence.rs`).

use sqlx::{Connection, MySqlConnection};

use super::{
    batch::{Batch, Said},
    dead::{Dead, Refusals, mend},
    fence::is_overtaken,
    position::Position,
    rows::Row,
};
use crate::{
    ids::Partition,
    mysql::{self, sizes::portions},
    redis::{Redis, RedisError},
};

/// A batch with where it starts and ends.
#[derive(Debug)]
pub(super) struct Move<'a> {
    pub(super) redis: &'a Redis,
    pub(super) partition: Partition,
    pub(super) batch: &'a Batch,
    pub(super) from: &'a Position,
    pub(super) to: &'a Position,
    pub(super) refusals: &'a Refusals,
}

/// How it went.
#[derive(Debug)]
pub(super) enum Applied {
    /// All of it is committed.
    Committed {
        /// But for these rows, which are set aside.
        dead: Vec<Dead>,
        /// Rows refused before, of which MySQL now has a newer state.
        mended: Vec<String>,
    },
    /// Another flusher moved the position: nothing was written.
    Deposed,
    /// Redis has lost the batch, and may have been filled again from MySQL: nothing was written.
    Gone,
    /// Redis did not say whether it has: nothing was written.
    Unknown(RedisError),
}

/// How the rows of a batch are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All at once.
    AtOnce,
    /// With a savepoint before each portion, so that a refused row is found.
    Carefully,
    /// The transaction has the people already.
    WithoutPeople,
}

/// What a transaction came to that is not ended yet.
#[derive(Debug)]
pub(super) enum Prepared {
    /// It may be committed, but for these rows; see [`Applied::Committed`].
    Ready { dead: Vec<Dead>, mended: Vec<String> },
    /// It must be rolled back; this is why.
    Void(Applied),
}

/// Applies a batch; at first all rows at once, and when one is refused, again with care.
pub(super) async fn apply(db: &mut MySqlConnection, step: &Move<'_>) -> sqlx::Result<Applied> {
    match attempt(db, step, Way::AtOnce).await {
        Err(error) if mysql::is_refused(&error) => attempt(db, step, Way::Carefully).await,
        done => done,
    }
}

async fn attempt(db: &mut MySqlConnection, step: &Move<'_>, way: Way) -> sqlx::Result<Applied> {
    let mut tx = db.begin().await?;
    match prepare(&mut tx, step, way).await? {
        Prepared::Ready { dead, mended } => {
            tx.commit().await?;
            Ok(Applied::Committed { dead, mended })
        }
        Prepared::Void(applied) => {
            tx.rollback().await?;
            Ok(applied)
        }
    }
}

/// Writes a batch and moves the position, all but the commit.
pub(super) async fn prepare(tx: &mut MySqlConnection, step: &Move<'_>, way: Way) -> sqlx::Result<Prepared> {
    let batch = step.batch;
    if is_overtaken(&mut *tx, batch).await?
        && let Some(refusal) = ask(step).await
    {
        return Ok(Prepared::Void(refusal));
    }
    let mut dead: Vec<Dead> = batch.unreadable.iter().map(Dead::unreadable).collect();
    if way == Way::Carefully {
        write_carefully(&mut *tx, &batch.products, &mut dead).await?;
        write_carefully(&mut *tx, &batch.rounds, &mut dead).await?;
        write_carefully(&mut *tx, &batch.people, &mut dead).await?;
        write_carefully(&mut *tx, &batch.answers, &mut dead).await?;
    } else {
        Row::write_all(&batch.products, &mut *tx).await?;
        Row::write_all(&batch.rounds, &mut *tx).await?;
        if way != Way::WithoutPeople {
            Row::write_all(&batch.people, &mut *tx).await?;
        }
        Row::write_all(&batch.answers, &mut *tx).await?;
    }
    for row in &dead {
        row.bury(&mut *tx, step.partition).await?;
    }
    for mark in &batch.marks {
        mark.lift(&mut *tx, step.partition).await?;
    }
    let mended = step.refusals.mended_by(batch, &dead);
    mend(&mut *tx, step.partition, &mended).await?;
    if step.from.move_to(step.to, tx, step.partition).await? {
        Ok(Prepared::Ready { dead, mended })
    } else {
        Ok(Prepared::Void(Applied::Deposed))
    }
}

/// Whether the log still has the batch; what it loses it loses from the end. `None` when it has.
async fn ask(step: &Move<'_>) -> Option<Applied> {
    let last = step.batch.last()?;
    match step.redis.log_entry(step.partition, &last.to_string()).await {
        Ok((incarnation, true)) if incarnation.as_ref() == Some(&step.from.incarnation) => None,
        Ok(_) => Some(Applied::Gone),
        Err(error) => Some(Applied::Unknown(error)),
    }
}

/// Halves a refused portion until the refused rows are alone.
async fn write_carefully<T: Row>(tx: &mut MySqlConnection, rows: &[Said<T>], dead: &mut Vec<Dead>) -> sqlx::Result<()> {
    for portion in portions(rows, T::ROWS_MAX) {
        let mut left = vec![portion];
        while let Some(rows) = left.pop() {
            sqlx::raw_sql("SAVEPOINT before_rows").execute(&mut *tx).await?;
            match T::write(rows, tx).await {
                Ok(()) => {}
                Err(error) if mysql::is_refused(&error) => {
                    sqlx::raw_sql("ROLLBACK TO SAVEPOINT before_rows").execute(&mut *tx).await?;
                    match rows {
                        [row] => dead.push(Dead::refused(row, &error)),
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
