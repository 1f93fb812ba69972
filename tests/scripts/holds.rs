//! begin, advance, renew, release, finish: what the holder of a lane is answered.

use restock::{
    ids::{Round, UserId},
    redis::jobs::Line,
    redis::scripts::{
        Advance, Advanced, Begin, BeginReply, Enqueued, Finish, FirstLook, Hydrated, LaneRecord, Places, Released,
        Renew, Settlement, StockChange, StockChanged, Stop, random_hex,
    },
    round::{Stamp, Status},
};

use super::fixture::{Bench, P0, PRODUCT, advance, advance_of, lane, place, told, up_to, webhook};

const RENEW: Renew<'_> = Renew { claim_idle_ms: 60_000, consumer: "tester", tries: 2, tried_us: Some(7) };

async fn sell_out(bench: &Bench) {
    let changed = bench.redis.change_stock(P0, PRODUCT, StockChange::Set(0)).await.expect("Redis answers");
    assert_eq!(changed, StockChanged::Ok(0));
}

/// Tells the holder of the lane what `cancel` and `pause` would tell it.
async fn tell(bench: &Bench, field: &str) {
    bench.set(&bench.redis.keys().lane(P0, &lane()), field, "1").await;
}

#[tokio::test]
async fn without_its_product_a_lane_can_end_and_cannot_go_on() {
    let (bench, mut begun) = Bench::held().await;
    bench.raw(&format!("DEL {}", bench.redis.keys().product(P0, PRODUCT))).await;
    let before = bench.view().await;
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Lost);
    assert_eq!(bench.view().await, before, "nothing was written");

    let (bench, mut begun) = Bench::held().await;
    bench.raw(&format!("DEL {}", bench.redis.keys().product(P0, PRODUCT))).await;
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    assert_eq!(begun.hold.advance(&end).call().await.expect("Redis answers"), Advanced::Completed);
}

#[tokio::test]
async fn a_lane_that_cannot_be_read_is_nobodys_and_is_not_logged() {
    for (field, value) in
        [("status", "GARBAGE"), ("last_user", "GARBAGE"), ("upto", "later"), ("round", "-1"), ("ahead", "x")]
    {
        let (bench, mut begun) = Bench::held().await;
        let lane_key = bench.redis.keys().lane(P0, &lane());
        bench.set(&lane_key, field, value).await;
        let log = format!("XLEN {}", bench.redis.keys().log(P0));
        let before = bench.raw(&log).await;
        assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Lost, "{field}");
        let held = bench.jobs().pending_after(Line::Fresh, "0", 9).await.expect("Redis answers");
        let begin = bench.begin(&held[0], 60_000, FirstLook::default()).await;
        assert!(matches!(begin, BeginReply::Stale), "{field}: {begin:?}");
        assert_eq!((bench.entries().await, bench.raw(&log).await), (0, before), "{field}");
    }
}

#[tokio::test]
async fn people_are_authorised_while_there_is_stock_and_settled_in_order() {
    let (bench, mut begun) = Bench::held().await;
    assert_eq!(begun.upto, Some(place(100)), "16 digits survive Lua");
    assert_eq!(advance(&mut begun, Settlement::default()).await, Advanced::Go);
    assert_eq!(advance(&mut begun, up_to(told(1..=3))).await, Advanced::Go);
    let view = bench.view().await;
    assert_eq!((view.cursor, view.last_user, view.counts.sent), (Some(place(3)), Some(UserId(3)), 3));
}

#[tokio::test]
async fn nobody_is_authorised_while_mysql_is_behind_but_what_is_done_is_settled() {
    let (bench, mut begun) = Bench::held().await;
    let call = Advance { backlog_max: 0, ..advance_of(up_to(told(1..=2))) };
    assert_eq!(begun.hold.advance(&call).call().await.expect("Redis answers"), Advanced::Full);
    assert_eq!(bench.view().await.cursor, Some(place(2)));
}

#[tokio::test]
async fn a_sold_out_round_drains_first_and_its_decision_stands() {
    let (bench, mut begun) = Bench::held().await;
    sell_out(&bench).await;
    let call = Advance { outstanding: 2, ..advance_of(up_to(told([1]))) };
    let drained = begun.hold.advance(&call).call().await.expect("Redis answers");
    assert_eq!(drained, Advanced::Drain(Stop::SoldOut));
    assert_eq!(bench.enqueue(5).await, Enqueued::Queued(Round(2)));
    let last = Settlement { ahead: vec![place(3)], ..up_to(told([2])) };
    assert_eq!(advance(&mut begun, last).await, Advanced::Stopped(Stop::SoldOut));
    let view = bench.view().await;
    assert_eq!((view.round, view.status, view.cursor), (Round(2), Status::Queued, Some(place(2))));
    assert_eq!((view.ahead, bench.entries().await), (vec![place(3)], 1));
}

#[tokio::test]
async fn completed_wins_over_sold_out() {
    let (bench, mut begun) = Bench::held().await;
    sell_out(&bench).await;
    let call = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    assert_eq!(begun.hold.advance(&call).call().await.expect("Redis answers"), Advanced::Completed);
    assert_eq!((bench.view().await.status, bench.entries().await), (Status::Completed, 0));
}

#[tokio::test]
async fn a_holder_obeys_who_cancels_and_who_pauses() {
    let (bench, mut begun) = Bench::held().await;
    tell(&bench, "cancel").await;
    assert_eq!(advance(&mut begun, Settlement::default()).await, Advanced::Stopped(Stop::Canceled));
    assert_eq!(bench.view().await.status, Status::CanceledByAdmin);
    let (bench, mut begun) = Bench::held().await;
    tell(&bench, "paused").await;
    assert_eq!(advance(&mut begun, Settlement::default()).await, Advanced::Stopped(Stop::Paused));
    assert_eq!((bench.view().await.is_paused, bench.entries().await), (true, 0));
}

#[tokio::test]
async fn a_call_that_is_sent_twice_counts_once() {
    let (bench, mut begun) = Bench::held().await;
    let call = begun.hold.advance(&advance_of(up_to(told(1..=4))));
    assert_eq!(call.call().await.expect("Redis answers"), Advanced::Go);
    assert_eq!(call.call().await.expect("Redis answers"), Advanced::Go);
    assert_eq!(bench.view().await.counts.sent, 4);
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    let end = begun.hold.advance(&end);
    assert_eq!(end.call().await.expect("Redis answers"), Advanced::Completed);
    assert_eq!(end.call().await.expect("Redis answers"), Advanced::Completed, "also when the round has ended");
}

#[tokio::test]
async fn after_a_takeover_the_old_holder_can_do_nothing() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    let mut old = bench.take_by(&entry, 50).await;
    let look = FirstLook { newest: Some(place(200)), ..FirstLook::default() };
    let busy = bench.begin(&entry, 60_000, look).await;
    assert!(matches!(busy, BeginReply::Busy(_) | BeginReply::Go(_)), "{busy:?}");
    let new = if let BeginReply::Go(begun) = busy { begun } else { bench.take_by(&entry, 60_000).await };
    assert_eq!(new.upto, Some(place(100)), "only the first begin fixes upto");
    assert_eq!(advance(&mut old, up_to(told([1]))).await, Advanced::Lost);
    assert!(!old.hold.renew(&RENEW).call().await.expect("Redis answers"));
    assert_eq!(old.hold.release(&Settlement::default()).await.expect("Redis answers"), Released::Lost);
    let finish = Finish {
        settlement: Settlement::default(),
        status: Status::CanceledByError,
        reason: "too late".to_owned(),
        blocked_user: None,
    };
    assert!(!old.hold.finish(&finish).await.expect("Redis answers"));
    assert_eq!(bench.view().await.cursor, None);
}

#[tokio::test]
async fn a_lane_that_loses_too_many_workers_at_one_person_is_buried() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    bench.take_by(&entry, 1).await;
    bench.take_by(&entry, 1).await;
    assert!(matches!(bench.begin_when_free(&entry, 1).await, BeginReply::Buried));
    assert_eq!(bench.view().await.status, Status::CanceledByError);
    let dead = bench.redis.keys().dead(P0, &lane().channel);
    assert!(bench.raw(&format!("XLEN {dead}")).await.starts_with(":1"));
    assert!(matches!(bench.begin_when_free(&entry, 1).await, BeginReply::Stale));
}

#[tokio::test]
async fn begin_obeys_what_its_late_owner_was_told() {
    for (told_to, canceled) in [("cancel", true), ("paused", false)] {
        let bench = Bench::with_stock(10).await;
        bench.enqueue(0).await;
        let entry = bench.entry().await;
        bench.take_by(&entry, 1).await;
        tell(&bench, told_to).await;
        let reply = bench.begin_when_free(&entry, 1).await;
        assert!(matches!((&reply, canceled), (BeginReply::Canceled, true) | (BeginReply::Paused, false)), "{reply:?}");
        assert_eq!(bench.entries().await, 0);
    }
}

#[tokio::test]
async fn begin_asks_for_a_check_of_a_product_that_is_absent_or_aged() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    bench.age().await;
    assert!(matches!(bench.begin_when_free(&entry, 1).await, BeginReply::Unchecked));
    bench.raw(&format!("DEL {}", bench.redis.keys().product(P0, PRODUCT))).await;
    assert!(matches!(bench.begin_when_free(&entry, 1).await, BeginReply::Unchecked));
}

/// As after a fail-over that lost what MySQL has.
#[tokio::test]
async fn whoever_held_a_lane_that_was_installed_anew_is_not_answered_from_its_memory() {
    let (bench, mut begun) = Bench::held().await;
    let call = begun.hold.advance(&advance_of(up_to(told([1]))));
    assert_eq!(call.call().await.expect("Redis answers"), Advanced::Go);
    let view = bench.view().await;
    let stamp = Stamp { version: view.stamp.version + 1, ..view.stamp };
    let record = LaneRecord { channel: webhook(), current: Some(view.state(&lane())), waiting: None, stamp };
    assert_eq!(bench.hydrate_with(10, 2, record).await, Hydrated::Done(1));
    assert_eq!(bench.view().await.token, None);
    assert_eq!(call.call().await.expect("Redis answers"), Advanced::Lost);
}

#[tokio::test]
async fn a_begin_that_is_sent_twice_takes_the_lane_once() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    let (entry, token) = (bench.entry().await, random_hex());
    let look = FirstLook { newest: Some(place(100)), ..FirstLook::default() };
    let begin = Begin {
        entry: &entry,
        token: &token,
        consumer: "tester",
        claim_idle_ms: 60_000,
        attempts_max: 1,
        look,
        backlog_max: 100_000,
    };
    for _ in 0..2 {
        assert!(matches!(bench.redis.begin(&begin).await.expect("Redis answers"), BeginReply::Go(_)));
    }
}

#[tokio::test]
async fn a_released_lane_keeps_the_tries_and_goes_behind_fresh_work() {
    let (bench, mut begun) = Bench::held().await;
    assert!(begun.hold.renew(&RENEW).call().await.expect("Redis answers"));
    let settlement = Settlement { tries: 3, tried_us: Some(7), ..up_to(told([1])) };
    assert_eq!(begun.hold.release(&settlement).await.expect("Redis answers"), Released::Queued);
    assert_eq!(bench.entries().await, 1);
    let again = bench.take(60_000).await;
    assert_eq!((again.cursor, again.tries, again.tried_us), (Some(place(1)), 3, Some(7)));
}

#[tokio::test]
async fn a_release_obeys_who_cancels_and_who_pauses() {
    for (told_to, expected) in [("cancel", Released::Canceled), ("paused", Released::Paused)] {
        let (bench, mut begun) = Bench::held().await;
        tell(&bench, told_to).await;
        assert_eq!(begun.hold.release(&Settlement::default()).await.expect("Redis answers"), expected);
        assert_eq!(bench.entries().await, 0);
    }
}

#[tokio::test]
async fn an_operators_xclaim_stops_no_lane() {
    let (bench, mut begun) = Bench::held().await;
    let entry = bench.view().await.entry.expect("an entry");
    let jobs = bench.redis.keys().jobs(P0, &lane().channel);
    bench.raw(&format!("XCLAIM {jobs} workers somebody 0 {}", &entry[2..])).await;
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Go);
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    assert_eq!(begun.hold.advance(&end).call().await.expect("Redis answers"), Advanced::Completed);
    assert_eq!(bench.entries().await, 0);
}

#[tokio::test]
async fn a_reader_is_given_nothing_where_there_is_nothing_and_drops_what_was_deleted() {
    let bench = Bench::with_stock(10).await;
    let jobs = bench.jobs();
    jobs.ensure_groups().await.expect("Redis answers");
    assert_eq!(jobs.take(Places::any(1)).await.expect("Redis answers"), []);
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    let pending = jobs.pending_after(Line::Fresh, "0", 9).await.expect("Redis answers");
    assert_eq!(pending, std::slice::from_ref(&entry));
    bench.raw(&format!("XDEL {} {}", bench.redis.keys().jobs(P0, &lane().channel), entry.id)).await;
    assert_eq!(jobs.pending_after(Line::Fresh, "0", 9).await.expect("Redis answers"), []);
}
