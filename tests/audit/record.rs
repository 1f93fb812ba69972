//! What is broken in MySQL, and between the two.

use restock::{
    ids::{IdempotencyKey, ProductId, Round},
    mysql::request,
    producer::Producer,
    verify::{Kind, Mend},
};

use super::shop::{PARTITION, Shop, until};

#[tokio::test]
async fn a_deleted_outcome_is_a_person_lost() {
    let (shop, _flushing) = Shop::after_a_round(30).await;
    shop.execute("DELETE FROM product_user_notification_history WHERE user_id = 17").await;
    let report = shop.found(&[Kind::PersonLost, Kind::CountDiffers]).await;
    let lost = report.findings.iter().find(|finding| finding.kind == Kind::PersonLost).expect("it was found");
    assert!(lost.detail.contains("1 people") && lost.detail.contains("user 17"), "{lost:?}");
    assert_eq!((lost.subject.round(), lost.mend.as_ref()), (Some(Round(1)), None));
}

#[tokio::test]
async fn who_was_imported_behind_a_round_was_not_owed_anything_by_it() {
    let (shop, _flushing) = Shop::after_a_round(30).await;
    let insert = "INSERT INTO product_user_notification (product_id, created_at, user_id, added_at) VALUES";
    shop.execute(&format!("{insert} (42, '2023-12-31', 500, UTC_TIMESTAMP(6))")).await;
    shop.found(&[]).await;
    shop.execute(&format!("{insert} (42, '2023-12-30', 501, '2023-12-30')")).await;
    shop.found(&[Kind::PersonLost]).await;
    // Who unsubscribed meanwhile is not owed anything either.
    shop.execute("UPDATE product_user_notification SET is_active = 0 WHERE user_id = 501").await;
    shop.found(&[]).await;
}

#[tokio::test]
async fn a_cursor_changed_in_mysql_is_written_again() {
    let (shop, _flushing) = Shop::after_a_round(30).await;
    shop.execute("UPDATE product_notification_history SET cursor_place = '2024-01-01 00:00:00.000009'").await;
    shop.found_and_mended(&[Kind::LaneDiffers, Kind::LastUserDiffers]).await;
    shop.execute("UPDATE product_notification_history SET last_user_id = 29").await;
    shop.found_and_mended(&[Kind::LaneDiffers, Kind::LastUserDiffers]).await;
    shop.execute("UPDATE product SET stock = 77").await;
    shop.found_and_mended(&[Kind::ProductDiffers]).await;
    assert_eq!(shop.value("SELECT CAST(stock AS CHAR) FROM product").await.as_deref(), Some("10"));
}

#[tokio::test]
async fn a_deleted_round_is_written_again() {
    let (shop, _flushing) = Shop::after_a_round(30).await;
    shop.execute("DELETE FROM product_notification_history").await;
    shop.found_and_mended(&[Kind::LaneUnrecorded, Kind::RoundMissing, Kind::OutcomeWithoutRound]).await;
}

#[tokio::test]
async fn a_round_that_is_missing_between_two_is_reported() {
    let (shop, _flushing) = Shop::before_a_round().await;
    for _ in 0..3 {
        shop.enqueue(42).await;
    }
    shop.flushed().await;
    shop.found(&[]).await;
    shop.execute("DELETE FROM product_notification_history WHERE restock_round IN (2, 3)").await;
    let report = shop.found(&[Kind::RoundMissing, Kind::RoundMissing]).await;
    assert_eq!(report.findings[0].subject.round(), Some(Round(2)));
}

#[tokio::test]
async fn a_row_that_its_lane_left_behind_is_ended() {
    let (shop, _flushing) = Shop::before_a_round().await;
    shop.enqueue(42).await;
    shop.flushed().await;
    shop.execute("UPDATE product_notification_history SET status = 'QUEUED', ended_at = NULL WHERE restock_round = 1")
        .await;
    shop.found_and_mended(&[Kind::RoundForgotten]).await;
}

#[tokio::test]
async fn outcomes_beyond_the_cursor_twice_or_out_of_order_are_reported() {
    let (shop, _flushing) = Shop::after_a_round(30).await;
    let people = "UPDATE product_user_notification_history SET";
    shop.execute(&format!("{people} user_id = 3 WHERE user_id = 4")).await;
    shop.found(&[Kind::PersonRepeated]).await;
    shop.execute(&format!("{people} user_id = 4 WHERE user_id = 3 ORDER BY place DESC LIMIT 1")).await;
    shop.found(&[]).await;
    shop.execute(&format!("{people} sent_at = sent_at - INTERVAL 1 HOUR WHERE user_id = 20")).await;
    shop.found(&[]).await;
    let report = shop.verifier().window_max(5).run(restock::verify::Scope::All).await.expect("both stores answer");
    assert_eq!(report.kinds(), [Kind::OrderBroken]);
    // Who was told again after the round was resumed seems to have held everybody up, whoever resumed it and how.
    for (product, action) in [("42", "resume --retry-failed"), ("42", "dead replay"), ("NULL", "dead replay")] {
        shop.execute("DELETE FROM operator_action").await;
        let values = format!("('ann', '{action}', {product})");
        shop.execute(&format!("INSERT INTO operator_action (operator, action, product_id) VALUES {values}")).await;
        let report = shop.verifier().window_max(5).run(restock::verify::Scope::All).await.expect("both stores answer");
        assert_eq!(report.kinds(), [], "{action}");
    }
    assert!(report.findings[0].detail.contains("user 20"), "{report:?}");
    shop.execute(&format!("{people} sent_at = sent_at + INTERVAL 1 HOUR, place = '2025-01-01' WHERE user_id = 20"))
        .await;
    shop.found(&[Kind::OutcomeStray, Kind::CountDiffers, Kind::PersonLost]).await;
}

#[tokio::test]
async fn a_round_starts_where_the_one_before_stopped() {
    let shop = Shop::open().await;
    shop.execute("INSERT INTO product (id, name, restock_round) VALUES (50, 'fifty', 3)").await;
    let place = |n: i64| format!("'2024-01-01 00:00:00.00000{n}'");
    let row = |round: u32, status: &str, from: &str, cursor: &str| {
        format!(
            "INSERT INTO product_notification_history (product_id, restock_round, channel, status, from_place,
               cursor_place, upto_place, ahead, epoch, version, total, started_at, ended_at)
             VALUES (50, {round}, 'null', '{status}', {from}, {cursor}, {upto}, '', 1, {round}, 0, '2024-02-01', '2024-02-01')",
            upto = place(9)
        )
    };
    shop.execute(&row(1, "CANCELED_BY_SOLD_OUT", "NULL", &place(3))).await;
    shop.execute(&row(2, "CANCELED_BY_SOLD_OUT", &place(3), &place(5))).await;
    shop.execute(&row(3, "COMPLETED", &place(5), &place(9))).await;
    shop.found(&[]).await;
    shop.execute(&format!(
        "UPDATE product_notification_history SET cursor_place = {} WHERE restock_round = 2",
        place(6)
    ))
    .await;
    let report = shop.found(&[Kind::ChainBroken]).await;
    assert_eq!(report.findings[0].subject.round(), Some(Round(3)));
    shop.execute("UPDATE product_notification_history SET cursor_place = '2024-01-02' WHERE restock_round = 3").await;
    shop.found(&[Kind::ChainBroken, Kind::RoundBounds]).await;
}

#[tokio::test]
async fn a_log_that_nobody_flushes_is_reported_and_nothing_is_concluded_from_it() {
    let (mut shop, flushing) = Shop::before_a_round().await;
    drop(flushing);
    shop.patience.log_ms = 300;
    shop.enqueue(42).await;
    until("the entries are old enough", || async { shop.verify().await.kinds() == [Kind::LogUnflushed] }).await;
    assert_eq!(shop.verify().await.unjudged, 1);
    let _flushing = shop.flushing().await;
    shop.flushed().await;
    shop.found(&[]).await;
}

#[tokio::test]
async fn a_position_that_belongs_to_another_log_is_reported() {
    let (shop, flushing) = Shop::before_a_round().await;
    drop(flushing);
    shop.execute("UPDATE flush_position SET incarnation = 'another'").await;
    shop.found(&[Kind::LogReplaced]).await;
    shop.execute("UPDATE flush_position SET incarnation = '', last_entry = '0-0'").await;
    shop.found(&[Kind::LogReplaced]).await;
}

#[tokio::test]
async fn a_request_that_nobody_relays_is_pushed() {
    let (mut shop, _flushing) = Shop::before_a_round().await;
    shop.execute("INSERT INTO restock_request (product_id, quantity) VALUES (42, 5)").await;
    shop.found(&[]).await;
    shop.patience.request_ms = 0;
    shop.found_and_mended(&[Kind::RequestStuck]).await;
    let answer = "SELECT CONCAT_WS(' ', state, restock_round) FROM restock_request";
    assert_eq!(shop.value(answer).await.as_deref(), Some("ACCEPTED 2"));
}

#[tokio::test]
async fn held_requests_go_on_when_nobody_can_have_heard_of_them() {
    let (shop, _flushing) = Shop::before_a_round().await;
    shop.execute(
        "INSERT INTO restock_request (product_id, quantity, created_at) VALUES
         (42, 1, UTC_TIMESTAMP(6) - INTERVAL 2 DAY), (42, 1, UTC_TIMESTAMP(6) - INTERVAL 10 MINUTE)",
    )
    .await;
    shop.execute("UPDATE flush_position SET held_upto_request = 2").await;
    shop.found_and_mended(&[Kind::RequestsHeld]).await;
    let states = "SELECT GROUP_CONCAT(state ORDER BY id) FROM restock_request";
    assert_eq!(shop.value(states).await.as_deref(), Some("REFUSED,PENDING"));
}

#[tokio::test]
async fn a_key_that_lets_a_held_request_go_on_does_not_expire_before_it_is_pushed() {
    let (shop, flushing) = Shop::before_a_round().await;
    drop(flushing);
    shop.execute("INSERT INTO restock_request (product_id, quantity, idempotency_key) VALUES (42, 1, 'spring')").await;
    let (redis, product) = (&shop.stores.redis, ProductId(42));
    let key: IdempotencyKey = "spring".parse().unwrap();
    let first = Producer::new(shop.stores.clone()).enqueue_direct(product, 1, Some(&key)).await.unwrap();
    redis.expire_seen(PARTITION, &[(product, "spring".to_owned())], 600).await.unwrap();
    shop.execute("UPDATE flush_position SET held_upto_request = 1").await;
    let verifier = shop.verifier();
    assert!(verifier.mend(&Mend::ReleaseRequests(PARTITION)).await.unwrap());
    let seen = redis.keys().seen(PARTITION, product, "spring");
    assert!(shop.redis_command(&format!("TTL {seen}")).await.starts_with(":-1\r\n"));
    let row = request::find(&shop.stores.mysql, 1).await.unwrap().unwrap();
    assert_eq!(Producer::new(shop.stores.clone()).push(&row).await.unwrap().round, first.round);
}

#[tokio::test]
async fn refused_rows_are_forgotten_once_mysql_has_what_they_said() {
    let (shop, flushing) = Shop::before_a_round().await;
    let insert =
        "INSERT INTO log_dead (partition_id, entry, product_id, kind, name, epoch, version, detail, `sqlstate`,
      message) VALUES";
    drop(flushing);
    shop.execute(&format!("{insert} (0, '1-1', 42, 'round', 'round 1 of 42/null', 1, 1, 'x', '22001', 'too long')"))
        .await;
    let _flushing = shop.flushing().await;
    shop.found_and_mended(&[Kind::RowRefused]).await;
    shop.execute(&format!("{insert} (0, '1-2', 42, 'person', 'user 7', 1, 1, 'x', '22001', 'too long')")).await;
    let report = shop.found(&[Kind::RowRefused]).await;
    assert!(report.findings[0].mend.is_none(), "an outcome is nowhere else: {report:?}");
}

#[tokio::test]
async fn a_round_that_was_never_counted_is_counted() {
    let (mut shop, _flushing) = Shop::after_a_round(30).await;
    shop.execute("UPDATE product_notification_history SET total = NULL").await;
    shop.patience.total_ms = 0;
    shop.found_and_mended(&[Kind::TotalMissing]).await;
    assert_eq!(shop.value("SELECT CAST(total AS CHAR) FROM product_notification_history").await.as_deref(), Some("30"));
}

#[tokio::test]
async fn who_was_ahead_in_a_round_that_was_cut_off_is_not_owed_another_outcome() {
    let shop = Shop::open().await;
    shop.product(50, 5, 4).await;
    shop.execute("UPDATE product SET restock_round = 2").await;
    let place = |n: i64| format!("'2024-01-01 00:00:00.00000{n}'");
    for (round, status, from, cursor, ahead, sent) in [
        (1, "CANCELED_BY_ERROR", "NULL".to_owned(), place(1), "1704067200000003", 2),
        (2, "COMPLETED", place(1), place(4), "", 2),
    ] {
        shop.execute(&format!(
            "INSERT INTO product_notification_history (product_id, restock_round, channel, status, from_place,
               cursor_place, upto_place, ahead, sent_count, epoch, version, total, started_at, ended_at)
             VALUES (50, {round}, 'null', '{status}', {from}, {cursor}, {}, '{ahead}', {sent}, 1, {round}, 0, '2024-02-01',
               '2024-02-01')",
            place(4)
        ))
        .await;
    }
    for (round, person) in [(1, 1), (1, 3), (2, 2), (2, 4)] {
        shop.execute(&format!(
            "INSERT INTO product_user_notification_history (product_id, restock_round, channel, place, user_id, outcome, sent_at)
             VALUES (50, {round}, 'null', {}, {person}, 'SENT', '2024-02-01')",
            place(person)
        ))
        .await;
    }
    shop.found(&[]).await;
    // Had the second round started over, it would owe everybody an outcome.
    shop.execute("UPDATE product_notification_history SET from_place = NULL WHERE restock_round = 2").await;
    let report = shop.found(&[Kind::PersonLost]).await;
    assert!(report.findings[0].detail.contains("2 people"), "{report:?}");
    shop.execute(&format!("UPDATE product_notification_history SET from_place = {} WHERE restock_round = 2", place(1)))
        .await;
    shop.execute("UPDATE product_notification_history SET ahead = '' WHERE restock_round = 1").await;
    shop.found(&[Kind::OutcomeStray, Kind::CountDiffers, Kind::PersonLost]).await;
}

#[tokio::test]
async fn the_last_user_of_a_round_is_the_one_at_its_cursor_also_when_an_earlier_round_told_them() {
    let shop = Shop::open().await;
    shop.product(50, 5, 4).await;
    shop.execute("UPDATE product SET restock_round = 2").await;
    let place = |n: i64| format!("'2024-01-01 00:00:00.00000{n}'");
    for (round, status, from, cursor, ahead) in [
        (1, "CANCELED_BY_ERROR", "NULL".to_owned(), place(1), "1704067200000004"),
        (2, "COMPLETED", place(1), place(4), ""),
    ] {
        shop.execute(&format!(
            "INSERT INTO product_notification_history (product_id, restock_round, channel, status, from_place,
               cursor_place, upto_place, ahead, sent_count, epoch, version, total, started_at, ended_at)
             VALUES (50, {round}, 'null', '{status}', {from}, {cursor}, {}, '{ahead}', 2, 1, {round}, 0, '2024-02-01',
               '2024-02-01')",
            place(4)
        ))
        .await;
    }
    for (round, person) in [(1, 1), (1, 4), (2, 2), (2, 3)] {
        shop.execute(&format!(
            "INSERT INTO product_user_notification_history (product_id, restock_round, channel, place, user_id, outcome, sent_at)
             VALUES (50, {round}, 'null', {}, {person}, 'SENT', '2024-02-01')",
            place(person)
        ))
        .await;
    }
    let names = "UPDATE product_notification_history SET last_user_id =";
    shop.execute(&format!("{names} IF(restock_round = 1, 1, 4)")).await;
    shop.found(&[]).await;
    shop.execute(&format!("{names} 3")).await;
    let report = shop.found(&[Kind::LastUserDiffers, Kind::LastUserDiffers]).await;
    assert!(report.findings[1].detail.contains("user 3, and user 4 is at its cursor"), "{report:?}");
    // Whoever was erased may be anybody.
    shop.execute("UPDATE product_user_notification_history SET user_id = 0 WHERE user_id IN (1, 4)").await;
    shop.found(&[]).await;
}
