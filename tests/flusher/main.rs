//! The flusher: MySQL follows Redis, and whichever of the two is lost or set back comes to what the other knows.

mod aged;
mod beside;
mod crash;
mod fixture;
mod lost;
mod outbox;
mod overtaken;
mod pauses;
mod poison;
mod process;
#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "nothing becomes slower or breaks on its way here")]
mod proxy;
mod refused;
mod set_back;
mod silent;
mod stale;
#[path = "../support/mod.rs"]
mod support;

use fixture::{PARTITION, Shop, advance, flush, keep, lane, settled};
use restock::{
    ids::{ProductId, Round},
    outcome::Outcome,
    redis::scripts::{Advanced, Enqueued, StockChange, StockChanged},
    round::Status,
    stores::Checked,
    sync::{BACKLOG_MAX, Lead, Relayed},
};
use tokio_util::sync::CancellationToken;

const ROUND: &str = "SELECT CONCAT_WS(' ', status, sent_count, failed_count, last_user_id, total)
    FROM product_notification_history WHERE product_id = 7 AND restock_round = 1";

#[tokio::test]
async fn three_people_come_to_mysql_in_order_within_a_second() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102, 103]).await;
    let stop = CancellationToken::new();
    let running = shop.run(stop.clone()).await;

    assert_eq!(shop.restock(7).await, Round(1));
    shop.wait_for("SELECT CONCAT_WS(' ', stock, restock_round) FROM product", "1 1").await;
    shop.wait_for(ROUND, "QUEUED 0 0").await;
    let mut begun = shop.take().await;
    keep(&mut begun).await;
    shop.wait_for(ROUND, "IN_PROGRESS 0 0 3").await;
    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line[..2], Outcome::Sent), false).await, Advanced::Go);
    shop.wait_for(ROUND, "IN_PROGRESS 2 0 102 3").await;
    assert_eq!(advance(&mut begun, settled(&line[2..], Outcome::Failed), true).await, Advanced::Completed);

    // What is not yet flushed is so before the end.
    stop.cancel();
    running.await.unwrap();
    assert_eq!(shop.rows(ROUND).await, ["COMPLETED 2 1 103 3"]);
    let people = "SELECT CONCAT_WS(' ', user_id, outcome) FROM product_user_notification_history ORDER BY place";
    assert_eq!(shop.rows(people).await, ["101 SENT", "102 SENT", "103 FAILED"]);
    assert!(shop.redis_command(&format!("XLEN {}", shop.log_key())).await.starts_with(":0\r\n"));
}

#[tokio::test]
async fn a_batch_applied_twice_changes_nothing() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102]).await;
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)").await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(1));
    let mut begun = shop.take().await;
    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line, Outcome::Sent), true).await, Advanced::Completed);

    let (log, copy) = (shop.log_key(), format!("{}copy", shop.log_key()));
    shop.redis_command(&format!("COPY {log} {copy}")).await;
    assert!(flush(&mut lead).await);
    let once = shop.dump().await;
    assert!(once.iter().any(|row| row.contains("COMPLETED")) && once.iter().any(|row| row == "1 ACCEPTED 1 -"));
    // As if the first flusher had died between the commit and the deletion.
    lead.resign().await;
    shop.redis_command(&format!("RENAME {copy} {log}")).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(shop.dump().await, once);
    assert!(shop.redis_command(&format!("XLEN {log}")).await.starts_with(":0\r\n"));
}

#[tokio::test]
async fn a_round_that_told_everybody_from_the_first_on_needs_not_be_counted() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102, 103]).await;
    let mut lead = shop.lead().await;
    shop.restock(7).await;
    let line = shop.line(7).await;
    let mut begun = shop.take().await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    // Nobody counts here: that is a loop of its own.
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUND).await, ["IN_PROGRESS 1 0 101"]);
    assert_eq!(advance(&mut begun, settled(&line[1..], Outcome::Failed), true).await, Advanced::Completed);
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUND).await, ["COMPLETED 1 2 103 3"]);

    // Somebody may have left the line after they were counted.
    shop.execute("UPDATE product_notification_history SET total = 4").await;
    shop.stores.redis.relog(PARTITION, ProductId(7), &[lane(7).channel]).await.unwrap();
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(ROUND).await, ["COMPLETED 1 2 103 4"]);
}

#[tokio::test]
async fn of_two_flushers_only_one_applies() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    let mut first = shop.lead().await;
    assert!(Lead::elect(&shop.stores, PARTITION, BACKLOG_MAX).await.unwrap().is_none());
    assert!(flush(&mut first).await);

    // Another one moved the position: the first one's batch is not applied.
    shop.execute("UPDATE flush_position SET last_entry = '1-1'").await;
    shop.restock(7).await;
    let before = shop.dump().await;
    assert!(!flush(&mut first).await);
    assert_eq!(shop.dump().await, before);

    first.resign().await;
    let mut second = shop.lead().await;
    assert!(flush(&mut second).await);
    assert_eq!(shop.rows("SELECT status FROM product_notification_history").await, ["QUEUED"]);
}

#[tokio::test]
async fn a_leader_without_its_connection_is_replaced() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    let mut first = shop.lead().await;
    assert!(flush(&mut first).await);
    let holder =
        "SELECT CAST(IS_USED_LOCK(CONCAT('restock-flush-', LEFT(SHA2(CONCAT(DATABASE(), '/', ns.value, '/0'), 256), 32))) AS CHAR)
        FROM setting ns WHERE ns.name = 'namespace'";
    let id = shop.rows(holder).await.remove(0);
    shop.execute(&format!("KILL {id}")).await;
    shop.restock(7).await;
    let mut second = shop.lead().await;
    assert!(first.flush().await.is_err());
    assert!(flush(&mut second).await);
    assert_eq!(shop.rows("SELECT status FROM product_notification_history").await, ["QUEUED"]);
}

#[tokio::test]
async fn a_row_in_the_outbox_gets_its_round_and_an_impossible_one_its_reason() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.product(8, 0, &[]).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    shop.execute(
        "INSERT INTO restock_request (product_id, quantity, idempotency_key) VALUES
         (7, 5, 'a'), (7, 5, NULL), (404, 1, NULL), (7, -1, NULL), (7, 1, '#1'), (8, 0, 'b'), (-3, 1, NULL), (7, 1, '')",
    )
    .await;
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(8));
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(0));
    assert!(flush(&mut lead).await);
    let state = "SELECT CONCAT_WS(' ', state, restock_round, reason IS NULL) FROM restock_request ORDER BY id";
    let refused = "REFUSED 0";
    let expected = ["ACCEPTED 1 1", "ACCEPTED 2 1", refused, refused, refused, refused, refused, refused];
    assert_eq!(shop.rows(state).await, expected);
    let seen = shop.stores.redis.keys().seen(PARTITION, ProductId(7), "a");
    let ttl = shop.redis_command(&format!("TTL {seen}")).await;
    assert!(ttl.starts_with(":86"), "{ttl}");
}

#[tokio::test]
async fn an_evicted_product_comes_back_as_it_was() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102]).await;
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    let changed = shop.stores.redis.change_stock(PARTITION, ProductId(7), StockChange::Set(0)).await.unwrap();
    assert_eq!(changed, StockChanged::Ok(0));
    let stopped = advance(&mut begun, vec![], false).await;
    assert_eq!(stopped, Advanced::Stopped(restock::redis::scripts::Stop::SoldOut));

    let mut lead = shop.lead().await;
    assert_eq!(lead.evict(-1_000).await.unwrap(), 0, "MySQL does not have it yet");
    assert!(flush(&mut lead).await);
    assert_eq!(lead.evict(60_000).await.unwrap(), 0, "it ended just now");
    let before = shop.view(7).await.unwrap();
    assert_eq!(lead.evict(-1_000).await.unwrap(), 1);
    assert_eq!(shop.view(7).await, None);

    assert_eq!(shop.stores.check(ProductId(7)).await.unwrap(), Checked::Done(1));
    let mut after = shop.view(7).await.unwrap();
    assert!(after.stamp > before.stamp);
    after.stamp = before.stamp;
    assert_eq!(after, before);
    assert_eq!(shop.enqueue(7, 0).await, Enqueued::NoStock(0));
    assert_eq!(shop.restock(7).await, Round(2));
    assert_eq!(shop.take().await.cursor, Some(line[0].0));
}

#[tokio::test]
async fn lanes_of_a_disabled_channel_end() {
    let mut shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.resign().await;
    shop.stores.settings.channels = vec!["file".parse().unwrap()];
    let mut lead = shop.lead().await;
    assert_eq!(lead.reconcile().await.unwrap().canceled, 1);
    assert_eq!(shop.view(7).await.unwrap().status, Status::CanceledByAdmin);
    assert!(shop.stores.redis.read_lanes(PARTITION, &[lane(9)]).await.unwrap()[0].is_none());
}
