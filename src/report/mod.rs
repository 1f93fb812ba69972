//! What people read: rows of data with the contract's names, for the command line and whoever else shows them.
//!
//! Nothing is printed and nothing is changed here. MySQL is the record; where Redis answers, what it knows and MySQL has
//! not heard of yet stands instead.
//!
//! | module | answers |
//! |---|---|
//! | [`status`] | where every lane stands |
//! | [`history`] | what became of each person in a round |
//! | [`moment`] | lanes, pace and lag together, for a screen |
//! | [`why`] | what became of one person in all rounds, or why nothing did |
//! | [`dead`] | rounds given up, unreadable entries, refused rows |
//! | [`forecast`] | what a restock would do |
//! | [`inbox`] | the messages that people have |
//! | [`pending`] | which entry is with whom, for how long |
//! | [`product`] | what is in stock now |
//! | [`rate`] | the pace, and what is used of it |
//! | [`rounds`] | the rounds of a product, and how long an open one still takes |
//! | [`workers`] | whether anybody works a channel |

pub mod dead;
pub mod forecast;
pub mod history;
pub mod inbox;
mod live;
pub mod moment;
pub mod pending;
pub mod product;
pub mod rate;
pub mod rounds;
pub mod status;
pub mod why;
pub mod workers;

pub use live::Unreadable;

use sqlx::MySqlPool;

use crate::{
    mysql::setting::Settings,
    redis::{Redis, RedisError},
};

/// Where it is read.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The record.
    pub mysql: MySqlPool,
    /// The engine; none when it does not answer.
    pub redis: Option<Redis>,
    /// The deployment's settings.
    pub settings: Settings,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Redis failed.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// MySQL failed.
    #[error("MySQL: {0}")]
    Sql(#[from] sqlx::Error),
}
