//! The Redis and the MySQL that a test works on: given from outside, or private to this test binary.

use std::env;

use restock::local::{MYSQL_URL_VARIABLE, REDIS_URL_VARIABLE, Servers};
use tokio::sync::OnceCell;

/// Where the two are.
#[derive(Debug, Clone)]
pub struct Urls {
    /// `redis://HOST:PORT`
    pub redis: String,
    /// `mysql://USER@HOST:PORT`, without a database.
    pub mysql: String,
}

impl Urls {
    /// The URL of a database there, which need not exist yet.
    pub fn mysql_database(&self, name: &str) -> String {
        format!("{}/{name}", self.mysql.trim_end_matches('/'))
    }
}

/// The servers in `RESTOCK_TEST_REDIS_URL` and `RESTOCK_TEST_MYSQL_URL` (`make test` sets both), or else a pair
/// started once for this test binary. Its statics are never dropped: the watchdog ends that pair with the process.
///
/// Tests share them, so none may stop them or flush them; one that must starts its own with `restock::local`.
///
/// # Panics
/// The servers do not start.
pub async fn servers() -> Urls {
    static PAIR: OnceCell<Servers> = OnceCell::const_new();
    let given = |variable| env::var(variable).ok().filter(|url| !url.is_empty());
    if let (Some(redis), Some(mysql)) = (given(REDIS_URL_VARIABLE), given(MYSQL_URL_VARIABLE)) {
        return Urls { redis, mysql };
    }
    let pair = PAIR.get_or_init(|| async { Servers::start().await.unwrap() }).await;
    Urls { redis: pair.redis.url(), mysql: pair.mysql.server_url() }
}

/// A name for a database that no other test uses.
pub fn fresh_database_name() -> String {
    format!("restock_test_{:016x}", rand::random::<u64>())
}

/// A namespace that no other test uses: the first word of all Redis keys.
pub fn fresh_namespace() -> String {
    format!("test-{:016x}", rand::random::<u64>())
}
