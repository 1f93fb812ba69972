//! Standing still and going on.

use restock::redis::scripts::{Advanced, Before, BeginReply, Canceled, Enqueued, Paused, Resumed, StockChange, Stop};
use restock::{ids::Round, redis::scripts::FirstLook};

use super::fixture::{Bench, P0, PRODUCT, advance, advance_of, lane, place, told, up_to, webhook};

async fn pause(bench: &Bench, paused: bool) -> Paused {
    bench.redis.pause(P0, PRODUCT, &[webhook()], paused).await.expect("Redis answers")
}

#[tokio::test]
async fn a_held_lane_drains_and_then_stands_without_an_entry_until_it_is_let_go_on() {
    let (bench, mut begun) = Bench::held().await;
    assert_eq!(pause(&bench, true).await, Paused::Done { open: 1, held: 1 });
    assert_eq!(pause(&bench, true).await, Paused::Same);
    let mut draining = advance_of(up_to(told([1])));
    draining.outstanding = 1;
    let drained = begun.hold.advance(&draining).call().await.expect("Redis answers");
    assert_eq!(drained, Advanced::Drain(Stop::Paused));
    assert_eq!(advance(&mut begun, up_to(told([2]))).await, Advanced::Stopped(Stop::Paused));
    let view = bench.view().await;
    assert_eq!((view.is_paused, view.token, view.entry, view.cursor), (true, None, None, Some(place(2))));
    assert_eq!(bench.entries().await, 0);

    assert_eq!(pause(&bench, false).await, Paused::Done { open: 1, held: 0 });
    assert_eq!(pause(&bench, false).await, Paused::Same);
    assert_eq!(bench.entries().await, 1);
    let next = bench.take(60_000).await;
    assert_eq!((next.round, next.cursor), (Round(1), Some(place(2))));
}

#[tokio::test]
async fn a_pause_lifted_while_the_lane_drains_lets_its_owner_go_on() {
    let (bench, mut begun) = Bench::held().await;
    pause(&bench, true).await;
    let mut draining = advance_of(up_to(told([1])));
    draining.outstanding = 1;
    begun.hold.advance(&draining).call().await.expect("Redis answers");
    assert_eq!(pause(&bench, false).await, Paused::Done { open: 1, held: 1 });
    assert_eq!(advance(&mut begun, up_to(told([2]))).await, Advanced::Go);
    assert_eq!(bench.entries().await, 1, "its entry is still the one");
}

#[tokio::test]
async fn a_round_of_a_paused_product_waits_whoever_queues_it() {
    let bench = Bench::with_stock(5).await;
    assert_eq!(pause(&bench, true).await, Paused::Done { open: 0, held: 0 });
    assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(1)));
    assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(2)));
    assert_eq!(bench.entries().await, 0);
    let canceled = bench.redis.cancel(P0, &lane(), "canceled by ann").await.expect("Redis answers");
    assert_eq!(canceled, Canceled::Ended(Round(2)));
    assert_eq!(bench.view().await.reason.as_deref(), Some("canceled by ann"));
    let resumed = bench.redis.resume(P0, &lane(), Before::Nothing).await.expect("Redis answers");
    assert_eq!((resumed, bench.entries().await), (Resumed::Queued(Round(2)), 0));
    pause(&bench, false).await;
    assert_eq!(bench.take(60_000).await.round, Round(2));
}

#[tokio::test]
async fn an_entry_that_was_read_before_the_pause_takes_no_lane() {
    let bench = Bench::with_stock(5).await;
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    pause(&bench, true).await;
    assert!(matches!(bench.begin(&entry, 60_000, FirstLook::default()).await, BeginReply::Stale));
    assert_eq!(bench.entries().await, 0);
}

#[tokio::test]
async fn a_lane_whose_owner_died_after_the_pause_is_parked_by_the_next() {
    let bench = Bench::with_stock(5).await;
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    bench.take_by(&entry, 50).await;
    assert_eq!(pause(&bench, true).await, Paused::Done { open: 1, held: 1 });
    assert!(matches!(bench.begin_when_free(&entry, 60_000).await, BeginReply::Paused));
    assert_eq!(bench.entries().await, 0);
}

#[tokio::test]
async fn stock_that_runs_out_ends_a_round_also_while_it_drains_for_a_pause() {
    let (bench, mut begun) = Bench::held().await;
    pause(&bench, true).await;
    bench.redis.change_stock(P0, PRODUCT, StockChange::Set(0)).await.expect("Redis answers");
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Stopped(Stop::SoldOut));
}

#[tokio::test]
async fn a_product_must_be_checked_before_it_is_paused() {
    let empty = Bench::open().await;
    assert_eq!(pause(&empty, true).await, Paused::Unchecked);
    let bench = Bench::with_stock(5).await;
    bench.age().await;
    assert_eq!(pause(&bench, true).await, Paused::Unchecked);
}
