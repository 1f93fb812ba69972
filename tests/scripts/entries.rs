//! Entries that are handed back or cannot be read, signals that come again, and calls whose answer was lost.

use std::time::Duration;

use restock::redis::{
    Patience, Redis,
    jobs::Line,
    scripts::{
        Advance, Advanced, BeginReply, Canceled, FirstLook, Places, Requeued, Settlement, StockChange, StockChanged,
    },
    signal::{Signal, listen},
};

use super::{
    fixture::{Bench, P0, PRODUCT, advance, advance_of, lane, place, told, up_to, webhook},
    proxy::Proxy,
};

#[tokio::test]
async fn an_entry_that_nobody_began_goes_back_in_line() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    assert_eq!(bench.redis.requeue(&entry).await.expect("Redis answers"), Requeued::Queued);
    assert_eq!(bench.redis.requeue(&entry).await.expect("Redis answers"), Requeued::Stale);
    assert_eq!(bench.entries().await, 1);
    assert!(matches!(bench.begin(&entry, 60_000, FirstLook::default()).await, BeginReply::Stale));
    assert_eq!(bench.take(60_000).await.upto, Some(place(100)));
}

#[tokio::test]
async fn an_entry_that_is_put_back_takes_no_lane_away() {
    let (bench, mut begun) = Bench::held().await;
    let held = bench.jobs().pending_after(Line::Fresh, "0", 9).await.expect("Redis answers");
    assert_eq!(bench.redis.requeue(&held[0]).await.expect("Redis answers"), Requeued::Queued);
    let again = bench.entry().await;
    assert!(matches!(bench.begin(&again, 60_000, FirstLook::default()).await, BeginReply::Busy(_)));
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Go);
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    begun.hold.advance(&end).call().await.expect("Redis answers");
    assert_eq!(bench.entries().await, 0, "its last call takes the new entry away");
}

#[tokio::test]
async fn a_consumer_that_leaves_has_nothing_pending_and_no_name() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    bench.entry().await;
    bench.jobs().leave(|_| false).await.expect("Redis answers");
    let key = bench.redis.keys().jobs(P0, &webhook());
    let groups = bench.raw(&format!("XINFO CONSUMERS {key} workers")).await;
    assert!(groups.starts_with("*0"), "{groups}");
    assert!(bench.jobs().has_waiting().await.expect("Redis answers"));
}

/// XACK or XGROUP DELCONSUMER by hand leave an entry on the stream that no reader is given any more.
#[tokio::test]
async fn an_entry_that_reaches_nobody_any_more_is_replaced() {
    for by_hand in ["XACK {key} workers {id}", "XGROUP DELCONSUMER {key} workers tester"] {
        let bench = Bench::with_stock(10).await;
        bench.enqueue(0).await;
        let named = [(lane(), bench.view().await.entry.expect("an entry"))];
        let live = async || bench.redis.can_reach_workers(P0, &named).await.expect("Redis answers");
        assert_eq!(live().await, [true], "not given out yet");
        let entry = bench.entry().await;
        assert_eq!(live().await, [true], "pending");
        let key = bench.redis.keys().jobs(P0, &webhook());
        bench.raw(&by_hand.replace("{key}", &key).replace("{id}", &entry.id)).await;
        assert_eq!(live().await, [false], "{by_hand}");
        bench.hydrate(10, 2).await;
        assert_eq!(bench.entries().await, 1);
        assert_eq!(bench.take(60_000).await.upto, Some(place(100)));
    }
}

#[tokio::test]
async fn an_entry_that_is_not_text_holds_nobody_back() {
    let bench = Bench::with_stock(10).await;
    let jobs = bench.jobs();
    jobs.ensure_groups().await.expect("Redis answers");
    let key = bench.redis.keys().jobs(P0, &webhook());
    bench.raw(&format!(r#"XADD {key} * product "\xff\xfe""#)).await;
    bench.raw(&format!(r#"XADD {key} * "\xff" 1"#)).await;
    bench.enqueue(0).await;
    bench.raw(&format!("XREADGROUP GROUP workers dead STREAMS {key} >")).await;
    let (_, taken) = jobs.claim_idle(Line::Fresh, 0, "0-0", 100).await.expect("Redis answers");
    assert_eq!(taken.iter().map(|entry| &entry.lane).collect::<Vec<_>>(), [&lane()]);
    assert_eq!(bench.entries().await, 1, "the others are gone");
    bench.raw(&format!(r#"XADD {key} * product "\xff\xfe""#)).await;
    assert_eq!(jobs.take(Places::any(10)).await.expect("Redis answers"), []);
}

#[tokio::test]
async fn the_first_try_of_the_next_person_is_theirs_and_not_the_one_before() {
    let (bench, mut begun) = Bench::held().await;
    advance(&mut begun, Settlement { tries: 1, tried_us: Some(7), ..Settlement::default() }).await;
    let moved = Settlement { tries: 1, tried_us: Some(9), ..up_to(told([1])) };
    begun.hold.release(&moved).await.expect("Redis answers");
    let again = bench.take(60_000).await;
    assert_eq!((again.tries, again.tried_us), (1, Some(9)));
}

#[tokio::test]
async fn nothing_is_canceled_before_an_aged_product_was_checked() {
    let (bench, _begun) = Bench::held().await;
    bench.age().await;
    let canceled = bench.redis.cancel(P0, &lane(), "canceled by ann").await.expect("Redis answers");
    assert_eq!(canceled, Canceled::Unchecked);
}

/// The answer is lost, the server looks restarted when the client sends the call again: it still counts once.
#[tokio::test]
async fn a_change_of_stock_whose_answer_was_lost_counts_once() {
    let bench = Bench::with_stock(5).await;
    let late = Duration::from_millis(150);
    let proxy = Proxy::start(bench.address(), late).await;
    let redis = Redis::connect(&proxy.url().into(), &bench.namespace, Patience::Endless).await.expect("Redis answers");
    let change = tokio::spawn(async move { redis.change_stock(P0, PRODUCT, StockChange::Add(5)).await });
    let product = bench.redis.keys().product(P0, PRODUCT);
    while !bench.raw(&format!("HGET {product} stock")).await.contains("10") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.age().await;
    proxy.cut();
    assert_eq!(change.await.expect("it ends").expect("Redis answers"), StockChanged::Ok(10));
}

#[tokio::test]
async fn stop_signals_come_again_after_the_connection_was_broken() {
    let bench = Bench::with_stock(5).await;
    let proxy = Proxy::start(bench.address(), Duration::ZERO).await;
    let redis = Redis::connect(&proxy.url().into(), &bench.namespace, Patience::Endless).await.expect("Redis answers");
    let mut signals = listen(&redis, 2).await.expect("Redis answers");
    let mut next = async || {
        let signal = tokio::time::timeout(Duration::from_secs(20), signals.recv());
        signal.await.expect("a signal comes").expect("the listener runs")
    };
    for breaks in [Proxy::cut, Proxy::mute, Proxy::cut] {
        breaks(&proxy);
        assert_eq!(next().await, Signal::Resubscribed);
        bench.redis.change_stock(P0, PRODUCT, StockChange::Set(0)).await.expect("Redis answers");
        while next().await != Signal::Stop(PRODUCT) {}
    }
}
