//! Writing to the lines of products, apart from all else: whoever changes a line holds it, and those who wait for it must not
//! take the connections that other requests need.

use std::time::Duration;

use sqlx::MySqlPool;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::problem::{Kind, Problem};
use crate::{config::Backends, mysql::connect_impatiently};

/// Single subscriptions that are written at once.
const SINGLE_MAX: usize = 8;
/// Bulk subscriptions that are written at once.
const BULK_MAX: usize = 2;
/// Each has its own.
const CONNECTIONS_MAX: u32 = 10;
const _: () = assert!(CONNECTIONS_MAX as usize == SINGLE_MAX + BULK_MAX);
/// The longest that one waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(1);
/// The longest that one waits for somebody who holds the line: MySQL counts whole seconds.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

/// The connections by which lines are written, and whose turn it is.
#[derive(Debug)]
pub(super) struct LineWrites {
    pub(super) mysql: MySqlPool,
    single: Semaphore,
    bulk: Semaphore,
}

impl LineWrites {
    /// Connects when it is first used.
    pub(super) fn new(backends: &Backends) -> sqlx::Result<Self> {
        let mysql = connect_impatiently(&backends.mysql_url, CONNECTIONS_MAX, LOCK_WAIT_MAX)?;
        Ok(Self { mysql, single: Semaphore::new(SINGLE_MAX), bulk: Semaphore::new(BULK_MAX) })
    }

    /// A turn to write one subscription; hold it as long as that takes.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        turn(&self.single, "subscriptions are written").await
    }

    /// A turn to write many.
    pub(super) async fn bulk_turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        turn(&self.bulk, "bulk subscriptions are written; nobody was subscribed").await
    }
}

async fn turn<'a>(places: &'a Semaphore, what: &str) -> Result<SemaphorePermit<'a>, Problem> {
    let place = timeout(TURN_WAIT_MAX, places.acquire()).await;
    let place = place.ok().and_then(Result::ok);
    place.ok_or_else(|| Problem::new(Kind::Overloaded, format!("too many {what}; ask again")))
}
