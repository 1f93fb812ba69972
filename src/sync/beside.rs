//! Two batches at the same time: MySQL writes what comes on one connection by one core, and most of it are people. So the
//! people of a second batch are written by a transaction of its own, while the first is applied.
//!
//! Invariant: the second is committed after the first, with the position that follows it, or not at all: what it has
//! written until then nobody sees. And the first never waits for the second, which waits for it: no row is in both.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sqlx::{Connection, MySql, MySqlConnection, MySqlPool, pool::PoolConnection};
use tokio::{sync::oneshot, time::timeout};

use super::{
    apply::{Applied, Move, Prepared, Way, prepare},
    batch::Batch,
    lead::LOCK_WAIT,
    people::write_all_new,
};
use crate::{
    ids::{Channel, Place, ProductId, Round},
    mysql::{answered_within, session},
};

/// A batch with fewer people is not worth a transaction of its own.
const PEOPLE_MIN: usize = 2_000;
/// What the first must not wait for: a connection, and a rollback.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// The rest of a batch takes no longer, or it is applied alone.
const PREPARE_MAX: Duration = Duration::from_secs(5);
/// After a batch that had to be applied alone the next ones are for so long: most of them would have to be, too.
const REST: Duration = Duration::from_secs(1);

/// Whether the people of `second` can be written while `first` is applied: there are many of both, and those of the second
/// come after those of the first.
pub(super) fn suits(first: &Batch, second: &Batch) -> bool {
    if first.people.len() < PEOPLE_MIN || second.people.len() < PEOPLE_MIN {
        return false;
    }
    let mut last: HashMap<(ProductId, Round, &Channel), Place> = HashMap::new();
    for person in first.people.iter().map(|said| &said.what) {
        let place = last.entry((person.product, person.round, &person.channel)).or_insert(person.settled.place);
        *place = person.settled.place.max(*place);
    }
    second.people.iter().map(|said| &said.what).all(|person| {
        let last = last.get(&(person.product, person.round, &person.channel));
        last.is_none_or(|last| person.settled.place > *last)
    })
}

/// The connection of second batches, while one comes after the other.
#[derive(Debug, Default)]
pub(super) struct Second {
    db: Option<PoolConnection<MySql>>,
    /// After one that had to be applied alone.
    not_before: Option<Instant>,
}

impl Second {
    /// Writes the people of a batch, and the rest of it once `first` says that the batch before is committed. `None` when
    /// nothing was written: somebody was there already, a row was refused, MySQL did not answer in time, or the first was
    /// not committed as it stood.
    ///
    /// # Errors
    /// Those of the commit: whether it was made is then not known.
    pub(super) async fn apply(
        &mut self,
        mysql: &MySqlPool,
        step: &Move<'_>,
        mut first: oneshot::Receiver<()>,
    ) -> sqlx::Result<Option<Applied>> {
        if self.not_before.is_some_and(|until| Instant::now() < until) {
            return Ok(None);
        }
        let opened = tokio::select! {
            biased;
            opened = timeout(ANSWER_MAX, self.open(mysql)) => opened.ok().flatten(),
            // Too late to save anything.
            _ = &mut first => None,
        };
        let Some(mut db) = opened else { return Ok(None) };
        let Ok(Ok(mut tx)) = timeout(ANSWER_MAX, db.begin()).await else { return Ok(None) };
        let applied = match prepared(&mut tx, step, first).await {
            Some(Prepared::Ready { dead, mended }) => {
                tx.commit().await?;
                Some(Applied::Committed { dead, mended })
            }
            other => {
                // So that nobody who writes the same rows next has to wait; else the connection is closed.
                if !matches!(timeout(ANSWER_MAX, tx.rollback()).await, Ok(Ok(()))) {
                    return Ok(None);
                }
                match other {
                    Some(Prepared::Void(applied)) => Some(applied),
                    _ => {
                        self.not_before = Some(Instant::now() + REST);
                        None
                    }
                }
            }
        };
        self.db = Some(db);
        Ok(applied)
    }

    /// Closes the connection: MySQL takes one for gone that is silent for long.
    pub(super) fn close(&mut self) {
        self.db = None;
    }

    async fn open(&mut self, mysql: &MySqlPool) -> Option<PoolConnection<MySql>> {
        if let Some(mut db) = self.db.take()
            && db.ping().await.is_ok()
        {
            return Some(db);
        }
        let mut db = mysql.acquire().await.ok()?;
        // Its locks end with it.
        db.close_on_drop();
        session::hold_locks(&mut db, LOCK_WAIT).await.ok()?;
        Some(db)
    }
}

/// All but the commit; `None` when that cannot be, or must not.
async fn prepared(tx: &mut MySqlConnection, step: &Move<'_>, mut first: oneshot::Receiver<()>) -> Option<Prepared> {
    let mut may_go_on = false;
    let written = {
        let written = write_all_new(&step.batch.people, &mut *tx);
        tokio::pin!(written);
        tokio::select! {
            biased;
            written = &mut written => written,
            committed = &mut first => {
                committed.ok()?;
                may_go_on = true;
                written.await
            }
        }
    };
    let prepared = match written {
        Ok(()) if may_go_on || first.await.is_ok() => {
            answered_within(PREPARE_MAX, prepare(tx, step, Way::WithoutPeople)).await
        }
        Ok(()) => return None,
        Err(error) => Err(error),
    };
    let tell = |error: &sqlx::Error| {
        tracing::debug!(%error, partition = %step.partition, "a batch is applied after the other, not beside it");
    };
    prepared.inspect_err(tell).ok()
}
