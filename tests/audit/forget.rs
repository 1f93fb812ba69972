//! `erase-user` and `history prune`.

use restock::{
    ids::{ProductId, Round, UserId},
    verify::Kind,
};
use serde_json::{Value, json};

use super::shop::{PARTITION, Shop, lane, until};

async fn json(shop: &Shop, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().chain(&["--json"]).copied().collect();
    let (code, stdout, stderr) = shop.cli(&args).await;
    assert_eq!(code, 0, "{args:?}: {stdout} {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}"))
}

/// Everywhere in MySQL where a user is named by number.
async fn traces(shop: &Shop, user: i64) -> String {
    let sql = format!(
        "SELECT CONCAT_WS(' ',
           (SELECT COUNT(*) FROM product_user_notification WHERE user_id = {user}),
           (SELECT COUNT(*) FROM product_user_notification_history WHERE user_id = {user}),
           (SELECT COUNT(*) FROM product_notification_history WHERE last_user_id = {user} OR blocked_user_id = {user}),
           (SELECT COUNT(*) FROM operator_action WHERE result LIKE '%{user}%'),
           (SELECT COUNT(*) FROM log_dead WHERE CONCAT_WS(' ', name, detail, message) LIKE '%{user}%'),
           (SELECT COUNT(*) FROM inbox_message WHERE user_id = {user}))"
    );
    shop.value(&sql).await.expect("one row")
}

#[tokio::test]
async fn an_erased_person_is_nowhere_and_the_rounds_still_add_up() {
    let (shop, _flushing) = Shop::after_a_round(1030).await;
    shop.product(43, 10, 1030).await;
    shop.execute(
        "INSERT INTO operator_action (operator, action, result) VALUES ('ann', 'resume', 'on, without user 1030')",
    )
    .await;
    shop.execute(
        "INSERT INTO inbox_message (id, product_id, restock_round, user_id, name, started_at) VALUES
         (1, 42, 1, 1030, 'product 42', '2024-01-01'), (2, 42, 2, 1030, 'product 42', '2024-01-01'),
         (3, 42, 1, 1029, 'product 42', '2024-01-01')",
    )
    .await;
    assert_eq!(traces(&shop, 1030).await, "2 1 1 1 0 2");
    let counts = |dry_run: bool| json!({ "subscriptions": 2, "outcomes": 1, "mentions": 2, "messages": 2, "unsettled": [], "dry_run": dry_run });
    assert_eq!(json(&shop, &["erase-user", "1030", "--dry-run"]).await, counts(true));
    assert_eq!(traces(&shop, 1030).await, "2 1 1 1 0 2");
    assert_eq!(json(&shop, &["erase-user", "1030", "--by", "ann"]).await, counts(false));
    assert_eq!(traces(&shop, 1030).await, "0 0 0 0 0 0");
    assert_eq!(traces(&shop, 1029).await, "2 1 0 0 0 1");
    let kept = "SELECT result FROM operator_action WHERE action = 'erase-user'";
    let said = "erased a person: 2 subscriptions, 1 outcomes, 2 mentions, 2 messages";
    assert_eq!(shop.value(kept).await.as_deref(), Some(said));
    for again in [&["erase-user", "1030"][..], &["erase-user", "1030", "--dry-run"]] {
        let (code, stdout, stderr) = shop.cli(again).await;
        assert!(
            code == 3 && stdout.is_empty() && stderr.contains("nothing names user 1030"),
            "{code} {stdout} {stderr}"
        );
    }
    let rows = "SELECT CONCAT_WS(' ', COUNT(*), SUM(user_id = 0)) FROM product_user_notification_history";
    assert_eq!(shop.value(rows).await.as_deref(), Some("1030 1"));
    shop.found(&[]).await;
    let (code, ..) = shop.cli(&["erase-user", "nobody"]).await;
    assert_eq!(code, 2);
}

#[tokio::test]
async fn an_erased_person_does_not_come_back_from_redis() {
    let (shop, _flushing) = Shop::after_a_round(30).await;
    // The last one settled, 30, is named by the lane.
    let view = async || shop.stores.redis.read_lanes(PARTITION, &[lane(42)]).await.expect("Redis answers").remove(0);
    assert_eq!(view().await.expect("a lane").last_user, Some(UserId(30)));
    json(&shop, &["erase-user", "29"]).await;
    assert_eq!(view().await.expect("a lane").last_user, Some(UserId(30)));
    json(&shop, &["erase-user", "30"]).await;
    assert_eq!(view().await.expect("a lane").last_user, None);
    let channels = &shop.stores.settings.channels;
    shop.stores.redis.relog(PARTITION, ProductId(42), channels).await.expect("Redis answers");
    shop.flushed().await;
    let named = "SELECT CAST(COUNT(*) AS CHAR) FROM product_notification_history WHERE last_user_id IS NOT NULL";
    assert_eq!(shop.value(named).await.as_deref(), Some("0"));
    shop.found(&[]).await;
}

#[tokio::test]
async fn an_erased_person_costs_nobody_who_has_the_same_number() {
    let (shop, _flushing) = Shop::after_a_round(3).await;
    let kept = "stock is 1001; round 1001 of 1001/null; user 10010";
    shop.execute(&format!("INSERT INTO operator_action (operator, action, result) VALUES ('ann', 'stock', '{kept}')"))
        .await;
    let at = 1_704_067_200_000_009_i64;
    let person = format!(r#"{{"c":"null","k":"people","p":"42","people":"{at},1001,S,{at};","r":"1"}}"#);
    let product = r#"{"e":"9","k":"product","p":"1001","r":"1001","stock":"1001","v":"1001","z":""}"#;
    shop.execute(&format!(
        "INSERT INTO log_dead (partition_id, kind, name, entry, product_id, channel, restock_round, detail, `sqlstate`,
           message) VALUES
         (0, 'person', 'user 1001 in round 1 of 42/null', '1-1', 42, 'null', 1, '{person}', '23000', 'Duplicate 42-1001'),
         (0, 'product', 'product 1001', '1-2', 1001, NULL, NULL, '{product}', '22001', 'too long')"
    ))
    .await;
    assert_eq!(json(&shop, &["erase-user", "1001"]).await["mentions"], 1);
    let dead = "SELECT GROUP_CONCAT(CONCAT_WS('|', name, detail, message) ORDER BY id SEPARATOR '!') FROM log_dead";
    let expected = format!("erased 1|{}|!product 1001|{product}|too long", person.replace("1001", "0"));
    assert_eq!(shop.value(dead).await.as_deref(), Some(expected.as_str()));
    assert_eq!(shop.value("SELECT result FROM operator_action WHERE action = 'stock'").await.as_deref(), Some(kept));
    // What is kept of the person's row can still be tried again.
    let (code, _, stderr) = shop.cli(&["dead", "replay", "row:1"]).await;
    assert_eq!(code, 0, "{stderr}");
    let told = "SELECT CAST(user_id AS CHAR) FROM product_user_notification_history
                WHERE place = '2024-01-01' + INTERVAL 9 MICROSECOND";
    until("their outcome is nobody's", || async { shop.value(told).await.as_deref() == Some("0") }).await;
    let marked = "SELECT CAST(COUNT(*) AS CHAR) FROM log_dead WHERE mended_at IS NULL";
    until("only the other row is left", || async { shop.value(marked).await.as_deref() == Some("1") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_erased_while_in_line_is_not_told() {
    let shop = Shop::with_rate(200).await;
    let _roles = (shop.flusher(), shop.worker(&["--window", "32"]));
    shop.product(42, 10, 2_000).await;
    let round = shop.enqueue(42).await;
    let told = "SELECT CAST(COUNT(*) AS CHAR) FROM product_user_notification_history";
    until("some are told", || async { shop.value(told).await.is_some_and(|n| n.parse::<u32>().unwrap_or(0) > 50) })
        .await;
    let erased = json(&shop, &["erase-user", "1900"]).await;
    assert_eq!((&erased["subscriptions"], &erased["unsettled"]), (&json!(1), &json!([])));
    // And one whose turn is now: told or not, nobody can say afterwards who it was.
    let last = "SELECT CAST(MAX(user_id) AS CHAR) FROM product_user_notification_history";
    let next: i64 = shop.value(last).await.and_then(|user| user.parse::<i64>().ok()).expect("somebody was told") + 10;
    let erased = json(&shop, &["erase-user", &next.to_string()]).await;
    assert_eq!(erased["unsettled"], json!([]), "their turn is over: {erased}");
    let state = shop.ended(42, round).await;
    assert!((1998..=1999).contains(&state.counts.sent), "{state:?}");
    assert_eq!(traces(&shop, 1900).await, "0 0 0 0 0 0");
    assert_eq!(&traces(&shop, next).await[..3], "0 0");
    shop.found(&[]).await;
}

const OLD: &str = "2024-02-01";
const YOUNG: &str = "2024-04-01";

/// A round that ended then, with two outcomes and a cursor at the second.
async fn round(shop: &Shop, product: i64, round: u32, status: &str, ended: &str) {
    shop.execute(&format!(
        "INSERT INTO product_notification_history (product_id, restock_round, channel, status, cursor_place, upto_place,
           ahead, sent_count, epoch, version, total, started_at, ended_at)
         VALUES ({product}, {round}, 'null', '{status}', '2024-01-01 00:00:00.000002', '2024-01-01 00:00:00.000002', '', 2,
           1, {round}, 2, '2024-01-15', IF('{status}' = 'QUEUED', NULL, '{ended}'))"
    ))
    .await;
    shop.execute(&format!(
        "INSERT INTO product_user_notification_history (product_id, restock_round, channel, place, user_id, outcome, sent_at)
         VALUES ({product}, {round}, 'null', '2024-01-01 00:00:00.000001', 1, 'SENT', '{ended}'),
                ({product}, {round}, 'null', '2024-01-01 00:00:00.000002', 2, 'SENT', '{ended}')"
    ))
    .await;
}

async fn left(shop: &Shop, table: &str) -> Option<String> {
    shop.value(&format!(
        "SELECT GROUP_CONCAT(DISTINCT CONCAT(product_id, ':', restock_round) ORDER BY product_id, restock_round) FROM {table}"
    ))
    .await
}

#[tokio::test]
async fn old_rounds_go_and_what_a_next_round_needs_stays() {
    let shop = Shop::open().await;
    for product in [50, 51, 52] {
        shop.product(product, 5, 2).await;
    }
    // Everything old: the last round that was begun stays, and what overtook nobody after it.
    for (number, status) in [(1, "COMPLETED"), (2, "CANCELED_BY_SOLD_OUT"), (3, "CANCELED_BY_SOLD_OUT")] {
        round(&shop, 50, number, status, OLD).await;
    }
    // An old round behind an open one stays with it.
    for (number, status) in [(1, "COMPLETED"), (2, "QUEUED"), (3, "COMPLETED")] {
        round(&shop, 51, number, status, OLD).await;
    }
    // Old and young.
    for (number, ended) in [(1, OLD), (2, OLD), (3, YOUNG), (4, YOUNG)] {
        round(&shop, 52, number, "COMPLETED", ended).await;
    }
    shop.execute("UPDATE product SET restock_round = 3 + (id = 52), epoch = 1, version = 9").await;
    // Messages are numbered by the time at which they were written.
    shop.execute(
        "INSERT INTO inbox_message (id, product_id, restock_round, user_id, name, started_at)
         SELECT UNIX_TIMESTAMP(at) * 1000000, 50, 1, user, 'product 50', at FROM
           (SELECT '2024-02-29 23:59:59' AS at, 1 AS user UNION ALL SELECT '2024-03-01', 2) messages",
    )
    .await;
    let prune = ["history", "prune", "--before", "2024-03-01"];
    let counted = json(&shop, &[&prune[..], &["--dry-run"]].concat()).await;
    assert_eq!(counted, json!({ "rounds": 5, "outcomes": 10, "messages": 1, "dry_run": true }));
    assert_eq!(json(&shop, &prune).await, json!({ "rounds": 5, "outcomes": 10, "messages": 1, "dry_run": false }));
    for table in ["product_notification_history", "product_user_notification_history"] {
        assert_eq!(left(&shop, table).await.as_deref(), Some("50:3,51:2,51:3,52:3,52:4"), "{table}");
    }
    assert_eq!(json(&shop, &prune).await, json!({ "rounds": 0, "outcomes": 0, "messages": 0, "dry_run": false }));
    let kept =
        "SELECT GROUP_CONCAT(result ORDER BY id SEPARATOR '; ') FROM operator_action WHERE action = 'history prune'";
    let said = shop.value(kept).await.expect("two rows");
    assert!(
        said.starts_with(
            "deleted 5 rounds before 2024-03-01T00:00:00.000000Z with 10 outcomes, and 1 messages; deleted 0"
        ),
        "{said}"
    );
    assert_eq!(shop.enqueue(50).await, Round(4));
    let views = shop.stores.redis.read_lanes(PARTITION, &[lane(50)]).await.expect("Redis answers");
    let from = views[0].as_ref().and_then(|view| view.from);
    assert_eq!(from.map(|place| place.0), Some(1_704_067_200_000_002), "it goes on where the last one stopped");
}

#[tokio::test]
async fn what_an_interrupted_prune_left_is_found_and_goes_with_the_next() {
    let shop = Shop::open().await;
    shop.product(52, 5, 2).await;
    for number in 1..=3 {
        round(&shop, 52, number, "COMPLETED", OLD).await;
    }
    shop.execute("UPDATE product SET restock_round = 3").await;
    shop.found(&[]).await;
    shop.execute("DELETE FROM product_notification_history WHERE restock_round < 3").await;
    shop.found(&[Kind::OutcomeWithoutRound, Kind::OutcomeWithoutRound]).await;
    let done = json(&shop, &["history", "prune", "--before", "2024-03-01"]).await;
    assert_eq!(done, json!({ "rounds": 0, "outcomes": 4, "messages": 0, "dry_run": false }));
    shop.found(&[]).await;
    for args in [
        &["history", "prune", "--before", "2999-01-01"][..],
        &["history", "prune", "--before", "soon"],
        &["history", "prune"],
        &["history"],
        &["history", "52"],
    ] {
        let (code, stdout, stderr) = shop.cli(args).await;
        assert_eq!((code, stdout.as_str(), stderr.trim_end().lines().count()), (2, "", 1), "{args:?}: {stderr}");
    }
    let (code, stdout, _) = shop.cli(&["history", "52", "--round", "3"]).await;
    assert!(code == 0 && stdout.contains("SENT"), "{stdout}");
}
