//! The commands of `restock-cli`, run as a process on real servers: data, exit codes, and one line for an error.

#[path = "../support/mod.rs"]
mod support;

mod alone;
mod cursor;
mod dead;
mod demo;
mod direct;
mod failures;
mod hands;
mod imports;
mod limits;
mod manual;
mod operators;
mod orders;
mod pauses;
mod programs;
mod rounds;
mod shop;
mod snapshots;
mod terminal;
mod unreadable;
mod up;
mod usage;
mod waiting;
mod watch;
