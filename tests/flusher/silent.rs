//! A leader of whom MySQL hears nothing more, and one that has nothing to say.

use std::time::{Duration, Instant};

use super::{
    fixture::Shop,
    process::{start, start_in},
    proxy::Proxy,
};

/// MySQL waits for a word of its leader for 15 s.
const REPLACED_WITHIN: Duration = Duration::from_secs(45);
const ROUND: &str = "SELECT CAST(restock_round AS CHAR) FROM product";
const LEADER: &str = "SELECT IFNULL(CAST(IS_USED_LOCK(CONCAT('restock-flush-',
        LEFT(SHA2(CONCAT(DATABASE(), '/', value, '/0'), 256), 32))) AS CHAR), 'nobody')
    FROM setting WHERE name = 'namespace'";

/// As after a power cut: no sign comes from the machine any more, and its connection stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_machine_is_gone_is_replaced_and_one_that_has_nothing_to_do_stays() {
    let (idle, shop) = (Shop::open().await, Shop::open().await);
    let _idle = start(&idle.redis_url, &idle.mysql_url, idle.stores.settings.namespace.as_str(), 60_000);
    let begun = Instant::now();
    while idle.rows(LEADER).await == ["nobody"] {
        assert!(begun.elapsed() < REPLACED_WITHIN, "nobody takes the lead");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let idle_leader = idle.rows(LEADER).await;

    shop.product(7, 0, &[101]).await;
    let (server, database) = shop.mysql_url.rsplit_once('/').expect("a database");
    let (_, address) = server.rsplit_once('@').expect("a user");
    let wire = Proxy::start(address.to_owned(), Duration::ZERO).await;
    let by_wire = format!("mysql://root@{}/{database}", wire.address());
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
