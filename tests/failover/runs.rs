//! What a server is believed that was replaced and takes over again.

use restock::{
    ids::{ProductId, Round},
    local::{LocalRedis, fresh_namespace},
    redis::{
        Patience, Redis,
        scripts::{Enqueue, Enqueued},
    },
    stores::Stores,
};

use super::{
    shop::{Shop, until},
    turn,
};

const PRODUCT: ProductId = ProductId(1);

async fn enqueue(stores: &Stores) -> Enqueued {
    let enqueue = Enqueue {
        partition: stores.partition_of(PRODUCT),
        product: PRODUCT,
        quantity: 0,
        key: None,
        request: None,
        backlog_max: 100_000,
        channels: &stores.settings.channels,
    };
    stores.redis.enqueue(&enqueue).await.expect("Redis answers")
}

/// Makes a server copy another, and waits until it does.
pub(crate) async fn follow(copy: &LocalRedis, primary: &LocalRedis) {
    primary.command("CONFIG SET repl-diskless-sync-delay 0").await.expect("it answers");
    copy.command(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).await.expect("it answers");
    until("the copy follows", || async {
        copy.command("INFO replication").await.expect("it answers").contains("master_link_status:up")
    })
    .await;
}

/// It lost a round when it was replaced; nobody touched the product at its successor; and it was never started anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_over_a_second_time_is_not_believed() {
    let _turn = turn().await;
    let (first, second) = tokio::try_join!(LocalRedis::start(), LocalRedis::start()).expect("the servers start");
    let shop = Shop::open(first.url(), fresh_namespace(), 500).await;
    shop.product(PRODUCT.0, 3).await;
    let settings = shop.settings.clone();
    let redis = Redis::connect(&first.url().into(), &settings.namespace, Patience::Endless).await.expect("it answers");
    let stores = Stores { redis, mysql: shop.mysql.clone(), settings };
    follow(&second, &first).await;
    stores.check(PRODUCT).await.expect("both stores answer");
    first.cut_off(&second).await.expect("both answer");
    assert_eq!(enqueue(&stores).await, Enqueued::Queued(Round(1)));

    second.command("CONFIG SET masteruser \"\" masterauth \"\"").await.expect("it answers");
    second.command("REPLICAOF NO ONE").await.expect("it answers");
    follow(&first, &second).await;
    first.command("REPLICAOF NO ONE").await.expect("it answers");
    assert_eq!(enqueue(&stores).await, Enqueued::Unchecked);
    stores.check(PRODUCT).await.expect("both stores answer");
    assert!(matches!(enqueue(&stores).await, Enqueued::Queued(_)));
}
