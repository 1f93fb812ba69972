//! Both stores at once: where a product lies, and checking Redis against MySQL.
//!
//! Whoever is answered "unchecked" by a script calls [`Stores::check`] and then the script again. The flusher does so
//! too, for what it finds missing.

mod check;
mod open;
mod stamps;
mod watch;

use sqlx::MySqlPool;

use crate::{
    ids::{Partition, ProductId},
    meter,
    mysql::{self, setting::Settings},
    redis::{Redis, RedisError},
};

pub use check::Checked;
pub use open::OpenError;
pub use stamps::{LaneStamps, all_channels, lane_stamps};
pub use watch::SettingsWatch;

/// Redis and MySQL of one deployment, and its settings.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The engine.
    pub redis: Redis,
    /// The record.
    pub mysql: MySqlPool,
    /// As last read from MySQL.
    pub settings: Settings,
}

/// What can go wrong with work that needs both stores.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Redis failed.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// MySQL failed.
    #[error("MySQL: {0}")]
    Sql(#[source] sqlx::Error),
    /// Others kept installing the same product.
    #[error("product {0} is being checked by too many at once; try again")]
    Contended(ProductId),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // Every failure of a call of the running parts passes here, once; the readers of pages count their own.
        meter::count_sql_error(mysql::is_unreachable(&error));
        Self::Sql(error)
    }
}

impl StoreError {
    /// Whether somebody else holds what this needed; what needs other things may go through now.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        match self {
            Self::Sql(error) => mysql::is_deadlock(error),
            Self::Contended(_) => true,
            Self::Redis(_) => false,
        }
    }

    /// Whether MySQL cannot write because there is no room; its connections are well.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Sql(error) if mysql::is_full(error))
    }

    /// Whether the same may go through later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_unreachable(),
            Self::Sql(error) => mysql::is_unreachable(error) || mysql::is_deadlock(error),
            Self::Contended(_) => true,
        }
    }
}

impl Stores {
    /// The partition of a product.
    #[must_use]
    pub fn partition_of(&self, product: ProductId) -> Partition {
        Partition::of(product, self.settings.partitions)
    }

    /// Every partition of this deployment.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.settings.partitions).map(Partition)
    }
}
