//! Every reply of every script, and the rules that several of them keep together.

#[path = "../support/mod.rs"]
mod support;

mod fixture;
mod holds;
mod pace;
mod pauses;
mod rounds;
