//! take: which entries a worker is given for its places, and in which order.

use restock::redis::{
    jobs::{Entry, Line},
    scripts::Places,
};

use super::fixture::{Bench, P0, webhook};

/// Entries of products 1, 2, … on the fresh stream, and of 101, 102, … on that of those handed back.
async fn waiting(fresh: i64, again: i64) -> Bench {
    let bench = Bench::open().await;
    bench.jobs().ensure_groups().await.expect("Redis answers");
    for product in 1..=fresh {
        bench.raw(&format!("XADD {} * product {product}", bench.redis.keys().jobs(P0, &webhook()))).await;
    }
    for product in 1..=again {
        bench.raw(&format!("XADD {} * product {}", bench.redis.keys().again(P0, &webhook()), product + 100)).await;
    }
    bench
}

async fn take(bench: &Bench, places: Places) -> Vec<Entry> {
    bench.jobs().take(places).await.expect("Redis answers")
}

fn products(entries: &[Entry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.lane.product.0).collect()
}

#[tokio::test]
async fn handed_back_newest_and_fresh_come_in_this_order() {
    let bench = waiting(6, 3).await;
    let given = take(&bench, Places { count: 5, again_first: 2, newest: 1 }).await;
    assert_eq!(products(&given), [101, 102, 6, 1, 2]);
    assert_eq!(given.iter().map(|entry| entry.line).collect::<Vec<_>>()[..3], [Line::Again, Line::Again, Line::Fresh]);
    // The newest comes once more in its turn; it is its worker's already.
    assert_eq!(products(&take(&bench, Places::any(9)).await), [3, 4, 5, 6, 103]);
    assert_eq!(take(&bench, Places { count: 9, again_first: 1, newest: 1 }).await, []);
}

#[tokio::test]
async fn no_more_is_given_than_there_are_places() {
    let bench = waiting(3, 3).await;
    assert_eq!(products(&take(&bench, Places { count: 1, again_first: 1, newest: 1 }).await), [101]);
    assert_eq!(products(&take(&bench, Places { count: 1, again_first: 0, newest: 1 }).await), [3]);
    assert_eq!(products(&take(&bench, Places::any(2)).await), [1, 2]);
    // Who is asked for first and is not there leaves the place to others.
    assert_eq!(products(&take(&bench, Places { count: 4, again_first: 3, newest: 0 }).await), [102, 103, 3]);
}

#[tokio::test]
async fn the_newest_is_one_that_nobody_has() {
    let bench = waiting(6, 0).await;
    let newest = Places { count: 1, again_first: 0, newest: 1 };
    let mut given = Vec::new();
    for _ in 0..4 {
        given.extend(products(&take(&bench, newest).await));
    }
    assert_eq!(given, [6, 5, 4, 3]);
    // So many that were taken out of turn are passed over, no more.
    assert_eq!(products(&take(&bench, newest).await), [1]);
}

#[tokio::test]
async fn several_of_the_newest_are_given_and_each_once() {
    let bench = waiting(12, 0).await;
    assert_eq!(products(&take(&bench, Places { count: 4, again_first: 0, newest: 2 }).await), [12, 11, 1, 2]);
    // More places than entries: who was given out of turn is not given again in turn.
    let given = take(&bench, Places { count: 20, again_first: 0, newest: 3 }).await;
    assert_eq!(products(&given), [10, 9, 8, 3, 4, 5, 6, 7, 11, 12]);
    assert_eq!(take(&bench, Places { count: 9, again_first: 0, newest: 9 }).await, []);
}

/// A stream without a group is an error, so that its reader makes one; but not for what was given before.
#[tokio::test]
async fn what_was_given_is_in_hand_where_the_other_stream_has_no_group() {
    let bench = waiting(2, 2).await;
    let fresh = bench.redis.keys().jobs(P0, &webhook());
    bench.raw(&format!("XGROUP DESTROY {fresh} workers")).await;
    assert_eq!(products(&take(&bench, Places { count: 9, again_first: 1, newest: 1 }).await), [101]);
    let error = bench.jobs().take(Places { newest: 1, ..Places::any(9) }).await.expect_err("no group");
    assert!(error.is_no_group(), "{error}");
    assert_eq!(bench.jobs().pending_after(Line::Again, "0", 9).await.expect("Redis answers").len(), 1);
    bench.raw(&format!("DEL {fresh}")).await;
    assert!(bench.jobs().take(Places::any(9)).await.is_err_and(|error| error.is_no_group()));
    bench.jobs().ensure_groups().await.expect("Redis answers");
    assert_eq!(products(&take(&bench, Places::any(9)).await), [102]);
    bench.raw(&format!("XADD {fresh} * product 3")).await;
    bench.raw(&format!("DEL {}", bench.redis.keys().again(P0, &webhook()))).await;
    assert_eq!(products(&take(&bench, Places::any(9)).await), [3]);
}

#[tokio::test]
async fn what_cannot_be_read_holds_nobody_back() {
    let bench = waiting(1, 0).await;
    let fresh = bench.redis.keys().jobs(P0, &webhook());
    let long = "1".repeat(100);
    for fields in [r#"product "\xff\xfe""#, r#""\xff" 1"#, "product x", &format!("product {long}"), r#"product "1 \n""#]
    {
        bench.raw(&format!("XADD {fresh} * {fields}")).await;
    }
    let traced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    bench.raw(&format!(r#"XADD {fresh} * product 2 traceparent "\xff""#)).await;
    bench.raw(&format!("XADD {fresh} * product 3 traceparent {traced}")).await;
    let given = take(&bench, Places::any(9)).await;
    assert_eq!(products(&given), [1, 2, 3]);
    assert_eq!(given.iter().map(|entry| entry.traceparent.is_some()).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(bench.entries().await, 3, "the others are set aside");
}
