//! Redis comes back without its last writes, and the holder of a lane goes on as if nothing had been.

use restock::{
    ids::{ProductId, Round},
    outcome::Outcome,
    redis::scripts::Advanced,
    round::Status,
    sync::Lead,
};

use super::fixture::{PARTITION, Shop, advance, flush, lane, settled};

const ROUNDS: &str = "SELECT CONCAT_WS(' ', restock_round, status, sent_count)
    FROM product_notification_history ORDER BY restock_round";

/// The keys of product 7 that have to go back together.
fn keys(shop: &Shop) -> [String; 2] {
    let keys = shop.stores.redis.keys();
    [keys.product(PARTITION, ProductId(7)), keys.lane(PARTITION, &lane(7))]
}

/// A second round is accepted behind the first and comes to MySQL; then Redis has forgotten it.
async fn forget_a_waiting_round(shop: &Shop, lead: &mut Lead) {
    for key in keys(shop) {
        shop.redis_command(&format!("COPY {key} {key}:saved")).await;
    }
    assert_eq!(shop.restock(7).await, Round(2));
    assert!(flush(lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["1 IN_PROGRESS 0", "2 QUEUED 0"]);
    for key in keys(shop) {
        shop.redis_command(&format!("RENAME {key}:saved {key}")).await;
    }
}

/// The second round is begun with the first in line, and both come to MySQL.
async fn assert_goes_on(shop: &Shop, lead: &mut Lead) {
    let second = shop.view(7).await.expect("Redis has the lane");
    assert_eq!((second.round, second.status, second.waiting), (Round(2), Status::Queued, None));
    let line = shop.line(7).await;
    let mut begun = shop.take_of(7).await;
    assert_eq!(advance(&mut begun, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    assert!(flush(lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["1 COMPLETED 2", "2 COMPLETED 2"]);
    assert_eq!(shop.restock(7).await, Round(3), "no round is given out twice");
}

#[tokio::test]
async fn a_forgotten_round_is_begun_after_the_round_before_it_has_ended() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102]).await;
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let mut lead = shop.lead().await;
    forget_a_waiting_round(&shop, &mut lead).await;

    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUNDS).await, ["1 COMPLETED 2", "2 QUEUED 0"]);
    lead.reconcile().await.unwrap();
    assert_goes_on(&shop, &mut lead).await;
}

#[tokio::test]
async fn a_forgotten_round_waits_again_while_the_round_before_it_goes_on() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102]).await;
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let mut lead = shop.lead().await;
    forget_a_waiting_round(&shop, &mut lead).await;

    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    assert!(flush(&mut lead).await);
    shop.stores.check(ProductId(7)).await.unwrap();
    let held = shop.view(7).await.expect("Redis has the lane");
    assert_eq!((held.round, held.status, held.waiting), (Round(1), Status::InProgress, Some(Round(2))));
    assert_eq!(advance(&mut begun, settled(&line[1..], Outcome::Sent), true).await, Advanced::Completed);
    assert_goes_on(&shop, &mut lead).await;
}
