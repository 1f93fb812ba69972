//! The flusher: makes MySQL follow Redis, and repairs Redis from MySQL.
//!
//! ```text
//! per partition, by its leader:   log ─► flush: read ─► fold ─► one transaction + position ─► delete
//!                                 restock_request ─► relay ─► enqueue.lua
//!                                 open rounds ─► reconcile ─► check ─► hydrate.lua
//!                                 idle products ─► evict.lua
//! ```
//!
//! Several flushers may run: a lock in MySQL elects the leader of each partition, and the position is moved by
//! compare-and-set, so that a leader that does not know it was replaced writes nothing.

mod answers;
mod apply;
mod batch;
mod beside;
mod check;
mod dead;
mod entry;
mod evict;
mod examine;
mod failures;
mod fence;
mod fields;
mod flush;
mod flush_loop;
mod follow_up;
mod lead;
mod options;
mod people;
mod position;
mod read;
mod reconcile;
mod relay;
mod replay;
mod rows;
mod serve;
mod totals;
mod words;

use std::time::Duration;

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The part that gives signs of life: a loop for each partition, which flushes it or stands by.
pub const FLUSHING: &str = "flushing";

pub use flush::Flushed;
pub use lead::Lead;
pub use options::FlusherOptions;
pub use reconcile::Reconciled;
pub use relay::Relayed;
pub use replay::{ReplayError, replay, words_of};

use crate::{
    meter::Vitals,
    mysql::setting::{PARTITIONS_MAX, Settings},
    stores::Stores,
};

pub use crate::producer::BACKLOG_MAX;

/// Connections to MySQL: up to two for each partition that it leads, and some for the rest; opened when they are needed.
pub const CONNECTIONS_MAX: u32 = 2 * PARTITIONS_MAX as u32 + 64;

/// What the flusher works with.
#[derive(Debug, Clone)]
pub struct Flusher {
    /// Both stores; the pool needs a connection per partition and a few more.
    pub stores: Stores,
    /// How long the flusher waits when the log is empty.
    pub flush_interval: Duration,
    /// How long the last flush may take after the stop.
    pub drain: Duration,
    /// The settings as they change.
    pub settings: watch::Receiver<Settings>,
    /// Where the loops of its partitions give signs of life.
    pub vitals: Vitals,
}

/// Serves every partition until `stop`; then flushes once more what is there, for as long as `drain`.
///
/// Neither store's absence ends it.
///
/// # Panics
/// When the service of a partition did.
pub async fn run(flusher: Flusher, stop: CancellationToken) {
    let mut partitions = JoinSet::new();
    for partition in flusher.stores.partitions() {
        partitions.spawn(serve::partition(flusher.clone(), partition, stop.clone()));
    }
    let served = async {
        while let Some(ended) = partitions.join_next().await {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                // A partition that nobody serves must not go unnoticed: the process ends and is started again.
                std::panic::resume_unwind(panic);
            }
        }
    };
    tokio::pin!(served);
    tokio::select! {
        () = &mut served => return,
        () = stop.cancelled() => {}
    }
    if tokio::time::timeout(flusher.drain, served).await.is_err() {
        tracing::warn!(
            drain_ms = flusher.drain.as_millis(),
            "not everything was flushed in time; the next flusher goes on"
        );
    }
}
