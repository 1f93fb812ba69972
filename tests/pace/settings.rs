//! Running roles obey changed settings (rule 25).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use restock::{
    demo::receiver::Reaction,
    ids::{Channel, LaneId, ProductId, Round},
    local::Servers,
    mysql::{history, setting},
    round::Status,
};
use tokio::{io::AsyncReadExt, process::Child, time::timeout};

use super::{
    place,
    shop::{Shop, until},
};

const FIRST: Round = Round(1);
const WORKER: &str = env!("CARGO_BIN_EXE_restock-worker");
const FLUSHER: &str = env!("CARGO_BIN_EXE_restock-flusher");
/// A second, and what a loaded machine may need to get around to it.
const SOON: Duration = Duration::from_millis(2_000);

async fn set(shop: &Shop, name: &str, value: &str) -> Instant {
    setting::set(&shop.stores.mysql, name, value).await.expect("MySQL answers");
    Instant::now()
}

/// Everything that the process said, once it has ended by itself with code 1.
async fn last_words(mut child: Child) -> String {
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    timeout(Duration::from_secs(20), stderr.read_to_string(&mut said)).await.expect("it ends").expect("it can be read");
    assert_eq!(child.wait().await.expect("it has ended").code(), Some(1), "{said}");
    said
}

/// The one line that says why.
fn error_of<'a>(role: &str, said: &'a str) -> &'a str {
    let start = format!("restock-{role}: ");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with(&start) || line.contains("ERROR")).collect();
    let [error] = errors[..] else { panic!("{role}: {said}") };
    error
}

async fn status_of(shop: &Shop, product: i64, channel: &str) -> Option<Status> {
    let channel: Channel = channel.parse().expect("a channel");
    let lane = LaneId { product: ProductId(product), channel };
    let row = history::round_of(&shop.stores.mysql, &lane, FIRST).await.expect("MySQL answers");
    row.map(|row| row.state.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_is_changed_in_mysql_alone_reaches_redis_by_any_worker() {
    let _place = place().await;
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.product(42, 10, 100_000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(100).await;
    let changed = set(&shop, "rate", "300").await;
    until("Redis goes by the new rate", || async { shop.rate_in_redis().await == Some(300) }).await;
    assert!(changed.elapsed() < SOON, "after {:?}", changed.elapsed());
    let changed = set(&shop, "paused", "yes").await;
    until("nothing is sent any more", || async {
        let before = shop.receiver.count();
        tokio::time::sleep(Duration::from_millis(300)).await;
        shop.receiver.count() == before
    })
    .await;
    assert!(changed.elapsed() < SOON, "after {:?}", changed.elapsed());
    set(&shop, "paused", "no").await;
    let before = shop.receiver.count();
    timeout(SOON, shop.receiver.wait_for(before + 10)).await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_served_when_it_is_enabled_and_its_rounds_end_when_it_is_disabled() {
    let _place = place().await;
    let shop = Shop::open(200, |_| Reaction::accept()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("told.jsonl");
    let _flusher = shop.flusher();
    let _worker = shop.role(WORKER).env("RESTOCK_FILE_PATH", &written).spawn().expect("it starts");
    for product in [42, 43] {
        shop.product(product, 10, 4_000).await;
    }
    shop.cli(&["enqueue", "42"]).await;
    shop.receiver.wait_for(50).await;

    set(&shop, "channels", "webhook,file").await;
    // A round of before has no lane of a channel that is enabled after.
    until("Redis goes by the new channels", || async {
        let everywhere =
            shop.stores.redis.mirrored_everywhere().await.expect("Redis answers").expect("they are mirrored");
        everywhere.iter().all(|(_, channels)| channels.len() == 2)
    })
    .await;
    shop.cli(&["enqueue", "43"]).await;
    until("the new channel is served", || async { std::fs::metadata(&written).is_ok_and(|file| file.len() > 0) }).await;
    assert_eq!(status_of(&shop, 42, "file").await, None, "a round that ran before has one lane");

    let changed = set(&shop, "channels", "webhook").await;
    until("the round of the disabled channel has ended", || async {
        status_of(&shop, 43, "file").await == Some(Status::CanceledByAdmin)
    })
    .await;
    assert!(changed.elapsed() < SOON, "after {:?}", changed.elapsed());
    let len = || std::fs::metadata(&written).expect("it is there").len();
    let (before, told) = (len(), shop.receiver.count());
    timeout(SOON, shop.receiver.wait_for(told + 50)).await.expect("the other channel goes on");
    assert_eq!(len(), before, "something was sent by a disabled channel");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_partition_count_ends_worker_and_flusher_with_one_line() {
    let _place = place().await;
    let shop = Shop::open(200, |_| Reaction::accept()).await;
    let (worker, flusher) = (shop.witnessed(WORKER), shop.witnessed(FLUSHER));
    shop.product(42, 10, 2_000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(20).await;
    shop.execute("UPDATE setting SET value = '4' WHERE name = 'partitions'").await;
    for (role, said) in [("worker", last_words(worker).await), ("flusher", last_words(flusher).await)] {
        let error = error_of(role, &said);
        assert!(error.contains("4 partitions") && error.contains("started for 2"), "{role}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_namespace_ends_worker_and_flusher_with_one_line() {
    let _place = place().await;
    let shop = Shop::open(200, |_| Reaction::accept()).await;
    let (worker, flusher) = (shop.witnessed(WORKER), shop.witnessed(FLUSHER));
    until("the flusher follows the log", || async {
        let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM flush_position WHERE incarnation <> ''")
            .fetch_one(&shop.stores.mysql)
            .await
            .expect("MySQL answers");
        known == 2
    })
    .await;
    shop.execute("UPDATE setting SET value = 'elsewhere' WHERE name = 'namespace'").await;
    for (role, said) in [("worker", last_words(worker).await), ("flusher", last_words(flusher).await)] {
        let error = error_of(role, &said);
        assert!(error.contains("belongs to the namespace `elsewhere`"), "{role}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_mysql_is_away_the_last_settings_stand() {
    let _place = place().await;
    let own = Arc::new(Servers::start().await.expect("private servers start"));
    let shop = Shop::open_on(own.clone(), 200, |_| Reaction::accept()).await;
    let mut worker = shop.worker(&[]);
    shop.product(42, 10, 4_000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(50).await;
    // It is dead long before it is known to be: a second's people are in hand, or half of them and a read under way.
    let before = shop.receiver.count();
    own.mysql.kill().await.expect("MySQL is killed");
    timeout(Duration::from_secs(20), shop.receiver.wait_for(before + 80)).await.expect("pages in hand are used");
    own.mysql.start_again().await.expect("MySQL starts again");
    set(&shop, "rate", "100").await;
    until("the new rate is known", || async { shop.rate_in_redis().await == Some(100) }).await;
    assert_eq!(worker.try_wait().expect("it can be asked"), None, "the worker runs");
}
