//! What this process measures of itself: every metric, the handles that count, and signs of life.
//!
//! Handles are made once, when a part starts; to count with one is an atomic addition. Without a recorder, that is
//! without `--metrics-listen`, they do nothing.
//!
//! Invariant: a label has few values, known beforehand: a channel, an outcome, a status. Never a product, a user or an
//! address: each value is a time series that Prometheus keeps for weeks.

pub mod catalogue;
mod handles;
mod recorder;
mod vitals;

pub use self::{
    catalogue::{CATALOGUE, Kind, Metric},
    handles::{
        Endings, FlushMeters, Held, HoldEnd, PaceMeters, SendMeters, StreamMeters, count_redis_error, count_sql_error,
    },
    recorder::{Role, install},
    vitals::{Pulse, Vitals},
};
