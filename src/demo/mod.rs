//! `restock-cli demo`: real customers of a real shop are told in order, cut off by a sell-out, and told on.
//!
//! ```text
//! data: the shop ─► stage: servers, receiver, programs ─► story: import, restock, kill, restock ─► verdict
//!                   crew: workers as processes             watch: a line per lane
//! ```
//!
//! Every figure that it prints was measured in that run; a wrong one makes it fail. Its servers and programs end with
//! it, however it ends.

mod crew;
pub mod data;
pub mod receiver;
mod stage;
mod story;
mod verdict;
mod watch;

use std::cell::Cell;

use crate::local::Signals;

/// How the demo came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every figure is right.
    Right,
    /// A figure is wrong.
    Wrong,
    /// A signal with this number ended it; its servers are gone.
    Stopped(i32),
}

/// Runs the demo; `with_page` it serves the page as well, and goes on after the verdict until a signal comes.
///
/// # Errors
/// When a part cannot be started, ends or does not answer.
pub async fn run(with_page: bool) -> anyhow::Result<End> {
    let mut signals = Signals::listen()?;
    let verdict = Cell::new(None);
    let end = |right| if right { End::Right } else { End::Wrong };
    tokio::select! {
        right = story::tell(with_page, &verdict) => Ok(end(right?)),
        // What comes after the verdict is there to be ended.
        signal = signals.next() => Ok(verdict.get().map_or(End::Stopped(signal as i32), end)),
    }
}
