//! enqueue, resume, cancel, stock, hydrate, evict, relog, reserve_pace: what everybody else is answered.

use restock::{
    ids::{Round, UserId},
    limit::STOCK_MAX,
    outcome::Outcome,
    redis::scripts::{
        Advance, Before, Canceled, Enqueue, Enqueued, Evict, Evicted, Finish, Hydrated, Relogged, Resumed, Settlement,
        Skip, StockChange, StockChanged, StockSet,
    },
    round::{Stamp, Status},
};

use super::fixture::{Bench, P0, PRODUCT, advance, advance_of, lane, place, told, up_to, webhook};

async fn fail(bench: &Bench, blocked: Option<UserId>) {
    let mut begun = bench.take(60_000).await;
    let finish = Finish {
        settlement: up_to(told([1])),
        status: Status::CanceledByError,
        reason: "webhook answered 500".to_owned(),
        blocked_user: blocked,
    };
    assert!(begun.hold.finish(&finish).await.expect("Redis answers"));
}

#[tokio::test]
async fn a_key_counts_once_and_with_one_quantity() {
    let bench = Bench::with_stock(0).await;
    assert_eq!(bench.enqueue_with(5, Some("k"), 1_000).await, Enqueued::Queued(Round(1)));
    assert_eq!(bench.enqueue_with(5, Some("k"), 1_000).await, Enqueued::Known(Round(1)));
    assert_eq!(bench.enqueue_with(6, Some("k"), 1_000).await, Enqueued::Conflict(5));
}

#[tokio::test]
async fn a_restock_without_stock_is_refused_and_stays_refused_under_its_key() {
    let bench = Bench::with_stock(0).await;
    assert_eq!(bench.enqueue(0).await, Enqueued::NoStock(0));
    assert_eq!(bench.enqueue_with(0, Some("k"), 1_000).await, Enqueued::NoStock(0));
    assert_eq!(bench.enqueue(3).await, Enqueued::Queued(Round(1)));
    assert_eq!(bench.enqueue_with(0, Some("k"), 1_000).await, Enqueued::NoStock(0));
}

#[tokio::test]
async fn an_enqueue_writes_nothing_when_it_must_not_be_accepted_here_and_now() {
    let bench = Bench::with_stock(5).await;
    assert_eq!(bench.enqueue_with(0, None, 0).await, Enqueued::Full);
    bench.redis.mirror_channels(P0, "file,webhook").await.expect("Redis answers");
    assert_eq!(bench.enqueue(0).await, Enqueued::Channels("file,webhook".to_owned()));
    bench.age().await;
    assert_eq!(bench.enqueue(0).await, Enqueued::Unchecked);
    let empty = Bench::open().await;
    assert_eq!(empty.enqueue(0).await, Enqueued::Unchecked);
    let enqueue = Enqueue {
        partition: P0,
        product: PRODUCT,
        quantity: 0,
        key: None,
        request: None,
        backlog_max: 1_000,
        channels: &[webhook()],
    };
    assert_eq!(empty.redis.enqueue(&enqueue).await.expect("Redis answers"), Enqueued::Unchecked);
}

#[tokio::test]
async fn of_rounds_that_wait_only_the_newest_stays() {
    let (bench, mut begun) = Bench::held().await;
    for round in 2..=4 {
        assert_eq!(bench.enqueue(1).await, Enqueued::Queued(Round(round)));
    }
    assert_eq!((bench.view().await.waiting, bench.entries().await), (Some(Round(4)), 1));
    let log = bench.raw(&format!("XRANGE {} - +", bench.redis.keys().log(P0))).await;
    assert_eq!(log.matches("SUPERSEDED").count(), 2);
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    begun.hold.advance(&end).call().await.expect("Redis answers");
    let next = bench.take(60_000).await;
    assert_eq!((next.round, next.from, next.cursor), (Round(4), None, None), "after COMPLETED from the first");
}

#[tokio::test]
async fn a_round_that_was_canceled_is_resumed_after_the_last_person() {
    let bench = Bench::with_stock(5).await;
    bench.enqueue(0).await;
    assert_eq!(
        bench.redis.resume(P0, &lane(), Before::Nothing).await.expect("Redis answers"),
        Resumed::NotCanceled(Some(Status::Queued))
    );
    fail(&bench, Some(UserId(2))).await;
    let skip = Skip { cursor: None, place: place(2), user: UserId(2), outcome: Outcome::Failed };
    let moved = bench.redis.resume(P0, &lane(), Before::Skip(skip)).await.expect("Redis answers");
    assert_eq!(moved, Resumed::Moved(Some(place(1)), Some(UserId(2))));
    let skip = Skip { cursor: Some(place(1)), ..skip };
    let queued = bench.redis.resume(P0, &lane(), Before::Skip(skip)).await.expect("Redis answers");
    assert_eq!(queued, Resumed::Queued(Round(1)));
    let begun = bench.take(60_000).await;
    assert_eq!((begun.cursor, begun.upto), (Some(place(2)), Some(place(100))));
    assert_eq!(bench.view().await.counts.failed, 1);
}

#[tokio::test]
async fn nothing_is_resumed_without_stock_or_without_a_check() {
    let bench = Bench::with_stock(5).await;
    bench.enqueue(0).await;
    fail(&bench, None).await;
    bench.redis.change_stock(P0, PRODUCT, StockChange::Set(0)).await.expect("Redis answers");
    assert_eq!(bench.redis.resume(P0, &lane(), Before::Nothing).await.expect("Redis answers"), Resumed::NoStock(0));
    bench.age().await;
    assert_eq!(bench.redis.resume(P0, &lane(), Before::Nothing).await.expect("Redis answers"), Resumed::Unchecked);
    let empty = Bench::open().await;
    assert_eq!(empty.redis.resume(P0, &lane(), Before::Nothing).await.expect("Redis answers"), Resumed::Unchecked);
}

#[tokio::test]
async fn a_cancel_ends_what_nobody_holds_and_tells_who_holds() {
    let (bench, mut begun) = Bench::held().await;
    bench.enqueue(1).await;
    assert_eq!(
        bench.redis.cancel(P0, &lane(), "canceled by ann").await.expect("Redis answers"),
        Canceled::Told(Round(1))
    );
    assert_eq!(bench.view().await.waiting, None, "the round that waited is canceled with it");
    advance(&mut begun, up_to(told([1]))).await;
    assert_eq!(bench.redis.cancel(P0, &lane(), "canceled by ann").await.expect("Redis answers"), Canceled::Nothing);
    assert_eq!(bench.enqueue(1).await, Enqueued::Queued(Round(3)));
    assert_eq!(
        bench.redis.cancel(P0, &lane(), "canceled by ann").await.expect("Redis answers"),
        Canceled::Ended(Round(3))
    );
    bench.enqueue(1).await;
    let next = bench.take(60_000).await;
    assert_eq!(next.from, Some(place(1)), "a round that was canceled before it began keeps the place");
    let empty = Bench::open().await;
    assert_eq!(empty.redis.cancel(P0, &lane(), "canceled by ann").await.expect("Redis answers"), Canceled::Unchecked);
}

#[tokio::test]
async fn stock_never_falls_below_zero() {
    let bench = Bench::with_stock(5).await;
    let change = |change| bench.redis.change_stock(P0, PRODUCT, change);
    assert_eq!(change(StockChange::Add(-6)).await.expect("Redis answers"), StockChanged::Below(5));
    assert_eq!(change(StockChange::Add(-5)).await.expect("Redis answers"), StockChanged::Ok(0));
    bench.age().await;
    assert_eq!(change(StockChange::Set(1)).await.expect("Redis answers"), StockChanged::Unchecked);
    let empty = Bench::open().await;
    let absent = empty.redis.change_stock(P0, PRODUCT, StockChange::Set(1)).await;
    assert_eq!(absent.expect("Redis answers"), StockChanged::Unchecked);
}

#[tokio::test]
async fn stock_never_rises_above_what_is_counted_exactly() {
    let bench = Bench::with_stock(5).await;
    let change = async |change| bench.redis.change_stock(P0, PRODUCT, change).await.expect("Redis answers");
    for far in [STOCK_MAX + 1, (1 << 53) + 1, i64::MAX] {
        assert_eq!(change(StockChange::Set(far)).await, StockChanged::Above(STOCK_MAX));
        assert_eq!(change(StockChange::Add(far)).await, StockChanged::Above(STOCK_MAX));
    }
    assert_eq!(change(StockChange::Set(STOCK_MAX - 2)).await, StockChanged::Ok(STOCK_MAX - 2));
    assert_eq!(change(StockChange::Add(1)).await, StockChanged::Ok(STOCK_MAX - 1));
    let hash = format!("HGETALL {}", bench.redis.keys().product(P0, PRODUCT));
    let before = bench.raw(&hash).await;
    assert_eq!(bench.enqueue(2).await, Enqueued::Above(STOCK_MAX));
    assert_eq!(bench.enqueue_with(2, Some("k"), 1_000).await, Enqueued::Above(STOCK_MAX));
    assert_eq!((bench.raw(&hash).await, bench.entries().await), (before, 0));
    assert_eq!(change(StockChange::Set(5)).await, StockChanged::Ok(5));
    assert_eq!(bench.enqueue_with(2, Some("k"), 1_000).await, Enqueued::Above(STOCK_MAX), "it stays refused");
    assert_eq!(bench.enqueue(2).await, Enqueued::Queued(Round(1)));
}

#[tokio::test]
async fn an_epoch_is_installed_once() {
    let bench = Bench::with_stock(5).await;
    assert_eq!(bench.hydrate(7, 1).await, Hydrated::Newer(1));
    assert_eq!(bench.hydrate(7, 2).await, Hydrated::Done(0));
    assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(1)));
}

#[tokio::test]
async fn only_what_mysql_has_in_full_is_forgotten() {
    let bench = Bench::with_stock(5).await;
    let stamp = Stamp { epoch: 1, version: 1 };
    let evict = |version| Evict { partition: P0, product: PRODUCT, stamp: Stamp { version, ..stamp }, lanes: &[] };
    assert_eq!(bench.redis.evict(&evict(9)).await.expect("Redis answers"), Evicted::Kept);
    assert_eq!(bench.redis.evict(&evict(1)).await.expect("Redis answers"), Evicted::Gone);
    assert_eq!(bench.enqueue(1).await, Enqueued::Unchecked);
    let relogged = bench.redis.relog(P0, PRODUCT, &[webhook()]).await.expect("Redis answers");
    assert_eq!(relogged, Relogged::Absent);
}

#[tokio::test]
async fn what_redis_holds_can_be_logged_again() {
    let (bench, mut begun) = Bench::held().await;
    let relogged = bench.redis.relog(P0, PRODUCT, &[webhook()]).await.expect("Redis answers");
    assert_eq!(relogged, Relogged::Logged);
    advance(&mut begun, Settlement::default()).await;
}

#[tokio::test]
async fn stock_is_set_in_the_state_that_was_seen_or_not_at_all() {
    let bench = Bench::with_stock(5).await;
    let set =
        async |units, tag: &str| bench.redis.set_stock(P0, PRODUCT, units, Some(tag)).await.expect("Redis answers");
    let read = async || bench.redis.read_stock(P0, PRODUCT).await.expect("Redis answers").expect("it is there").stock;
    let seen = read().await;
    assert_eq!((seen.units, seen.tag.as_str()), (5, "0-0"), "what is installed has the name that it has in MySQL");
    let StockSet::Ok(gone) = set(0, &seen.tag).await else { panic!("nothing came between") };
    assert_eq!((gone.units, &gone), (0, &read().await));
    assert_eq!(set(5, &seen.tag).await, StockSet::Moved(gone.clone()), "a late update");

    // Checked under the same run, with nothing newer in MySQL, it is the same state: whoever saw it may change it.
    bench.hydrate(5, 2).await;
    assert_eq!(read().await, gone);
    let StockSet::Ok(gone) = set(0, &gone.tag).await else { panic!("nothing came between") };

    // After a restart of the server nobody knows whether its last changes were lost, and what was seen before is past.
    bench.age().await;
    assert_eq!(set(7, &gone.tag).await, StockSet::Unchecked);
    bench.hydrate(5, 3).await;
    let StockSet::Moved(gone) = set(7, &gone.tag).await else { panic!("the server was restarted") };
    assert_eq!((gone.units, gone.tag.split_once('-').map(|(epoch, _)| epoch)), (0, Some("3")));
    let StockSet::Ok(filled) = set(7, &gone.tag).await else { panic!("nothing came between") };
    bench.enqueue(1).await;
    let StockSet::Moved(now) = set(9, &filled.tag).await else { panic!("a restock came between") };
    assert_eq!(now.units, 8);

    // A script that knows nothing of tags, as during an upgrade, leaves the last one behind.
    let version = bench.raw(&format!("HGET {} version", bench.redis.keys().product(P0, PRODUCT))).await;
    let version: u64 = version.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("a number");
    bench.set(&bench.redis.keys().product(P0, PRODUCT), "version", &(version + 1).to_string()).await;
    let StockSet::Moved(after) = set(9, &now.tag).await else { panic!("the product has changed") };
    assert_eq!((&after, after.tag.clone()), (&read().await, format!("3-{}", version + 1)));
    assert!(matches!(set(9, &after.tag).await, StockSet::Ok(_)));
}
