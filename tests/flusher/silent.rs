//! Leaders and checks of whom MySQL hears nothing more, and a leader that has nothing to say.

use std::time::{Duration, Instant};

use restock::{
    ids::ProductId,
    mysql,
    redis::{Patience, Redis},
    stores::Stores,
};

use super::{
    fixture::Shop,
    process::{start, start_in},
    proxy::Proxy,
};

/// MySQL waits for a word of its leader for 15 s.
const REPLACED_WITHIN: Duration = Duration::from_secs(45);
/// Where nobody led before.
const LED_WITHIN: Duration = Duration::from_secs(30);
pub(crate) const ROUND: &str = "SELECT CAST(restock_round AS CHAR) FROM product";
const LEADER: &str = "SELECT IFNULL(CAST(IS_USED_LOCK(CONCAT('restock-flush-',
        LEFT(SHA2(CONCAT(DATABASE(), '/', value, '/0'), 256), 32))) AS CHAR), 'nobody')
    FROM setting WHERE name = 'namespace'";

impl Shop {
    /// A way to its MySQL, and the URL by it.
    async fn mysql_by_wire(&self) -> (Proxy, String) {
        let (server, database) = self.mysql_url.rsplit_once('/').expect("a database");
        let (_, address) = server.rsplit_once('@').expect("a user");
        let wire = Proxy::start(address.to_owned(), Duration::ZERO).await;
        let url = format!("mysql://root@{}/{database}", wire.address());
        (wire, url)
    }

    /// Who leads its partition, as soon as somebody does.
    pub(crate) async fn leader(&self) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let leader = self.rows(LEADER).await;
            if leader != ["nobody"] {
                return leader;
            }
            assert!(begun.elapsed() < LED_WITHIN, "nobody takes the lead");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether nobody holds the lock of a product.
    async fn is_free(&self, product: i64) -> bool {
        let lock = sqlx::query("SELECT id FROM product WHERE id = ? FOR UPDATE NOWAIT").bind(product);
        lock.execute(&self.stores.mysql).await.is_ok()
    }
}

/// As after a power cut: no sign comes from the machine any more, and its connection stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_machine_is_gone_is_replaced_and_one_that_has_nothing_to_do_stays() {
    let (idle, shop) = (Shop::open().await, Shop::open().await);
    let _idle = start(&idle.redis_url, &idle.mysql_url, idle.stores.settings.namespace.as_str(), 60_000);
    let idle_leader = idle.leader().await;

    shop.product(7, 0, &[101]).await;
    let (wire, by_wire) = shop.mysql_by_wire().await;
    let mut first = start(&shop.redis_url, &by_wire, shop.stores.settings.namespace.as_str(), 20);
    shop.restock(7).await;
    shop.wait_for(ROUND, "1").await;
    wire.mute();
    first.kill().await.expect("it is killed");
    let gone = Instant::now();
    let _second = start_in(&shop);
    shop.restock(7).await;
    while shop.rows(ROUND).await != ["2"] {
        assert!(gone.elapsed() < REPLACED_WITHIN, "the lead of a dead connection is kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("replaced after {:?}", gone.elapsed());
    // It has been leading for longer than the silence that cost the other one its lead.
    assert_eq!(idle.rows(LEADER).await, idle_leader);
}

/// A check holds the lock of its product while it asks Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_whose_machine_is_gone_does_not_keep_its_product() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    let (mysql_wire, mysql_url) = shop.mysql_by_wire().await;
    let redis_address = shop.redis_url.trim_start_matches("redis://").to_owned();
    let redis_wire = Proxy::start(redis_address, Duration::ZERO).await;
    let settings = shop.stores.settings.clone();
    let redis = Redis::connect(&redis_wire.url().into(), &settings.namespace, Patience::Endless).await;
    let stores = Stores {
        redis: redis.expect("Redis answers"),
        mysql: mysql::connect(&mysql_url.into(), 1).await.expect("MySQL answers"),
        settings,
    };
    redis_wire.slow(Duration::from_secs(3600));
    let check = tokio::spawn(async move { stores.check(ProductId(7)).await });
    let (begun, mut held) = (Instant::now(), 0);
    // Held again and again: it waits for Redis.
    while held < 20 {
        assert!(begun.elapsed() < REPLACED_WITHIN, "the check does not begin");
        held = if shop.is_free(7).await { 0 } else { held + 1 };
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    mysql_wire.mute();
    let gone = Instant::now();
    check.abort();
    while !shop.is_free(7).await {
        assert!(gone.elapsed() < REPLACED_WITHIN, "the lock of a dead connection is kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("freed after {:?}", gone.elapsed());
}
