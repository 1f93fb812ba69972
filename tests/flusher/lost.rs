//! One of the stores is emptied or set back.

use std::time::{Duration, Instant};

use restock::{
    ids::{ProductId, Round},
    local::{LocalRedis, Servers},
    outcome::Outcome,
    redis::scripts::{Advanced, BeginReply, Relogged, StockChange},
    round::Status,
    stores::Checked,
    sync::{Flushed, Lead, Relayed},
};

use tokio_util::sync::CancellationToken;

use super::fixture::{PARTITION, Shop, advance, flush, lane, settled};

#[tokio::test]
async fn an_emptied_redis_gets_its_open_rounds_back() {
    let redis = LocalRedis::start().await.unwrap();
    let shop = Shop::open_on(&redis.url()).await;
    for product in [7, 8, 9] {
        shop.product(product, 0, &[101, 102]).await;
    }
    // 7 is under way with a round behind it, 8 is done, 9 waits for a worker.
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    assert_eq!(shop.restock(7).await, Round(2));
    shop.restock(8).await;
    let line_of_8 = shop.line(8).await;
    assert_eq!(advance(&mut *shop.take().await, settled(&line_of_8, Outcome::Sent), true).await, Advanced::Completed);
    shop.restock(9).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let (seven, nine) = (shop.view(7).await.unwrap(), shop.view(9).await.unwrap());

    shop.redis_command("FLUSHALL").await;
    assert!(flush(&mut lead).await);
    assert_eq!(lead.reconcile().await.unwrap().checked, 2);
    assert_eq!(lead.reconcile().await.unwrap().checked, 0, "once is enough");
    let back = shop.view(7).await.unwrap();
    assert_eq!((back.round, back.status, back.waiting), (Round(1), Status::InProgress, Some(Round(2))));
    assert_eq!((back.cursor, back.counts, back.last_user), (seven.cursor, seven.counts, seven.last_user));
    assert!(back.stamp.epoch > seven.stamp.epoch && back.token.is_none());
    let queued = shop.view(9).await.unwrap();
    assert!(queued.status == Status::Queued && queued.stamp.epoch > nine.stamp.epoch);
    let entries = [(lane(7), back.entry.unwrap()), (lane(9), queued.entry.unwrap())];
    assert_eq!(shop.stores.redis.have_entries(PARTITION, &entries).await.unwrap(), [true, true]);

    // The old holder is out, a new one goes on after the last person told, and the next round follows.
    assert_eq!(advance(&mut begun, vec![], false).await, Advanced::Lost);
    let mut again = shop.take_of(7).await;
    assert_eq!((again.round, again.cursor), (Round(1), Some(line[0].0)));
    assert_eq!(advance(&mut again, settled(&line[1..], Outcome::Sent), true).await, Advanced::Completed);
    assert_eq!(shop.view(7).await.unwrap().round, Round(2));
    assert_eq!(shop.restock(8).await, Round(2), "no round is given out twice");
    assert!(flush(&mut lead).await);
    let rounds = "SELECT CONCAT_WS(' ', product_id, restock_round, status, sent_count)
        FROM product_notification_history ORDER BY product_id, restock_round";
    let expected = ["7 1 COMPLETED 2", "7 2 QUEUED 0", "8 1 COMPLETED 2", "8 2 QUEUED 0", "9 1 QUEUED 0"];
    assert_eq!(shop.rows(rounds).await, expected);
}

#[tokio::test]
async fn a_mysql_that_was_set_back_learns_again_what_redis_holds() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102]).await;
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.resign().await;

    shop.execute(
        "DELETE FROM product_notification_history;
         UPDATE product SET stock = 0, restock_round = 0, epoch = 0, version = 0, reserved_epoch = 0;
         UPDATE flush_position SET last_entry = '1-1';
         INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)",
    )
    .await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let rounds = "SELECT CONCAT_WS(' ', restock_round, status, sent_count) FROM product_notification_history";
    assert_eq!(shop.rows(rounds).await, ["1 IN_PROGRESS 1"]);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', stock, restock_round) FROM product").await, ["1 1"]);
    // The worker did not notice.
    assert_eq!(advance(&mut begun, settled(&line[1..], Outcome::Sent), true).await, Advanced::Completed);
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows(rounds).await, ["1 COMPLETED 2"]);

    // What was pending may have had its round: it is held; what comes now is not.
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(0));
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)").await;
    assert_eq!(lead.relay().await.unwrap(), Relayed::Done(1));
    assert!(flush(&mut lead).await);
    let states = "SELECT CONCAT_WS(' ', state, restock_round) FROM restock_request ORDER BY id";
    assert_eq!(shop.rows(states).await, ["PENDING", "ACCEPTED 2"]);
}

#[tokio::test]
async fn a_round_that_a_backup_holds_as_open_is_not_gone_back_to() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102]).await;
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    shop.execute("CREATE TABLE backup AS SELECT * FROM product_notification_history").await;
    assert_eq!(advance(&mut begun, settled(&line[1..], Outcome::Sent), true).await, Advanced::Completed);
    shop.restock(7).await;
    let mut second = shop.take_of(7).await;
    assert_eq!(advance(&mut second, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    assert!(flush(&mut lead).await);
    lead.resign().await;

    shop.execute(
        "DELETE FROM product_notification_history; INSERT INTO product_notification_history SELECT * FROM backup;
         UPDATE flush_position SET last_entry = '1-1'",
    )
    .await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(lead.evict(-1_000).await.unwrap(), 1);
    lead.reconcile().await.unwrap();
    let back = shop.view(7).await.expect("it was installed again");
    assert_eq!((back.round, back.status, back.entry), (Round(2), Status::Completed, None));
    let rounds =
        "SELECT CONCAT_WS(' ', restock_round, status) FROM product_notification_history ORDER BY restock_round";
    assert_eq!(shop.rows(rounds).await, ["1 SUPERSEDED", "2 COMPLETED"]);
    assert_eq!(lead.reconcile().await.unwrap().checked, 0, "once is enough");
}

#[tokio::test]
async fn a_mysql_set_back_under_its_leader_is_noticed_while_nothing_happens() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    // A backup is played in; neither the server nor the connection notices.
    shop.execute(
        "DELETE FROM product_notification_history;
         UPDATE product SET stock = 0, restock_round = 0, epoch = 0, version = 0, reserved_epoch = 0;
         DELETE FROM flush_position",
    )
    .await;
    let start = Instant::now();
    while lead.flush().await.unwrap() != Flushed::Deposed {
        assert!(start.elapsed().as_secs() < 10, "it still believes to know how far MySQL is");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lead.resign().await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', stock, restock_round) FROM product").await, ["1 1"]);
    assert_eq!(shop.rows("SELECT status FROM product_notification_history").await, ["QUEUED"]);
}

#[tokio::test]
async fn what_a_deleted_log_still_held_is_logged_again() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let line = shop.line(7).await;
    assert_eq!(advance(&mut *shop.take().await, settled(&line, Outcome::Sent), true).await, Advanced::Completed);
    shop.redis_command(&format!("DEL {}", shop.log_key())).await;
    let status = "SELECT CONCAT_WS(' ', status, sent_count) FROM product_notification_history";
    let start = Instant::now();
    while shop.rows(status).await != ["COMPLETED 1"] {
        assert!(flush(&mut lead).await);
        assert!(start.elapsed().as_secs() < 10, "MySQL never learns of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn after_a_lost_tail_new_entries_lie_above_the_position() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.resign().await;
    // A position in the far future is one that Redis has lost all entries up to.
    shop.execute("UPDATE flush_position SET last_entry = '99999999999999-5'").await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    shop.restock(7).await;
    assert!(shop.redis_command(&format!("XRANGE {} - + COUNT 1", shop.log_key())).await.contains("99999999999999-"));
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows("SELECT CAST(restock_round AS CHAR) FROM product").await, ["2"]);
}

#[tokio::test]
async fn an_epoch_reserved_by_somebody_who_died_makes_nothing_old() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    shop.execute("UPDATE product SET reserved_epoch = reserved_epoch + 1").await;
    assert_eq!(shop.restock(7).await, Round(2));
    shop.stores.redis.change_stock(PARTITION, ProductId(7), StockChange::Set(40)).await.unwrap();
    // Nor for the next check, which comes before MySQL has it.
    assert_eq!(shop.stores.check(ProductId(7)).await.unwrap(), Checked::Done(0));
    assert!(flush(&mut lead).await);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', stock, restock_round) FROM product").await, ["40 2"]);
    assert_eq!(shop.restock(7).await, Round(3));
}

#[tokio::test]
async fn an_open_lane_without_an_entry_gets_one() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let jobs = shop.stores.redis.keys().jobs(PARTITION, &lane(7).channel);
    shop.redis_command(&format!("DEL {jobs}")).await;
    assert_eq!(lead.reconcile().await.unwrap().checked, 1);
    let entry = shop.next_entry().await;
    assert!(matches!(shop.begin(&entry).await, BeginReply::Go(_)));
    assert_eq!(lead.reconcile().await.unwrap().checked, 0);
}

#[tokio::test]
async fn checks_at_the_same_time_all_end_well() {
    let shop = Shop::open().await;
    shop.product(7, 3, &[101]).await;
    let checks = (0..40).map(|_| {
        let stores = shop.stores.clone();
        tokio::spawn(async move { stores.check(ProductId(7)).await })
    });
    for check in checks.collect::<Vec<_>>() {
        assert!(matches!(check.await.unwrap().unwrap(), Checked::Done(_)));
    }
    assert_eq!(shop.stores.check(ProductId(404)).await.unwrap(), Checked::NoSuchProduct);
    let relogged = shop.stores.redis.relog(PARTITION, ProductId(404), &[]).await.unwrap();
    assert_eq!(relogged, Relogged::Absent);
    assert_eq!(shop.restock(7).await, Round(1));
    let lead: Lead = shop.lead().await;
    lead.resign().await;
}

#[tokio::test]
async fn neither_store_s_absence_ends_the_flusher() {
    let own = Servers::start().await.unwrap();
    let shop = Shop::open_on_own(&own).await;
    shop.product(7, 0, &[101]).await;
    let stop = CancellationToken::new();
    let running = shop.run(stop.clone()).await;
    shop.restock(7).await;
    let round = "SELECT CAST(restock_round AS CHAR) FROM product";
    shop.wait_for(round, "1").await;

    own.mysql.kill().await.unwrap();
    assert_eq!(shop.restock(7).await, Round(2));
    own.mysql.start_again().await.unwrap();
    shop.wait_for(round, "2").await;

    own.redis.stop().await.unwrap();
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (7, 5)").await;
    own.redis.start_again().await.unwrap();
    shop.wait_for("SELECT CONCAT_WS(' ', state, restock_round) FROM restock_request", "ACCEPTED 3").await;
    stop.cancel();
    running.await.unwrap();
}
