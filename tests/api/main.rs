//! `restock-api` as a process on real servers, called by a real client: every route and what it refuses, tokens, limits,
//! outages, a stop with a request in hand.

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod auth;
mod description;
mod errors;
mod events;
mod inbox;
mod limits;
mod lines;
mod outages;
mod pace;
mod page;
mod rounds;
mod routes;
mod shop;
mod stock;
mod streams;
mod twice;
