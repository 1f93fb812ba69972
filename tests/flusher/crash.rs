//! Flushers are killed, and Redis comes back with older data: nothing is lost, nothing is written twice.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::{
    ids::{ProductId, Round},
    outcome::Outcome,
    producer::{Cancellation, Producer},
    redis::scripts::Advanced,
    round::Status,
};

use super::{
    fixture::{PARTITION, Shop, advance, flush, settled, webhook},
    process,
};

const PRODUCTS: i64 = 4;
const ROUNDS: i64 = 6;
const PEOPLE: i64 = 60;

/// Restocks this product again and again, by rows in the outbox and directly, and tells everybody each time.
async fn work(shop: &Shop, product: i64) {
    let line = shop.line(product).await;
    let producer = Producer::new(shop.stores.clone());
    for round in 1..=ROUNDS {
        let accepted = if round % 2 == 0 {
            producer.enqueue(ProductId(product), 3, None).await
        } else {
            producer.enqueue_direct(ProductId(product), 3, None).await
        };
        let accepted = accepted.expect("it is accepted");
        assert_eq!(accepted.round, Some(Round(u32::try_from(round).expect("few"))));
        let mut begun = shop.take_of(product).await;
        let chunks: Vec<_> = line.chunks(7).collect();
        for (at, people) in chunks.iter().enumerate() {
            let is_last = at + 1 == chunks.len();
            let expected = if is_last { Advanced::Completed } else { Advanced::Go };
            assert_eq!(advance(&mut begun, settled(people, Outcome::Sent), is_last).await, expected);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushers_that_are_killed_again_and_again_lose_nothing_and_write_nothing_twice() {
    let shop = Shop::open().await;
    let users: Vec<i64> = (1..=PEOPLE).collect();
    for product in 1..=PRODUCTS {
        shop.product(product, 0, &users).await;
    }
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let done = AtomicBool::new(false);
    let kills = async {
        let (mut random, mut kills) = (StdRng::seed_from_u64(seed), 0);
        let mut flushers = [process::start_in(&shop), process::start_in(&shop)];
        while !done.load(Ordering::Relaxed) || kills < 12 {
            tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
            let at = random.random_range(0..flushers.len());
            flushers[at].kill().await.expect("it is killed");
            flushers[at] = process::start_in(&shop);
            kills += 1;
        }
        kills
    };
    let works = async {
        // One after the other, each with its own entries: `take_of` is given all that are there.
        for product in 1..=PRODUCTS {
            work(&shop, product).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let (kills, ()) = tokio::join!(kills, works);
    eprintln!("{kills} kills");

    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    let rounds = "SELECT CONCAT_WS(' ', product_id, restock_round, status, sent_count, last_user_id)
        FROM product_notification_history ORDER BY product_id, restock_round";
    let told = "SELECT CONCAT_WS(' ', product_id, restock_round, COUNT(*), COUNT(DISTINCT user_id))
        FROM product_user_notification_history GROUP BY product_id, restock_round ORDER BY product_id, restock_round";
    let each = (1..=PRODUCTS).flat_map(|product| (1..=ROUNDS).map(move |round| (product, round)));
    let expected = |rest: &str| each.clone().map(|(p, r)| format!("{p} {r} {rest}")).collect::<Vec<_>>();
    assert_eq!(shop.rows(rounds).await, expected(&format!("COMPLETED {PEOPLE} {PEOPLE}")));
    assert_eq!(shop.rows(told).await, expected(&format!("{PEOPLE} {PEOPLE}")));
    let stock: Vec<_> = (1..=PRODUCTS).map(|product| format!("{product} {} {ROUNDS}", ROUNDS * 3)).collect();
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', id, stock, restock_round) FROM product ORDER BY id").await, stock);
    let requests = "SELECT CONCAT_WS(' ', state, COUNT(DISTINCT product_id, restock_round), COUNT(*))
        FROM restock_request GROUP BY state";
    assert_eq!(shop.rows(requests).await, [format!("ACCEPTED {n} {n}", n = PRODUCTS * ROUNDS / 2)]);
}

/// Keeps a copy of all that Redis holds of the deployment.
async fn keep(shop: &Shop) -> Vec<String> {
    let pattern = shop.log_key().trim_end_matches(":log").replace('{', "\\{").replace('}', "\\}");
    let reply = shop.redis_command(&format!("KEYS {pattern}*")).await;
    let keys: Vec<String> = reply.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect();
    assert!(keys.iter().any(|key| *key == shop.log_key()), "{reply}");
    for key in &keys {
        shop.redis_command(&format!("COPY {key} {key}-kept")).await;
    }
    keys
}

/// Redis is what it was when [`keep`] was called, and another run of the server.
async fn set_back(shop: &Shop, kept: &[String], product: i64) {
    let pattern = shop.log_key().trim_end_matches(":log").replace('{', "\\{").replace('}', "\\}");
    let reply = shop.redis_command(&format!("KEYS {pattern}*")).await;
    let now = reply.lines().filter(|line| line.starts_with('{') && !line.ends_with("-kept"));
    for key in now {
        shop.redis_command(&format!("DEL {key}")).await;
    }
    for key in kept {
        shop.redis_command(&format!("RENAME {key}-kept {key}")).await;
    }
    let key = shop.stores.redis.keys().product(PARTITION, ProductId(product));
    shop.redis_command(&format!("HSET {key} run another")).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_with_older_data_gives_no_round_and_no_person_twice() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102, 103, 104]).await;
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let line = shop.line(7).await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    let kept = keep(&shop).await;
    assert_eq!(advance(&mut begun, settled(&line[1..2], Outcome::Sent), false).await, Advanced::Go);
    let producer = Producer::new(shop.stores.clone());
    assert_eq!(producer.enqueue(ProductId(7), 5, None).await.unwrap().round, Some(Round(2)));
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.resign().await;

    set_back(&shop, &kept, 7).await;
    let mut lead = shop.lead().await;
    // Before anything is repaired, nobody is given what was given out before.
    assert_eq!(advance(&mut begun, settled(&line[2..3], Outcome::Sent), false).await, Advanced::Lost);
    assert_eq!(producer.enqueue_direct(ProductId(7), 1, None).await.unwrap().round, Some(Round(3)));
    assert!(flush(&mut lead).await);
    lead.reconcile().await.unwrap();
    let back = shop.view(7).await.unwrap();
    assert_eq!((back.round, back.status, back.waiting), (Round(1), Status::InProgress, Some(Round(3))));
    assert_eq!((back.cursor, back.counts.sent), (Some(line[1].0), 2));
    let mut again = shop.take_of(7).await;
    assert_eq!(again.cursor, Some(line[1].0));
    assert_eq!(advance(&mut again, settled(&line[2..], Outcome::Sent), true).await, Advanced::Completed);
    assert!(flush(&mut lead).await);
    let rounds = "SELECT CONCAT_WS(' ', restock_round, status, sent_count) FROM product_notification_history
        ORDER BY restock_round";
    assert_eq!(shop.rows(rounds).await, ["1 COMPLETED 4", "2 SUPERSEDED 0", "3 QUEUED 0"]);
    assert_eq!(shop.rows("SELECT CONCAT_WS(' ', stock, restock_round) FROM product").await, ["7 3"]);
}

#[tokio::test]
async fn a_round_canceled_right_after_redis_came_back_with_older_data_stays_canceled() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102, 103]).await;
    shop.restock(7).await;
    let mut begun = shop.take().await;
    let line = shop.line(7).await;
    let kept = keep(&shop).await;
    assert_eq!(advance(&mut begun, settled(&line[..1], Outcome::Sent), false).await, Advanced::Go);
    assert_eq!(advance(&mut begun, settled(&line[1..2], Outcome::Sent), false).await, Advanced::Go);
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.resign().await;

    set_back(&shop, &kept, 7).await;
    let canceled = Producer::new(shop.stores.clone()).cancel(ProductId(7), &webhook(), "by hand").await.unwrap();
    assert_eq!(canceled, Cancellation::Ended(Round(1)));
    let mut lead = shop.lead().await;
    assert!(flush(&mut lead).await);
    lead.reconcile().await.unwrap();
    assert!(flush(&mut lead).await);
    let rounds = "SELECT CONCAT_WS(' ', restock_round, status, sent_count) FROM product_notification_history";
    assert_eq!(shop.rows(rounds).await, ["1 CANCELED_BY_ADMIN 2"]);
    assert_eq!(shop.view(7).await.unwrap().status, Status::CanceledByAdmin);
}
