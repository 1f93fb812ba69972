//! The pace over all workers, and the settings that change while they run: real processes on real servers.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "nothing is cut, muted or made slower here")]
mod proxy;

mod changes;
mod crew;
mod exact;
mod fair;
mod far;
mod machine;
mod settings;
#[path = "../restock/shop.rs"]
#[expect(dead_code, reason = "the tests of this folder need less of a shop than those of its own")]
mod shop;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Waits until no more than one other test is at work: what is measured to the millisecond needs a core.
pub(crate) async fn place() -> SemaphorePermit<'static> {
    static PLACES: Semaphore = Semaphore::const_new(2);
    PLACES.acquire().await.expect("it is never closed")
}
