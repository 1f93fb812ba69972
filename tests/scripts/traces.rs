//! The trace of a round lies in each of its entries, and in no other round's.

use restock::{
    ids::Round,
    redis::scripts::{Advance, Advanced, Begun, Enqueued, Settlement},
    trace::{self, Traceparent},
};

use super::fixture::{Bench, P0, advance_of, lane, told, up_to};

const FIRST: &str = "00-11111111111111111111111111111111-1111111111111111-01";
const SECOND: &str = "00-22222222222222222222222222222222-2222222222222222-01";
const THIRD: &str = "00-33333333333333333333333333333333-3333333333333333-01";

/// Announces the round of this number as part of a trace.
async fn enqueue(bench: &Bench, round: u32, trace: Option<&str>) {
    let parent = trace.and_then(Traceparent::parse);
    let enqueued = trace::follow(tracing::Span::none, parent, bench.enqueue(0)).await;
    assert_eq!(enqueued, Enqueued::Queued(Round(round)));
}

fn of(parent: Option<&Traceparent>) -> Option<&str> {
    parent.map(Traceparent::as_str)
}

/// Takes the lane by its next entry, which belongs to this trace.
async fn take(bench: &Bench, trace: Option<&str>) -> Box<Begun> {
    let entry = bench.entry().await;
    assert_eq!(of(entry.traceparent.as_ref()), trace);
    let begun = bench.take_by(&entry, 60_000).await;
    assert_eq!(of(begun.traceparent.as_ref()), trace);
    begun
}

async fn complete(mut begun: Box<Begun>) {
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    assert_eq!(begun.hold.advance(&end).call().await.expect("Redis answers"), Advanced::Completed);
}

#[tokio::test]
async fn a_round_keeps_its_trace_while_others_wait_and_overtake() {
    let bench = Bench::with_stock(10).await;
    enqueue(&bench, 1, Some(FIRST)).await;
    let mut begun = take(&bench, Some(FIRST)).await;
    enqueue(&bench, 2, Some(SECOND)).await;
    begun.hold.release(&Settlement::default()).await.expect("Redis answers");
    let begun = take(&bench, Some(FIRST)).await;
    enqueue(&bench, 3, Some(THIRD)).await;
    complete(begun).await;
    let mut begun = take(&bench, Some(THIRD)).await;
    enqueue(&bench, 4, None).await;
    begun.hold.release(&Settlement::default()).await.expect("Redis answers");
    complete(take(&bench, Some(THIRD)).await).await;
    complete(take(&bench, None).await).await;
}

#[tokio::test]
async fn a_round_that_is_overtaken_before_it_begins_leaves_its_trace_to_nobody() {
    let bench = Bench::with_stock(10).await;
    enqueue(&bench, 1, Some(FIRST)).await;
    enqueue(&bench, 2, None).await;
    let begun = bench.take_by(&bench.entry().await, 60_000).await;
    assert_eq!((begun.round, of(begun.traceparent.as_ref())), (Round(2), None));
    complete(begun).await;
    enqueue(&bench, 3, Some(SECOND)).await;
    enqueue(&bench, 4, Some(THIRD)).await;
    let begun = bench.take_by(&bench.entry().await, 60_000).await;
    assert_eq!((begun.round, of(begun.traceparent.as_ref())), (Round(4), Some(THIRD)));
}

#[tokio::test]
async fn what_an_older_version_left_in_the_lane_or_wrote_into_an_entry_is_no_trace() {
    let bench = Bench::with_stock(10).await;
    enqueue(&bench, 1, Some(FIRST)).await;
    complete(take(&bench, Some(FIRST)).await).await;
    enqueue(&bench, 2, None).await;
    let key = bench.redis.keys().lane(P0, &lane());
    bench.raw(&format!("HSET {key} trace \"1 {FIRST}\" waiting_trace \"no trace\"")).await;
    let mut begun = take(&bench, None).await;
    begun.hold.release(&Settlement::default()).await.expect("Redis answers");
    bench.raw(&format!("HSET {key} trace \"2 no trace\"")).await;
    let mut begun = take(&bench, None).await;
    begun.hold.release(&Settlement::default()).await.expect("Redis answers");
    take(&bench, None).await;
}
