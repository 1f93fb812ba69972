//! Every reply of every script, and the rules that several of them keep together.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "nothing becomes slower on its way here")]
mod proxy;

mod entries;
mod fixture;
mod holds;
mod log;
mod pace;
mod pauses;
mod reclaims;
mod retries;
mod rounds;
mod taking;
mod together;
mod traces;
