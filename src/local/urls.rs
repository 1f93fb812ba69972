//! Where tests find their servers, and names of their own on servers that they share.

use std::env;

use super::{LocalMySql, LocalRedis};
use crate::ids::Namespace;

/// The URL of the Redis to test with.
pub const REDIS_URL_VARIABLE: &str = "RESTOCK_TEST_REDIS_URL";
/// The URL of the MySQL to test with, without a database: the user in it may create some.
pub const MYSQL_URL_VARIABLE: &str = "RESTOCK_TEST_MYSQL_URL";

/// The Redis and the MySQL that a test works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// `redis://HOST:PORT`
    pub redis: String,
    /// `mysql://USER@HOST:PORT`, without a database.
    pub mysql: String,
}

impl Urls {
    /// The servers named by [`REDIS_URL_VARIABLE`] and [`MYSQL_URL_VARIABLE`], if both are set.
    #[must_use]
    pub fn given() -> Option<Self> {
        Some(Self { redis: given(REDIS_URL_VARIABLE)?, mysql: given(MYSQL_URL_VARIABLE)? })
    }

    /// Those of private servers.
    #[must_use]
    pub fn of(redis: &LocalRedis, mysql: &LocalMySql) -> Self {
        Self { redis: redis.url(), mysql: mysql.server_url() }
    }

    /// The URL of a database of that MySQL, which need not exist yet.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.mysql.trim_end_matches('/'))
    }
}

/// A name for a database that no other test uses.
#[must_use]
pub fn fresh_database_name() -> String {
    format!("restock_test_{:016x}", rand::random::<u64>())
}

/// A namespace that no other test uses: the first word of all its Redis keys.
///
/// # Panics
/// Never: the text is a valid namespace.
#[must_use]
pub fn fresh_namespace() -> Namespace {
    format!("test-{:016x}", rand::random::<u64>()).parse().expect("hexadecimal digits make a valid namespace")
}

/// The value of a variable that is set and not empty.
pub(super) fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}
