//! Workers that stop, and workers that are full: what they hand back, and how soon another has it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use restock::{
    demo::receiver::Reaction,
    ids::ProductId,
    local::Servers,
    mysql::setting,
    redis::{jobs::Jobs, lane::LaneView},
    stop::FORCED_EXIT_CODE,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
    process::Child,
    time::timeout,
};

use super::{
    FIRST,
    crew::{cpu_ms, signal, waits},
    shop::{Shop, lane, until, webhook},
};

/// A lease that no test waits for.
const LONG_LEASE: [&str; 2] = ["--claim-idle-ms", "60000"];
/// What is handed back is taken within this time; readers block for two seconds.
const SOON: Duration = Duration::from_secs(5);

async fn view(shop: &Shop, product: i64) -> LaneView {
    let partition = shop.stores.partition_of(ProductId(product));
    let mut views = shop.stores.redis.read_lanes(partition, &[lane(product)]).await.expect("Redis answers");
    views.remove(0).expect("the lane is there")
}

async fn exit_code(process: &mut Child) -> Option<i32> {
    timeout(SOON, process.wait()).await.expect("it ends soon").expect("it ends").code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_hands_its_lane_to_another_without_a_repeat() {
    let slow = Reaction::accept().after(Duration::from_millis(50));
    let shop = Shop::open(500, move |_| slow).await;
    let _flusher = shop.flusher();
    let mut first = shop.worker(&[]);
    shop.product(42, 100, 1000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(200).await;
    signal("-TERM", &first).await;
    let _second = shop.worker(&[]);
    assert!(first.wait().await.expect("it ends").success());
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=1000).await;
    assert_eq!(shop.receiver.count(), 1000, "nobody is told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_worker_stops_goes_to_another_at_once() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    for product in 1..=5 {
        shop.product(product, 10, 1).await;
        let mut stops = shop.worker(&LONG_LEASE);
        // It has begun to read when it takes work; it waits longest, and so is the one to be given what comes next.
        shop.product(100 + product, 10, 1).await;
        shop.enqueue(100 + product, 0).await;
        shop.completed(100 + product, FIRST).await;
        let other = shop.worker(&LONG_LEASE);
        signal("-TERM", &stops).await;
        let start = Instant::now();
        shop.enqueue(product, 0).await;
        shop.completed(product, FIRST).await;
        assert!(start.elapsed() < SOON, "it waited for a lease: {:?}", start.elapsed());
        assert_eq!(exit_code(&mut stops).await, Some(0));
        drop(other);
    }
    assert_eq!(shop.receiver.count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_place_in_a_worker_that_stops_is_handed_back_at_once() {
    let slow = Reaction::accept().after(Duration::from_millis(700));
    let shop =
        Shop::open(500, move |delivery| if delivery.key.lane == lane(42) { slow } else { Reaction::accept() }).await;
    let _flusher = shop.flusher();
    let mut full = shop.worker(&["--claim-idle-ms", "60000", "--lanes", "1"]);
    shop.product(42, 10, 500).await;
    shop.product(44, 10, 3).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(1).await;
    shop.enqueue(44, 0).await;
    let partition = shop.stores.partition_of(ProductId(44));
    let jobs = Jobs::new(shop.stores.redis.clone(), partition, webhook(), "tester".to_owned());
    until("the full worker has read the other entry", || async { !jobs.has_waiting().await.expect("Redis answers") })
        .await;
    signal("-TERM", &full).await;
    assert_eq!(exit_code(&mut full).await, Some(0));
    let _other = shop.worker(&LONG_LEASE);
    let start = Instant::now();
    shop.completed(44, FIRST).await;
    assert!(start.elapsed() < SOON, "it waited for a lease: {:?}", start.elapsed());
    shop.completed(42, FIRST).await;
    shop.assert_told(42, FIRST, 1..=500).await;
    assert_eq!(shop.receiver.count(), 503, "nobody is told twice");
}

/// The time and the number of a lane's entry in the stream of lanes given back, or `None` for one of the stream of jobs.
fn again_id(entry: Option<&str>) -> Option<(u64, u64)> {
    let (time, number) = entry?.strip_prefix("a:")?.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_worker_gives_its_oldest_lane_back_when_others_wait() {
    let shop = Shop::open(400, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&["--claim-idle-ms", "60000", "--lanes", "2"]));
    for (product, people) in [(1, 1500), (2, 1500), (3, 200), (4, 5)] {
        shop.product(product, 10, people).await;
    }
    for product in [1, 2] {
        shop.enqueue(product, 0).await;
        until("the lane is taken", || async { view(&shop, product).await.owner.is_some() }).await;
    }
    shop.enqueue(3, 0).await;
    until("the third is taken", || async { view(&shop, 3).await.owner.is_some() }).await;
    let (oldest, younger) = (view(&shop, 1).await.entry, view(&shop, 2).await.entry);
    let given_back = again_id(oldest.as_deref()).expect("the oldest lane was given back");
    // Looked at late, the younger one may have had its turn as well: after the oldest.
    assert!(again_id(younger.as_deref()).is_none_or(|id| id > given_back), "the younger one was given back first");
    shop.enqueue(4, 0).await;
    shop.completed(4, FIRST).await;
    assert!(view(&shop, 1).await.status.is_open(), "a small round does not wait behind a large one");
    for (product, people) in [(1, 1500), (2, 1500), (3, 200), (4, 5)] {
        shop.completed(product, FIRST).await;
        shop.assert_told(product, FIRST, 1..=people).await;
    }
    assert_eq!(shop.receiver.count(), 3205, "nobody is told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_process_at_once() {
    for (first, second) in [("-TERM", "-INT"), ("-INT", "-TERM"), ("-TERM", "-TERM"), ("-INT", "-INT")] {
        let shop = Shop::open(500, |_| Reaction::hang()).await;
        let _flusher = shop.flusher();
        let mut worker = shop.worker(&["--drain-ms", "60000"]);
        shop.product(42, 10, 3).await;
        shop.enqueue(42, 0).await;
        shop.receiver.wait_for(1).await;
        signal(first, &worker).await;
        // Two of the same kind count as one until the first is taken, so the second is sent until it is.
        let start = Instant::now();
        while worker.try_wait().expect("it can be asked").is_none() {
            assert!(start.elapsed() < SOON, "{first} {second}: it still runs");
            signal(second, &worker).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(exit_code(&mut worker).await, Some(FORCED_EXIT_CODE), "{first} {second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_redis_is_gone_does_not_spin_and_stops_in_time() {
    let own = Arc::new(Servers::start().await.expect("private servers start"));
    let slow = Reaction::accept().after(Duration::from_millis(200));
    let shop = Shop::open_on(own.clone(), 500, move |_| slow).await;
    let _flusher = shop.flusher();
    let mut worker = shop.worker(&["--drain-ms", "1000"]);
    shop.product(42, 10, 2000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(100).await;
    own.redis.kill().await.expect("Redis is killed");
    let before = cpu_ms(&worker);
    // What it does in this second is looked at.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = cpu_ms(&worker) - before;
    assert!(used < 500, "{used} ms of processor time in a second without Redis");
    signal("-TERM", &worker).await;
    assert_eq!(exit_code(&mut worker).await, Some(0));
}

fn pipe_in(folder: &TempDir, name: &str) -> String {
    let path = folder.path().join(name).to_string_lossy().into_owned();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_takes_long_to_open_holds_back_no_other_channel_and_no_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = pipe_in(&folder, "read-later");
    let mut shop = Shop::open(200, |_| Reaction::accept()).await;
    let _flusher = shop.flusher();
    let mut worker = shop.worker(&["--file-path", &pipe]);
    shop.product(42, 10, 1000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(20).await;
    // Opening a pipe lasts until somebody reads it; here two seconds of messages.
    setting::set(&shop.stores.mysql, "channels", "webhook,file").await.expect("MySQL answers");
    shop.receiver.wait_for(shop.receiver.count() + 400).await;
    let mut never = shop.worker(&["--file-path", &pipe_in(&folder, "never-read"), "--only", "file"]);
    until("it waits for the pipe", || async { waits(&never).iter().any(|at| at == "wait_for_partner") }).await;
    signal("-TERM", &never).await;
    assert_eq!(exit_code(&mut never).await, Some(0));

    let reader = pipe::OpenOptions::new().open_receiver(&pipe).expect("it can be read");
    shop.stores.settings.channels.push("file".parse().expect("a channel"));
    shop.product(43, 10, 1).await;
    shop.enqueue(43, 0).await;
    let mut line = String::new();
    timeout(SOON, BufReader::new(reader).read_line(&mut line)).await.expect("it is told soon").expect("a line");
    assert!(line.contains("\"43\"") || line.contains(":43,"), "{line}");
    signal("-TERM", &worker).await;
    assert_eq!(exit_code(&mut worker).await, Some(0));
}
