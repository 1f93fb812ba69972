//! Redis that takes over from itself: behind sentinels, and as a cluster. Everything runs there with only another URL.

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod runs;
mod sentinel;
mod series;
mod shop;

use tokio::sync::{Mutex, MutexGuard};

/// Waits for this test's turn. Each has up to six servers that take each other for dead after a second or two of silence:
/// on a small machine several at once would be fail-overs that no test asked for.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
