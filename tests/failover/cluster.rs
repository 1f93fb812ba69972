//! A cluster of three masters, each with a replica.

use std::time::Duration;

use restock::{
    clock::wall_us,
    ids::{Namespace, Partition, ProductId},
    local::{LocalCluster, LocalRedis, fresh_namespace},
    redis::{
        Patience, Redis,
        keys::Keys,
        signal::{self, Signal},
    },
};
use tokio::time::timeout;

use super::{
    shop::{PARTITIONS, Shop, until},
    turn,
};

const PEOPLE: i64 = 500;

/// A namespace of which each master has some partition.
async fn spread(redis: &LocalCluster) -> Namespace {
    loop {
        let namespace = fresh_namespace();
        let keys = Keys::new(namespace.clone());
        let mut ports = Vec::new();
        for partition in (0..PARTITIONS).map(Partition) {
            ports.push(redis.owner(&keys.signal(partition)).await.expect("a node answers").0.port());
        }
        ports.sort_unstable();
        ports.dedup();
        if ports.len() == 3 {
            return namespace;
        }
    }
}

fn products() -> impl Iterator<Item = i64> {
    1..=i64::from(PARTITIONS)
}

/// Where a product lies.
fn partition(product: i64) -> Partition {
    Partition::of(ProductId(product), PARTITIONS)
}

/// One product in each partition, with a round that has begun in all of them.
async fn begin(shop: &Shop) {
    for product in products() {
        shop.product(product, PEOPLE).await;
        shop.done(&["enqueue", &product.to_string()]).await;
    }
    until("all rounds have begun", || async {
        let mut begun = true;
        for product in products() {
            begun &= shop.standing(product).await.started > 50;
        }
        begun
    })
    .await;
}

/// The products that this server has.
async fn products_of(redis: &LocalCluster, shop: &Shop, node: &LocalRedis) -> Vec<i64> {
    let mut found = Vec::new();
    for product in products() {
        let (owner, _) = redis.owner(&shop.keys.signal(partition(product))).await.expect("a node answers");
        if owner.port() == node.port() {
            found.push(product);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_everything_runs_with_only_another_url() {
    let _turn = turn().await;
    let redis = LocalCluster::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), spread(&redis).await, 500).await;
    let _roles = (shop.flusher(), shop.worker());
    for product in products() {
        shop.product(product, 30).await;
        shop.done(&["enqueue", &product.to_string()]).await;
    }
    for product in products() {
        shop.completed(product).await;
        assert_eq!(shop.told(product, 30).await, 0);
    }
    shop.product(42, 30).await;
    shop.done(&["enqueue", "42", "--wait"]).await;
    shop.commands_work().await;
    let sheet = shop.done(&["doctor", "--json"]).await;
    assert_eq!(sheet.matches("a primary with 1 replicas").count(), 3, "{sheet}");
}

/// Whose products are hit, how each round stood then, and whether what was told twice is within the bound.
async fn judge(shop: &Shop, hit: &[i64], at_us: i64, standings: Vec<super::shop::Standing>) {
    for (product, standing) in products().zip(standings) {
        shop.completed(product).await;
        let repeated = shop.told(product, PEOPLE).await;
        let is_hit = hit.contains(&product);
        let on_ms = shop.first_start_after(product, at_us + 500_000).map(|on_us| (on_us - at_us) / 1000);
        eprintln!("product {product}, hit {is_hit}: {standing:?}, on after {on_ms:?} ms, {repeated} told twice");
        let most = if is_hit { standing.in_doubt() } else { 0 };
        assert!(repeated <= most, "product {product}: {repeated} told twice, at most {most}");
    }
    shop.verified().await;
}

async fn standings(shop: &Shop) -> Vec<super::shop::Standing> {
    let mut all = Vec::new();
    for product in products() {
        all.push(shop.standing(product).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_killed_and_its_replica_lacks_the_last_writes_and_nobody_is_lost() {
    let _turn = turn().await;
    let redis = LocalCluster::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), spread(&redis).await, 600).await;
    let _roles = (shop.flusher(), shop.worker());
    begin(&shop).await;
    let key = shop.keys.signal(partition(1));
    let (master, replica) = redis.owner(&key).await.expect("a node answers");
    let hit = products_of(&redis, &shop, master).await;
    master.cut_off(replica.expect("it has a replica")).await.expect("both answer");
    shop.receiver.wait_for(shop.receiver.count() + 300).await;
    master.kill().await.expect("it is killed");
    let (killed_us, killed) = (wall_us(), standings(&shop).await);
    redis.replaced(master, &key).await.expect("the replica is promoted");
    eprintln!("promoted after {} ms", (wall_us() - killed_us) / 1000);
    judge(&shop, &hit, killed_us, killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_freezes_is_replaced_and_nobody_listens_to_it_when_it_wakes() {
    let _turn = turn().await;
    let redis = LocalCluster::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), spread(&redis).await, 600).await;
    let _roles = (shop.flusher(), shop.worker());
    begin(&shop).await;
    let key = shop.keys.signal(partition(1));
    let (master, _) = redis.owner(&key).await.expect("a node answers");
    let hit = products_of(&redis, &shop, master).await;
    master.freeze().await.expect("it runs");
    let (frozen_us, frozen) = (wall_us(), standings(&shop).await);
    redis.replaced(master, &key).await.expect("the replica is promoted");
    until("the round goes on", || async { shop.first_start_after(1, frozen_us + 500_000).is_some() }).await;
    master.thaw().await.expect("it runs");
    judge(&shop, &hit, frozen_us, frozen).await;
}

/// As before an upgrade of a server: no connection breaks, and what lay at one server lies at another.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_hands_over_in_the_middle_and_nobody_is_told_twice() {
    let _turn = turn().await;
    let redis = LocalCluster::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), spread(&redis).await, 600).await;
    let client =
        Redis::connect(&redis.url().into(), &shop.settings.namespace, Patience::Endless).await.expect("Redis answers");
    let mut signals = signal::listen(&client, PARTITIONS).await.expect("Redis answers");
    let _roles = (shop.flusher(), shop.worker());
    begin(&shop).await;
    let key = shop.keys.signal(partition(1));
    let (master, replica) = redis.owner(&key).await.expect("a node answers");
    replica.expect("it has a replica").command("CLUSTER FAILOVER").await.expect("it may take over");
    let (handed_us, standings) = (wall_us(), standings(&shop).await);
    redis.replaced(master, &key).await.expect("the replica is promoted");
    judge(&shop, &[], handed_us, standings).await;
    let (owner, _) = redis.owner(&key).await.expect("a node answers");
    let heard = async {
        loop {
            owner.command(&format!("SPUBLISH {key} 7")).await.expect("it answers");
            let next = timeout(Duration::from_millis(100), signals.recv()).await;
            if matches!(next, Ok(Some(Signal::Stop(ProductId(7))))) {
                break;
            }
        }
    };
    timeout(Duration::from_secs(10), heard).await.expect("a stop signal from the new owner is heard");
}
