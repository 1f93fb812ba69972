//! What running processes show of themselves: metrics that agree with what was done, and readiness.

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod counts;
mod deployment;
mod exposition;
mod format;
mod listener;
mod names;
mod proxy;
mod readiness;
mod shipped;
mod spans;
mod streams;
mod survey;
mod tools;
mod traces;
