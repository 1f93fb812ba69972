//! Calls that come at the same time are made as one, and each is answered as if it had come alone.

use futures_util::future::join_all;
use restock::{
    ids::{LaneId, Partition, ProductId, Round},
    outcome::Outcome,
    redis::{
        RedisError,
        jobs::{Entry, Jobs},
        scripts::{
            Advance, Advanced, Begin, BeginReply, Begun, Enqueue, Enqueued, FirstLook, Hydrate, LaneRecord, Places,
            Settlement, random_hex,
        },
    },
    round::{Stamp, Status},
};

use super::fixture::{Bench, P0, advance_of, place, told, up_to, webhook};

/// So many lanes of one partition.
const LANES: i64 = 100;

/// A round for each product, and its entry.
async fn queued(bench: &Bench) -> Vec<Entry> {
    queued_in(bench, P0).await
}

async fn queued_in(bench: &Bench, partition: Partition) -> Vec<Entry> {
    for product in (1..=LANES).map(ProductId) {
        let record = LaneRecord { channel: webhook(), current: None, waiting: None, stamp: Stamp::default() };
        let (stock, round, paused, stamp, epoch) = (10, 0, false, Stamp::default(), 1);
        let hydrate = Hydrate { partition, product, stock, round, paused, stamp, epoch, lanes: vec![record] };
        bench.redis.hydrate(&hydrate).await.expect("Redis answers");
        let channels = &[webhook()];
        let (quantity, key, request, backlog_max) = (0, None, None, 1_000_000);
        let enqueue = Enqueue { partition, product, quantity, key, request, backlog_max, channels };
        assert_eq!(bench.redis.enqueue(&enqueue).await.expect("Redis answers"), Enqueued::Queued(Round(1)));
    }
    let jobs = Jobs::new(bench.redis.clone(), partition, webhook(), "tester".to_owned());
    jobs.ensure_groups().await.expect("Redis answers");
    jobs.take(Places::any(LANES.unsigned_abs())).await.expect("Redis answers")
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

/// What is around a lane is named once for all lanes of its partition and channel.
#[tokio::test]
async fn lanes_of_two_partitions_that_ask_in_turns_get_their_own_answers() {
    let bench = Bench::open().await;
    let (ours, others) = (queued_in(&bench, P0).await, queued_in(&bench, Partition(1)).await);
    let entries: Vec<&Entry> = ours.iter().zip(&others).flat_map(|(our, other)| [our, other]).collect();
    let begun = join_all(entries.iter().map(|entry| begin(&bench, entry))).await;
    let mut begun: Vec<_> = begun.into_iter().map(taken).collect();
    let advances = begun.iter_mut().zip(&entries).map(|(begun, entry)| {
        let n = entry.lane.product.0;
        assert_eq!(begun.upto, Some(place(n)), "{}", entry.lane);
        let exhausted = n % 3 == i64::from(entry.partition.0);
        let call = begun.hold.advance(&Advance { exhausted, ..advance_of(up_to(told([n]))) });
        async move { (exhausted, call.call().await.expect("Redis answers")) }
    });
    for (exhausted, answer) in join_all(advances).await {
        assert_eq!(answer, if exhausted { Advanced::Completed } else { Advanced::Go });
    }
    for (partition, entries) in [(P0, ours), (Partition(1), others)] {
        let lanes: Vec<LaneId> = entries.into_iter().map(|entry| entry.lane).collect();
        for (lane, view) in lanes.iter().zip(bench.redis.read_lanes(partition, &lanes).await.expect("Redis answers")) {
            let (view, n) = (view.expect("the lane is there"), lane.product.0);
            assert_eq!((view.cursor, view.counts.sent), (Some(place(n)), 1), "{lane} of {partition}");
            assert_eq!(view.status == Status::Completed, n % 3 == i64::from(partition.0), "{lane} of {partition}");
        }
        let jobs = bench.redis.keys().jobs(partition, &webhook());
        let left = (1..=LANES).filter(|n| n % 3 != i64::from(partition.0)).count();
        assert!(bench.raw(&format!("XLEN {jobs}")).await.starts_with(&format!(":{left}\r\n")));
    }
}

/// The tables of one lane are taken for the next, in what is read of it and in what is written.
#[tokio::test]
async fn what_one_lane_has_is_nothing_of_the_next() {
    let bench = Bench::open().await;
    let mut entries = queued(&bench).await;
    for entry in entries.iter().step_by(4) {
        bench.raw(&format!("HSET {} paused 1", bench.redis.keys().lane(P0, &entry.lane))).await;
    }
    let begun = join_all(entries.iter().map(|entry| begin(&bench, entry))).await;
    let mut held = Vec::new();
    for (at, reply) in begun.into_iter().enumerate() {
        match reply.expect("Redis answers") {
            BeginReply::Go(begun) if at % 4 > 0 => held.push((at, begun)),
            other => assert!(at % 4 == 0 && matches!(other, BeginReply::Paused), "{at}: {other:?}"),
        }
    }
    let outcome = |at: usize| if at.is_multiple_of(2) { Outcome::Failed } else { Outcome::Sent };
    let advances = held.iter_mut().map(|(at, begun)| {
        let mut people = told([entries[*at].lane.product.0]);
        people[0].outcome = outcome(*at);
        begun.hold.advance(&Advance { exhausted: true, ..advance_of(up_to(people)) })
    });
    let calls: Vec<_> = advances.collect();
    for answer in join_all(calls.iter().map(|call| call.call())).await {
        assert_eq!(answer.expect("Redis answers"), Advanced::Completed);
    }
    let log = bench.raw(&format!("XRANGE {} - +", bench.redis.keys().log(P0))).await;
    for (at, entry) in entries.drain(..).enumerate().filter(|(at, _)| at % 4 > 0) {
        let state = format!("{}|webhook|1|COMPLETED|", entry.lane.product);
        let line = log.lines().find(|line| line.starts_with(&state)).expect("its end is logged");
        let counts = if outcome(at) == Outcome::Failed { "|0,0,1,0|" } else { "|1,0,0,0|" };
        assert!(line.contains(counts), "{line}");
    }
}

#[tokio::test]
async fn what_somebody_wrote_into_a_lane_as_its_answer_keeps_no_other_from_its_own() {
    let bench = Bench::open().await;
    let entries = queued(&bench).await;
    let mut begun: Vec<_> =
        join_all(entries.iter().map(|entry| begin(&bench, entry))).await.into_iter().map(taken).collect();
    let lane = &entries[7].lane;
    let held = bench.redis.read_lanes(P0, std::slice::from_ref(lane)).await.expect("Redis answers").remove(0);
    let (key, token) = (bench.redis.keys().lane(P0, lane), held.and_then(|view| view.token).expect("it is held"));
    bench.raw(&format!("HSET {key} call \"{token} 1 [true]\"")).await;
    let advances = begun.iter_mut().map(|begun| begun.hold.advance(&advance_of(Settlement::default())));
    let calls: Vec<_> = advances.collect();
    for (at, answer) in join_all(calls.iter().map(|call| call.call())).await.into_iter().enumerate() {
        match answer {
            Ok(answer) => assert!(at != 7 && answer == Advanced::Go, "{at}: {answer:?}"),
            Err(error) => assert!(at == 7 && matches!(error, RedisError::Refused(_)), "{at}: {error}"),
        }
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
    let key = bench.redis.keys().lane(P0, &entries[7].lane);
    bench.raw(&format!("DEL {key}")).await;
    bench.raw(&format!("SET {key} text")).await;
    // This one is found out when the lane has been given away, but for the writing.
    bench.set(&bench.redis.keys().product(P0, entries[8].lane.product), "stock", "x").await;
    let replies = join_all(entries.iter().map(|entry| begin(&bench, entry))).await;
    for (at, (entry, reply)) in entries.iter().zip(replies).enumerate() {
        let spoilt = match at {
            7 => "WRONGTYPE",
            8 => "attempt to compare number with nil",
            _ => {
                assert_eq!(taken(reply).upto, Some(place(entry.lane.product.0)), "{at}");
                continue;
            }
        };
        let error = reply.expect_err("its lane or its product is spoilt");
        assert!(matches!(error, RedisError::Refused(_)) && error.to_string().contains(spoilt), "{at}: {error}");
    }
    let views = bench.redis.read_lanes(P0, &[entries[8].lane.clone(), entries[9].lane.clone()]).await;
    let held: Vec<bool> = views.expect("Redis answers").iter().flatten().map(|view| view.token.is_some()).collect();
    assert_eq!(held, [false, true], "what raised has written nothing, and the next lane all of its own");
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
