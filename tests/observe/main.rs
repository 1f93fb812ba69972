//! What running processes show of themselves: metrics that agree with what was done, and readiness.

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod counts;
mod deployment;
mod exposition;
mod format;
mod proxy;
mod readiness;
mod traces;
