//! The Redis and the MySQL that tests share: given from outside, or private to this test binary.

use restock::local::{Servers, Urls};
use tokio::sync::OnceCell;

/// The servers in `RESTOCK_TEST_REDIS_URL` and `RESTOCK_TEST_MYSQL_URL` (`make test` sets both), or else a pair
/// started once for this test binary. Its statics are never dropped: the watchdog ends that pair with the process.
///
/// Tests share them, so none may stop or flush them; one that must starts its own with `restock::local`. Each takes
/// names of its own from `fresh_database_name` and `fresh_namespace` there.
///
/// # Panics
/// The servers do not start.
pub(crate) async fn servers() -> Urls {
    static PAIR: OnceCell<Servers> = OnceCell::const_new();
    if let Some(urls) = Urls::given() {
        return urls;
    }
    let pair = PAIR.get_or_init(|| async { Servers::start().await.expect("private servers start") }).await;
    Urls::of(&pair.redis, &pair.mysql)
}
