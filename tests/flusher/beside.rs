//! Two large batches are written beside each other, and it is as if they had been written one after the other.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::sync::{Flushed, Lead};
use tokio::task::JoinHandle;

use super::{
    fixture::{CALL, Shop, flush},
    process,
};

/// At least three batches: one has at most 10,000, and ends between two calls.
const PEOPLE: i64 = 24_000;
const PRODUCT: i64 = 7;
const DEADLINE: Duration = Duration::from_secs(20);

/// How many people MySQL has: as all see it, and with what is not committed.
async fn recorded(shop: &Shop) -> (u64, u64) {
    let count = "SELECT COUNT(*) FROM product_user_notification_history";
    let seen: i64 = sqlx::query_scalar(count).fetch_one(shop.db()).await.expect("the store answers");
    let mut db = shop.db().acquire().await.expect("the store answers");
    db.close_on_drop();
    sqlx::raw_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED").execute(&mut *db).await.expect("it does");
    let written: i64 = sqlx::query_scalar(count).fetch_one(&mut *db).await.expect("the store answers");
    (seen.unsigned_abs(), written.unsigned_abs())
}

async fn until_recorded(shop: &Shop, what: &str, is_so: impl Fn((u64, u64)) -> bool) {
    let start = Instant::now();
    loop {
        let found = recorded(shop).await;
        if is_so(found) {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "{what}: {found:?} are recorded and written");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Everybody is recorded once, as told, up to the last of them.
async fn assert_all_recorded(shop: &Shop, people: i64) {
    let told = "SELECT CONCAT_WS(' ', outcome, COUNT(*), COUNT(DISTINCT user_id), MIN(user_id), MAX(user_id))
        FROM product_user_notification_history GROUP BY outcome";
    assert_eq!(shop.rows(told).await, [format!("SENT {people} {people} 1 {people}")]);
    let round = "SELECT CONCAT_WS(' ', status, sent_count, last_user_id) FROM product_notification_history";
    assert_eq!(shop.rows(round).await, [format!("COMPLETED {people} {people}")]);
    let left = shop.redis_command(&format!("XLEN {}", shop.log_key())).await;
    assert!(left.starts_with(":0"), "{left}");
}

/// Flushes once, while the first batch waits for its product, until the people of the second are written.
async fn second_written(
    shop: &Shop,
    mut lead: Lead,
) -> (sqlx::Transaction<'static, sqlx::MySql>, JoinHandle<(Result<Flushed, String>, Lead)>) {
    let mut held = shop.db().begin().await.expect("the store answers");
    sqlx::query("SELECT id FROM product WHERE id = ? FOR UPDATE")
        .bind(PRODUCT)
        .execute(&mut *held)
        .await
        .expect("it is free");
    let step = tokio::spawn(async move { (lead.flush().await.map_err(|error| error.to_string()), lead) });
    let is_written = |(seen, written): (u64, u64)| seen == 0 && written >= CALL as u64;
    until_recorded(shop, "the second is written", is_written).await;
    (held, step)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_is_written_meanwhile_and_seen_after_the_first() {
    let shop = Shop::all_told(PRODUCT, PEOPLE).await;
    let lead = shop.lead().await;
    let (held, step) = second_written(&shop, lead).await;
    held.rollback().await.expect("the store answers");
    let (flushed, mut lead) = step.await.expect("no panic");
    assert!(matches!(flushed, Ok(Flushed::Applied { more: true, .. })), "{flushed:?}");
    let (seen, written) = recorded(&shop).await;
    assert!(seen == written && seen > 2 * CALL as u64, "{seen} of {written}");
    assert!(flush(&mut lead).await);
    assert_all_recorded(&shop, PEOPLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_second_stays_when_the_first_is_not_committed() {
    let shop = Shop::all_told(PRODUCT, PEOPLE).await;
    let lead = shop.lead().await;
    let (held, step) = second_written(&shop, lead).await;
    // As another flusher would that took the lead meanwhile.
    shop.execute("UPDATE flush_position SET last_entry = '1-1'").await;
    held.rollback().await.expect("the store answers");
    let (flushed, lead) = step.await.expect("no panic");
    assert_eq!(flushed, Ok(Flushed::Deposed));
    until_recorded(&shop, "its locks are gone", |found| found == (0, 0)).await;
    lead.resign().await;
    assert!(flush(&mut shop.lead().await).await);
    assert_all_recorded(&shop, PEOPLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_in_either_batch_costs_nobody_else() {
    for refused in [5, 10_005] {
        let shop = Shop::all_told(PRODUCT, PEOPLE).await;
        let check = format!("ADD CONSTRAINT one CHECK (user_id <> {refused})");
        shop.execute(&format!("ALTER TABLE product_user_notification_history {check}")).await;
        assert!(flush(&mut shop.lead().await).await);
        let told = "SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT user_id)) FROM product_user_notification_history";
        assert_eq!(shop.rows(told).await, [format!("{n} {n}", n = PEOPLE - 1)]);
        let names = shop.rows("SELECT name FROM log_dead").await;
        assert_eq!(names, [format!("user {refused} in round 1 of {PRODUCT}/webhook")]);
        let round = "SELECT CONCAT_WS(' ', status, sent_count) FROM product_notification_history";
        assert_eq!(shop.rows(round).await, [format!("COMPLETED {PEOPLE}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_already_is_written_over_as_ever() {
    let shop = Shop::all_told(PRODUCT, PEOPLE).await;
    // One of the second batch, of an attempt before this one.
    shop.execute(&format!(
        "INSERT INTO product_user_notification_history (product_id, restock_round, channel, place, user_id, outcome, sent_at)
         SELECT product_id, 1, 'webhook', created_at, user_id, 'FAILED', created_at FROM product_user_notification
         WHERE user_id = 10005 AND product_id = {PRODUCT}"
    ))
    .await;
    // If one waited for a lock of the other until that gives up, this would be an error.
    assert!(flush(&mut shop.lead().await).await);
    assert_all_recorded(&shop, PEOPLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushers_killed_in_the_midst_of_two_batches_lose_nobody() {
    const MANY: i64 = 80_000;
    let shop = Shop::all_told(PRODUCT, MANY).await;
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut kills, mut before) = (0, 0);
    let mut flusher = process::start_in(&shop);
    loop {
        // From when it writes: it has what takes it up to then.
        until_recorded(&shop, "it goes on", |(seen, written)| written > before.max(seen) || seen == MANY as u64).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..150))).await;
        flusher.kill().await.expect("it is killed");
        kills += 1;
        until_recorded(&shop, "its locks are gone", |(seen, written)| seen == written).await;
        before = recorded(&shop).await.0;
        if before == MANY as u64 {
            break;
        }
        flusher = process::start_in(&shop);
    }
    eprintln!("{kills} kills");
    assert!(flush(&mut shop.lead().await).await);
    assert_all_recorded(&shop, MANY).await;
}
