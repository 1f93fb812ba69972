//! How far MySQL has followed the log of a partition, and whether the two belong together.

use sqlx::{Connection, MySqlConnection};

use super::batch::Batch;
use crate::{
    ids::{ParseError, Partition},
    redis::{entry_id::EntryId, log::LogHead},
};

/// The last entry that MySQL has, in which life of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) incarnation: String,
    pub(super) last: EntryId,
}

impl Position {
    /// Reads it; a new partition starts before every entry of no life.
    pub(super) async fn read(db: &mut MySqlConnection, partition: Partition) -> sqlx::Result<Self> {
        sqlx::query("INSERT INTO flush_position (partition_id) VALUES (?) ON DUPLICATE KEY UPDATE partition_id = ?")
            .bind(partition.0)
            .bind(partition.0)
            .execute(&mut *db)
            .await?;
        let stored = Self::find(db, partition).await?;
        Ok(stored.unwrap_or(Self { incarnation: String::new(), last: EntryId::ZERO }))
    }

    /// Where a batch leads from here.
    pub(super) fn behind(&self, batch: &Batch) -> Self {
        Self { last: batch.last().map_or(self.last, |last| last.max(self.last)), ..self.clone() }
    }

    async fn find(db: &mut MySqlConnection, partition: Partition) -> sqlx::Result<Option<Self>> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT incarnation, last_entry FROM flush_position WHERE partition_id = ?")
                .bind(partition.0)
                .fetch_optional(db)
                .await?;
        let Some((incarnation, last)) = row else { return Ok(None) };
        let last = last.parse().map_err(|error: ParseError| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Some(Self { incarnation, last }))
    }

    /// Whether it is what MySQL has. A backup that was played in under a running flusher changes it.
    pub(super) async fn stands(&self, db: &mut MySqlConnection, partition: Partition) -> sqlx::Result<bool> {
        Ok(Self::find(db, partition).await?.as_ref() == Some(self))
    }

    /// Moves it, if it still is where this flusher left it. False: another one moved it.
    pub(super) async fn move_to(
        &self,
        next: &Self,
        db: &mut MySqlConnection,
        partition: Partition,
    ) -> sqlx::Result<bool> {
        // sqlx counts the rows found, so that a move to the same place is one row too.
        let moved = sqlx::query(
            "UPDATE flush_position SET incarnation = ?, last_entry = ?
             WHERE partition_id = ? AND incarnation = ? AND last_entry = ?",
        )
        .bind(&next.incarnation)
        .bind(next.last.to_string())
        .bind(partition.0)
        .bind(&self.incarnation)
        .bind(self.last.to_string())
        .execute(db)
        .await?;
        Ok(moved.rows_affected() == 1)
    }
}

/// Holds all requests that are there now; returns the greatest.
pub(super) async fn hold_requests(db: &mut MySqlConnection, partition: Partition) -> sqlx::Result<i64> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM restock_request").fetch_one(&mut *db).await?;
    let newest = newest.unwrap_or(0);
    sqlx::query("UPDATE flush_position SET held_upto_request = ? WHERE partition_id = ?")
        .bind(newest)
        .bind(partition.0)
        .execute(&mut *db)
        .await?;
    Ok(newest)
}

/// Requests that may have been answered since the newest that Redis remembers.
const REQUESTS_APART: i64 = 10_000;

/// Makes the numbers of requests inserted from now on greater than any that was answered. The counter of a table does
/// not go back with a rollback.
pub(super) async fn pass_requests(db: &mut MySqlConnection, newest: i64) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    let inserted = sqlx::query("INSERT INTO restock_request (id, product_id, state) VALUES (?, 0, 'REFUSED')")
        .bind(newest.saturating_add(REQUESTS_APART))
        .execute(&mut *tx)
        .await;
    tx.rollback().await?;
    match inserted {
        // The table has got that far by itself.
        Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => Ok(()),
        done => done.map(drop),
    }
}

/// How a position and a log go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// They do.
    Sound,
    /// The log is another one: Redis was emptied or replaced.
    Another,
    /// Redis lost the end of the log, which MySQL has.
    TailLost,
    /// Entries were deleted that MySQL does not have: it was set back to an earlier state, or made anew.
    WentBack,
}

/// Judges by the head of the log.
///
/// Only the leader deletes entries, and not before MySQL has them, so that a log of which more was deleted than MySQL knows
/// tells of a MySQL that was set back; also where Redis was emptied meanwhile, since ids are times.
pub(super) fn judge(position: &Position, head: &LogHead) -> Result<Match, ParseError> {
    let (last, deleted): (EntryId, EntryId) = (head.last_id.parse()?, head.max_deleted_id.parse()?);
    Ok(match &head.incarnation {
        Some(_) if deleted > position.last => Match::WentBack,
        Some(incarnation) if *incarnation == position.incarnation && last < position.last => Match::TailLost,
        Some(incarnation) if *incarnation == position.incarnation => Match::Sound,
        _ => Match::Another,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_trusted_only_when_it_goes_on_from_the_position() {
        let judged = |known: &str, position: &str, incarnation: Option<&str>, last: &str, deleted: &str| {
            let position = Position { incarnation: known.to_owned(), last: position.parse().unwrap() };
            let head = LogHead {
                incarnation: incarnation.map(str::to_owned),
                entries: 0,
                last_id: last.to_owned(),
                max_deleted_id: deleted.to_owned(),
            };
            judge(&position, &head).unwrap()
        };
        assert_eq!(judged("a", "5-0", Some("a"), "9-0", "5-0"), Match::Sound);
        assert_eq!(judged("a", "5-0", Some("a"), "5-0", "5-0"), Match::Sound);
        assert_eq!(judged("a", "5-0", Some("a"), "4-9", "3-0"), Match::TailLost);
        assert_eq!(judged("a", "5-0", Some("a"), "9-0", "5-1"), Match::WentBack);
        assert_eq!(judged("a", "5-0", None, "0-0", "0-0"), Match::Another);
        assert_eq!(judged("a", "5-0", Some("b"), "4-0", "3-0"), Match::Another);
        assert_eq!(judged("a", "5-0", Some("b"), "9-0", "0-0"), Match::Another);
        assert_eq!(judged("a", "5-0", Some("b"), "9-0", "8-0"), Match::WentBack);
        assert_eq!(judged("", "0-0", Some("b"), "9-0", "0-0"), Match::Another);
        assert_eq!(judged("", "0-0", Some("b"), "9-0", "8-0"), Match::WentBack);
    }
}
