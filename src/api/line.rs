//! Writing to the lines of products, apart from all else: whoever changes a line holds it, and those who wait for it must not
//! take the connections that other requests need. And how long a line is, which is not counted for each who asks.

use std::time::{Duration, Instant};

use sqlx::MySqlPool;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    Api,
    fresh::{Made, SOON},
    problem::{Kind, Problem},
};
use crate::{
    config::Backends,
    ids::ProductId,
    mysql::{connect_impatiently, line},
};

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
/// Places of a line that are looked at to count who waits: the newest.
const COUNTED_MAX: u32 = 100_000;
/// Counting may take this part of the time of one connection, for each line that is asked for.
const COUNTED_REST_TIMES: u32 = 20;
/// The oldest that a count may be.
const COUNTED_AGE_MAX: Duration = Duration::from_secs(5);

/// How many people want to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) people: u64,
    /// Whether there may be more: the line has more places than are counted.
    pub(super) at_least: bool,
}

impl Api {
    /// How many wait for a product: counted once for all who ask, the less often the longer it takes.
    pub(super) async fn waiting(&self, product: ProductId) -> Result<Waiting, Problem> {
        let count = async {
            let (mysql, start) = (&self.ready()?.producer.stores().mysql, Instant::now());
            let (people, places) = line::count_newest(mysql, product, COUNTED_MAX + 1).await?;
            let most = u64::from(COUNTED_MAX);
            let value = Waiting { people: people.min(most), at_least: places > most };
            let age_max = (start.elapsed() * COUNTED_REST_TIMES).clamp(SOON, COUNTED_AGE_MAX);
            Ok(Made { value, age_max })
        };
        self.waiting.get(&product, count).await
    }
}

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
