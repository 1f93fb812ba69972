//! Breaks real state on real servers on purpose: what is found, what is mended, and that sound state is left alone.

#[path = "../support/mod.rs"]
mod support;

mod doctor;
mod engine;
mod forget;
mod record;
mod running;
mod shop;
