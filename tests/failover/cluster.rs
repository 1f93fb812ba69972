//! A cluster of three masters, each with a replica.

use restock::{
    clock::wall_us,
    ids::{Namespace, Partition},
    local::{LocalCluster, LocalRedis, fresh_namespace},
    redis::keys::Keys,
};

use super::shop::{PARTITIONS, Shop, until};

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

/// The products that this server has.
async fn products_of(redis: &LocalCluster, shop: &Shop, node: &LocalRedis) -> Vec<i64> {
    let mut products = Vec::new();
    for partition in (0..PARTITIONS).map(Partition) {
        let (owner, _) = redis.owner(&shop.keys.signal(partition)).await.expect("a node answers");
        if owner.port() == node.port() {
            products.push(i64::from(partition.0));
        }
    }
    products
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_everything_runs_with_only_another_url() {
    let redis = LocalCluster::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), spread(&redis).await, 500).await;
    let _roles = (shop.flusher(), shop.worker());
    for product in 1..=i64::from(PARTITIONS) {
        shop.product(product, 30).await;
        let told = shop.done(&["enqueue", &product.to_string(), "--wait"]).await;
        assert!(told.contains("COMPLETED"), "{told}");
    }
    for product in 1..=i64::from(PARTITIONS) {
        shop.completed(product).await;
        assert_eq!(shop.told(product, 30).await, 0);
    }
    for command in [["status", "2"], ["verify", "3"], ["pending", "--output=json"], ["rate", "--output=json"]] {
        shop.done(&command).await;
    }
    shop.done(&["verify"]).await;
    shop.done(&["doctor", "--json"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_killed_and_its_replica_lacks_the_last_writes_and_nobody_is_lost() {
    let redis = LocalCluster::start().await.expect("the servers start");
    let shop = Shop::open(redis.url(), spread(&redis).await, 600).await;
    let _roles = (shop.flusher(), shop.worker());
    for product in 1..=i64::from(PARTITIONS) {
        shop.product(product, PEOPLE).await;
        shop.done(&["enqueue", &product.to_string()]).await;
    }
    shop.receiver.wait_for(600).await;
    let key = shop.keys.signal(Partition(1));
    let (master, replica) = redis.owner(&key).await.expect("a node answers");
    let hit = products_of(&redis, &shop, master).await;
    master.cut_off(replica.expect("it has a replica")).await.expect("both answer");
    let cut = shop.standing(1).await;
    shop.receiver.wait_for(shop.receiver.count() + 400).await;
    master.kill().await.expect("it is killed");
    let killed_us = wall_us();
    let mut killed = Vec::new();
    for product in 1..=i64::from(PARTITIONS) {
        killed.push(shop.standing(product).await);
    }
    redis.replaced(master, &key).await.expect("the replica is promoted");
    let promoted_us = wall_us();
    for product in 1..=i64::from(PARTITIONS) {
        shop.completed(product).await;
    }
    let ended_us = wall_us();
    for (product, killed) in (1..=i64::from(PARTITIONS)).zip(killed) {
        let repeated = shop.told(product, PEOPLE).await;
        let on_us = shop.first_start_after(product, killed_us + 500_000);
        let is_hit = hit.contains(&(product % i64::from(PARTITIONS)));
        eprintln!(
            "product {product}, hit {is_hit}: {killed:?}, on after {:?} ms, {repeated} told twice",
            on_us.map(|on_us| (on_us - killed_us) / 1000)
        );
        let most = if is_hit { killed.started - killed.recorded + 256 } else { 0 };
        assert!(repeated <= most, "product {product}: {repeated} told twice, at most {most}");
    }
    eprintln!(
        "cut at {cut:?}; promoted after {} ms, all done after {} ms",
        (promoted_us - killed_us) / 1000,
        (ended_us - killed_us) / 1000
    );
    until("nothing is left to be found", || async { shop.command(&["verify"]).await.status.success() }).await;
}
