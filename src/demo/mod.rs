//! `restock-cli demo`: real customers of a real shop are told in order, cut off by a sell-out, and told on.
//!
//! ```text
//! data: the shop ─► stage: servers, receiver, processes ─► story: import, restock, kill, restock ─► verdict
//!                                                            watch: a bar per lane
//! ```
//!
//! Every figure that it prints was measured in that run; a wrong one makes it fail.

pub mod data;
pub mod receiver;
mod stage;
mod story;
mod verdict;
mod watch;

/// Runs the demo; `false` when a figure is wrong.
///
/// # Errors
/// When a part cannot be started or does not answer.
pub async fn run() -> anyhow::Result<bool> {
    story::tell().await
}
