//! Redis that takes over from itself: behind sentinels, and as a cluster. Everything runs there with only another URL.

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod runs;
mod sentinel;
mod shop;
