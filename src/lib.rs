//! Restock tells everyone who asked for a product that it is back, in the order in which they asked.
//!
//! ```text
//! restock-cli enqueue ─┐                         restock-worker (any number)
//! INSERT restock_      ├─ enqueue.lua ─► jobs ─► begin.lua: take the lane ─► pages of the line from MySQL
//!   request (outbox) ──┘  round + 1     stream   permits (shared pace) ─► advance.lua: settle, check stock,
//!                                                authorise the next ─► channel ─► outcomes ─► advance.lua …
//!            stock.lua ─ stop signal ─► a window in flight is cut short
//!              log stream ◄─ every change, by the script that makes it
//!                  │
//!           restock-flusher ─► MySQL: one transaction applies a batch and moves the position ─► trim.lua
//! MySQL ─► status, history, audits: everything people read
//! ```
//!
//! Imports go down only:
//! `bin → cli | demo → api → observe → worker | sync | verify → producer | channel | pace → report | stores → redis | mysql → meter | trace → ids, round, outcome`.

pub mod api;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(feature = "local-servers")]
pub mod demo;
pub mod ids;
pub mod limit;
#[cfg(feature = "local-servers")]
pub mod local;
pub mod meter;
pub mod mysql;
pub mod observe;
pub mod outcome;
pub mod pace;
pub mod producer;
pub mod redis;
pub mod report;
pub mod round;
pub mod stop;
pub mod stores;
pub mod sync;
pub mod token;
pub mod trace;
pub mod user_token;
pub mod verify;
pub mod worker;
