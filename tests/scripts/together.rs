//! Calls that come at the same time are made as one, and each is answered as if it had come alone.

use futures_util::future::join_all;
use restock::{
    ids::{LaneId, ProductId, Round},
    redis::{
        RedisError,
        jobs::Entry,
        scripts::{
            Advance, Advanced, Begin, BeginReply, Begun, Enqueue, Enqueued, FirstLook, Hydrate, LaneRecord, Places,
            random_hex,
        },
    },
    round::{Stamp, Status},
};

use super::fixture::{Bench, P0, advance_of, place, told, up_to, webhook};

/// So many lanes of one partition.
const LANES: i64 = 100;

/// A round for each product, and its entry.
async fn queued(bench: &Bench) -> Vec<Entry> {
    for product in (1..=LANES).map(ProductId) {
        let record = LaneRecord { channel: webhook(), current: None, waiting: None, stamp: Stamp::default() };
        let (stock, round, paused, stamp, epoch) = (10, 0, false, Stamp::default(), 1);
        let hydrate = Hydrate { partition: P0, product, stock, round, paused, stamp, epoch, lanes: vec![record] };
        bench.redis.hydrate(&hydrate).await.expect("Redis answers");
        let channels = &[webhook()];
        let (quantity, key, request, backlog_max) = (0, None, None, 1_000_000);
        let enqueue = Enqueue { partition: P0, product, quantity, key, request, backlog_max, channels };
        assert_eq!(bench.redis.enqueue(&enqueue).await.expect("Redis answers"), Enqueued::Queued(Round(1)));
    }
    bench.jobs().ensure_groups().await.expect("Redis answers");
    bench.jobs().take(Places::any(LANES.unsigned_abs())).await.expect("Redis answers")
}

async fn begin(bench: &Bench, entry: &Entry) -> Result<BeginReply, RedisError> {
    let token = random_hex();
    let look = FirstLook { newest: Some(place(entry.lane.product.0)), ..FirstLook::default() };
    let (consumer, claim_idle_ms, attempts_max, backlog_max) = ("tester", 60_000, 1, 100_000);
    let begin = Begin { entry, token: &token, consumer, claim_idle_ms, attempts_max, look, backlog_max };
    bench.redis.begin(&begin).await
}

fn taken(reply: Result<BeginReply, RedisError>) -> Box<Begun> {
    match reply {
        Ok(BeginReply::Go(begun)) => begun,
        other => panic!("{other:?}"),
    }
}

/// How many scripts the server has run so far.
async fn calls(bench: &Bench) -> u64 {
    let stats = bench.raw("INFO commandstats").await;
    // Before the first one there is no line.
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.map_or(0, |line| line.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number"))
}

#[tokio::test]
async fn each_of_many_lanes_gets_its_own_answer() {
    let bench = Bench::open().await;
    let entries = queued(&bench).await;
    let mut begun: Vec<_> = join_all(entries.iter().map(|entry| begin(&bench, entry))).await;
    let mut lanes: Vec<(LaneId, Box<Begun>)> =
        entries.iter().map(|entry| entry.lane.clone()).zip(begun.drain(..).map(taken)).collect();
    for (lane, begun) in &lanes {
        assert_eq!(begun.upto, Some(place(lane.product.0)), "{lane}");
    }
    // Every third round ends, with a person of its own.
    let advances = lanes.iter_mut().map(|(lane, begun)| {
        let n = lane.product.0;
        let advance = Advance { exhausted: n % 3 == 0, ..advance_of(up_to(told([n]))) };
        let call = begun.hold.advance(&advance);
        async move { (n, call.call().await.expect("Redis answers")) }
    });
    for (n, answer) in join_all(advances).await {
        assert_eq!(answer, if n % 3 == 0 { Advanced::Completed } else { Advanced::Go }, "product {n}");
    }
    let lanes: Vec<LaneId> = lanes.into_iter().map(|(lane, _)| lane).collect();
    let views = bench.redis.read_lanes(P0, &lanes).await.expect("Redis answers");
    for (lane, view) in lanes.iter().zip(views) {
        let view = view.expect("the lane is there");
        let n = lane.product.0;
        assert_eq!((view.cursor, view.counts.sent), (Some(place(n)), 1), "{lane}");
        assert_eq!(view.status == Status::Completed, n % 3 == 0, "{lane}");
    }
}

#[tokio::test]
async fn they_are_fewer_calls_than_lanes() {
    // Other tests call scripts of the same server meanwhile: but not ten times as many.
    let (bench, before) = (Bench::open().await, calls(&Bench::open().await).await);
    let entries = queued(&bench).await;
    let queued = calls(&bench).await;
    join_all(entries.iter().map(|entry| begin(&bench, entry))).await.into_iter().for_each(|reply| drop(taken(reply)));
    let begun = calls(&bench).await - queued;
    let others = (queued - before).saturating_sub(2 * LANES.unsigned_abs());
    assert!(begun < LANES.unsigned_abs() / 2 + others, "{begun} calls for {LANES} lanes, {others} of others before");
}

#[tokio::test]
async fn an_error_of_one_lane_is_its_own() {
    let bench = Bench::open().await;
    let entries = queued(&bench).await;
    let spoilt = &entries[7].lane;
    let key = bench.redis.keys().lane(P0, spoilt);
    bench.raw(&format!("DEL {key}")).await;
    bench.raw(&format!("SET {key} text")).await;
    let replies = join_all(entries.iter().map(|entry| begin(&bench, entry))).await;
    for (entry, reply) in entries.iter().zip(replies) {
        if entry.lane == *spoilt {
            let error = reply.expect_err("its lane is no hash");
            assert!(matches!(error, RedisError::Refused(_)), "{error}");
            assert!(error.to_string().contains("WRONGTYPE"), "{error}");
        } else {
            taken(reply);
        }
    }
}

#[tokio::test]
async fn the_entries_of_rounds_that_end_together_are_gone_but_for_one_changed_by_hand() {
    let bench = Bench::open().await;
    let entries = queued(&bench).await;
    let begun = join_all(entries.iter().map(|entry| begin(&bench, entry))).await;
    let mut begun: Vec<_> = begun.into_iter().map(taken).collect();
    bench.set(&bench.redis.keys().lane(P0, &entries[7].lane), "entry", "j:by-hand").await;
    let advances = begun.iter_mut().zip(&entries).map(|(begun, entry)| {
        let settlement = up_to(told([entry.lane.product.0]));
        let call = begun.hold.advance(&Advance { exhausted: true, ..advance_of(settlement) });
        async move { call.call().await.expect("Redis answers") }
    });
    assert!(join_all(advances).await.iter().all(|answer| *answer == Advanced::Completed));
    let left = bench.raw(&format!("XRANGE {} - +", bench.redis.keys().jobs(P0, &webhook()))).await;
    assert!(left.starts_with("*1\r\n") && left.contains(&entries[7].id), "{left}");
}

#[tokio::test]
async fn whoever_goes_away_does_not_hold_up_the_others() {
    let bench = Bench::open().await;
    let entries = queued(&bench).await;
    let first = Box::pin(begin(&bench, &entries[0]));
    let others = join_all(entries[1..].iter().map(|entry| begin(&bench, entry)));
    tokio::select! {
        biased;
        // Asked, and dropped before it is answered.
        _ = first => panic!("answered without a wait"),
        () = std::future::ready(()) => {}
    }
    others.await.into_iter().for_each(|reply| drop(taken(reply)));
    let retaken = begin(&bench, &entries[0]).await.expect("Redis answers");
    assert!(matches!(retaken, BeginReply::Busy(_)), "the call that was dropped took the lane: {retaken:?}");
}
