//! Leading a partition: the election, and the parts that only its leader runs.

use std::{sync::Arc, time::Duration};

use sqlx::{MySql, MySqlConnection, pool::PoolConnection};
use tokio::sync::Notify;

use super::{
    evict::Eviction,
    flush::{Flush, Flushed},
    reconcile::{self, Reconciled},
    relay::{Relay, Relayed},
    totals::{Counter, Totals},
};
use crate::{
    ids::Partition,
    mysql::{answered, session},
    stores::{StoreError, Stores},
};

/// How long a batch waits for somebody else's lock before it starts over.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(3);
/// A leader that has nothing to ask says a word so often.
const WORD_EVERY: Duration = Duration::from_secs(4);

// Between two words there may be as many waits for Redis as one turn has.
const _: () = assert!(WORD_EVERY.as_secs() * 3 < session::SILENCE_MAX.as_secs());

/// The name of the lock holds the database, because a lock is the server's, and is short enough for MySQL's 64
/// characters.
macro_rules! lock_name {
    () => {
        "CONCAT('restock-flush-', LEFT(SHA2(CONCAT(DATABASE(), '/', ?, '/', ?), 256), 32))"
    };
}

/// The leader of one partition: at most one at a time, over all flushers.
///
/// The lock is MySQL's and belongs to the connection on which the batches are applied: a lost connection is a lost
/// lock, and nothing more is written but a second batch that was written beside the last one, if its position is the next.
#[derive(Debug)]
pub struct Lead {
    pub(super) connection: PoolConnection<MySql>,
    pub(super) flush: Flush,
    pub(super) relay: Relay,
    pub(super) eviction: Eviction,
    pub(super) counter: Counter,
    pub(super) alarm: Arc<Notify>,
    pub(super) stores: Stores,
    pub(super) partition: Partition,
}

impl Lead {
    /// Takes the lead of a partition; `None` when somebody else has it.
    ///
    /// # Errors
    /// Those of MySQL.
    pub async fn elect(stores: &Stores, partition: Partition, backlog_max: u64) -> Result<Option<Self>, StoreError> {
        let mut connection = stores.mysql.acquire().await?;
        if !lock(&mut connection, stores, partition).await? {
            return Ok(None);
        }
        // From here on the connection must never go back to the pool with the lock.
        connection.close_on_drop();
        session::hold_locks(&mut connection, LOCK_WAIT).await?;
        let (totals, counter) = Totals::channel(partition, stores.settings.partitions);
        let alarm = Arc::new(Notify::new());
        let flush = Flush::start(stores.clone(), partition, &mut connection, totals, Arc::clone(&alarm)).await?;
        Ok(Some(Self {
            connection,
            flush,
            relay: Relay::new(stores.clone(), partition, backlog_max),
            eviction: Eviction::new(partition),
            counter,
            alarm,
            stores: stores.clone(),
            partition,
        }))
    }

    /// Whether anybody leads a partition.
    ///
    /// # Errors
    /// Those of MySQL.
    pub async fn is_taken(stores: &Stores, partition: Partition) -> sqlx::Result<bool> {
        let sql = concat!("SELECT CAST(IS_USED_LOCK(", lock_name!(), ") IS NOT NULL AS SIGNED)");
        ask(&mut *stores.mysql.acquire().await?, sql, stores, partition).await
    }

    /// Applies the next batch of the log.
    ///
    /// # Errors
    /// Those of both stores; after one of MySQL the lead must be given up.
    pub async fn flush(&mut self) -> Result<Flushed, StoreError> {
        self.flush.advance(&mut self.connection).await
    }

    /// Pushes pending requests of the outbox.
    ///
    /// # Errors
    /// Those of both stores.
    pub async fn relay(&mut self) -> Result<Relayed, StoreError> {
        self.relay.step().await
    }

    /// Repairs what Redis lacks.
    ///
    /// # Errors
    /// Those of both stores.
    pub async fn reconcile(&mut self) -> Result<Reconciled, StoreError> {
        Ok(reconcile::step(&self.stores, self.partition, None).await?.unwrap_or_default())
    }

    /// Forgets products that were left alone for `idle_ms`; returns how many.
    ///
    /// # Errors
    /// Those of both stores.
    pub async fn evict(&mut self, idle_ms: i64) -> Result<usize, StoreError> {
        Eviction::after(self.partition, idle_ms).step(&self.stores).await
    }

    /// Gives the lead up.
    pub async fn resign(self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the leader's connection was already closed");
        }
    }
}

/// Waits for something while the leader's connection, which holds the lock, does not fall silent.
///
/// # Errors
/// Those of MySQL; the lead must be given up then.
pub(super) async fn kept_alive<T>(db: &mut MySqlConnection, waiting: impl Future<Output = T>) -> sqlx::Result<T> {
    tokio::pin!(waiting);
    loop {
        tokio::select! {
            done = &mut waiting => return Ok(done),
            () = tokio::time::sleep(WORD_EVERY) => {}
        }
        answered(sqlx::query("DO 0").execute(&mut *db)).await?;
    }
}

async fn lock(db: &mut MySqlConnection, stores: &Stores, partition: Partition) -> sqlx::Result<bool> {
    ask(db, concat!("SELECT GET_LOCK(", lock_name!(), ", 0)"), stores, partition).await
}

/// Whether this connection still has the lock: without one it might believe so for as long as nothing happens.
pub(super) async fn holds(db: &mut MySqlConnection, stores: &Stores, partition: Partition) -> sqlx::Result<bool> {
    ask(db, concat!("SELECT IS_USED_LOCK(", lock_name!(), ") = CONNECTION_ID()"), stores, partition).await
}

async fn ask(db: &mut MySqlConnection, sql: &'static str, stores: &Stores, partition: Partition) -> sqlx::Result<bool> {
    let answer: Option<i64> =
        sqlx::query_scalar(sql).bind(stores.settings.namespace.as_str()).bind(partition.0).fetch_one(db).await?;
    Ok(answer == Some(1))
}
