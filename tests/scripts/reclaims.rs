//! Taking a lane away from a silent owner, and an operator's own XCLAIM.

use std::time::{Duration, Instant};

use restock::{
    ids::Round,
    redis::{
        inspect::job_streams,
        jobs::Line,
        scripts::{Advance, Advanced, BeginReply, FirstLook, Places, Reclaimed, Renew, Settlement, Silence, Silent},
    },
};

use super::fixture::{Bench, P0, PRODUCT, advance, advance_of, lane, place, told, up_to, webhook};

async fn reclaim(bench: &Bench, silence: Silence) -> Reclaimed {
    bench.redis.reclaim(P0, &lane(), silence, false).await.expect("Redis answers")
}

fn silent(owner: Option<&str>, reclaimed: Reclaimed) -> Silent {
    let (Reclaimed::Taken(silent) | Reclaimed::Alive(silent)) = reclaimed else { panic!("{reclaimed:?}") };
    assert_eq!((silent.round, silent.owner.as_deref()), (Round(1), owner));
    silent
}

#[tokio::test]
async fn a_living_owner_keeps_its_lane_unless_less_silence_is_asked_for() {
    let (bench, mut begun) = Bench::held().await;
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Go);
    let kept = reclaim(&bench, Silence::Suspicious).await;
    assert!(matches!(kept, Reclaimed::Alive(_)), "{kept:?}");
    assert!(silent(Some("tester"), kept).silent_ms < 10_000);
    let would = bench.redis.reclaim(P0, &lane(), Silence::AtLeast(0), true).await.expect("Redis answers");
    assert!(matches!(would, Reclaimed::Taken(_)), "{would:?}");
    assert_eq!(advance(&mut begun, up_to(told([2]))).await, Advanced::Go, "only asked");

    let taken = reclaim(&bench, Silence::AtLeast(0)).await;
    assert!(matches!(taken, Reclaimed::Taken(_)), "{taken:?}");
    assert_eq!(
        advance(&mut begun, Settlement { cursor: Some(place(2)), ..Settlement::default() }).await,
        Advanced::Lost
    );
    assert_eq!(reclaim(&bench, Silence::AtLeast(0)).await, Reclaimed::Waiting(Round(1)));
    assert_eq!(bench.entries().await, 1);
    let next = bench.take(60_000).await;
    assert_eq!((next.round, next.cursor), (Round(1), Some(place(2))));
}

#[tokio::test]
async fn an_owner_silent_for_half_its_lease_loses_the_lane_before_it_runs_out() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    bench.take(2_000).await;
    let start = Instant::now();
    let taken = loop {
        match reclaim(&bench, Silence::Suspicious).await {
            Reclaimed::Alive(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            taken => break taken,
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it stays alive");
    };
    assert!((1_000..1_900).contains(&silent(Some("tester"), taken).silent_ms), "long before the lease ends");
    let view = bench.view().await;
    assert_eq!((view.token, view.owner, view.lease_until_ms), (None, None, 0));
    assert!(view.entry.is_some_and(|entry| entry.starts_with("a:")), "it was begun: handed back");
}

#[tokio::test]
async fn an_entry_that_nobody_began_is_taken_from_whoever_it_is_pending_for() {
    let bench = Bench::with_stock(10).await;
    bench.enqueue(0).await;
    assert_eq!(reclaim(&bench, Silence::AtLeast(0)).await, Reclaimed::Waiting(Round(1)));
    let old = bench.entry().await;
    assert!(matches!(reclaim(&bench, Silence::Suspicious).await, Reclaimed::Alive(_)));
    silent(Some("tester"), reclaim(&bench, Silence::AtLeast(0)).await);
    assert!(matches!(bench.begin(&old, 60_000, FirstLook::default()).await, BeginReply::Stale));
    let new = bench.entry().await;
    assert_eq!((new.line, bench.entries().await), (Line::Fresh, 1));
    bench.take_by(&new, 60_000).await;
}

#[tokio::test]
async fn a_lane_whose_entry_was_lost_gets_one_and_one_without_a_round_does_not() {
    let bench = Bench::with_stock(10).await;
    assert_eq!(reclaim(&bench, Silence::AtLeast(0)).await, Reclaimed::Absent);
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    bench.raw(&format!("XDEL {} {}", bench.redis.keys().jobs(P0, &webhook()), entry.id)).await;
    silent(None, reclaim(&bench, Silence::Suspicious).await);
    assert_eq!(bench.entries().await, 1);
    bench.redis.cancel(P0, &lane(), "by ann").await.expect("Redis answers");
    assert_eq!(reclaim(&bench, Silence::AtLeast(0)).await, Reclaimed::Closed);
    assert_eq!(bench.entries().await, 0);
}

#[tokio::test]
async fn a_paused_lane_of_a_dead_owner_is_parked_and_goes_on_when_it_is_let() {
    let (bench, _dead) = Bench::held().await;
    bench.redis.pause(P0, PRODUCT, &[webhook()], true).await.expect("Redis answers");
    silent(Some("tester"), reclaim(&bench, Silence::AtLeast(0)).await);
    assert_eq!(bench.entries().await, 0);
    assert_eq!(reclaim(&bench, Silence::AtLeast(0)).await, Reclaimed::Closed);
    bench.redis.pause(P0, PRODUCT, &[webhook()], false).await.expect("Redis answers");
    bench.take(60_000).await;
}

#[tokio::test]
async fn what_is_pending_is_read_as_xpending_shows_it() {
    let bench = Bench::with_stock(10).await;
    let [fresh, _] = job_streams(P0, &webhook());
    let none = bench.redis.pending(&fresh, None, 10).await.expect("Redis answers");
    assert_eq!(none.entries, [], "a stream without a group");
    bench.enqueue(0).await;
    let entry = bench.entry().await;
    let stream = bench.redis.keys().jobs(P0, &webhook());
    bench.raw(&format!("XADD {stream} * other field")).await;
    bench.jobs().take(Places::any(9)).await.expect("Redis answers");
    bench.raw(&format!("XCLAIM {stream} workers nobody 0 {}", entry.id)).await;
    let page = bench.redis.pending(&fresh, None, 1).await.expect("Redis answers");
    let [seen] = page.entries.as_slice() else { panic!("{page:?}") };
    assert_eq!((&seen.pending.id, seen.pending.consumer.as_str(), seen.pending.deliveries), (&entry.id, "nobody", 2));
    assert_eq!((seen.product, &page.key), (Some(PRODUCT), &stream));
    let rest = bench.redis.pending(&fresh, Some(&entry.id), 9).await.expect("Redis answers");
    assert_eq!(rest.entries, [], "what cannot be read is dropped by who receives it");
}

#[tokio::test]
async fn each_call_of_an_owner_begins_its_lease_anew_and_changes_nothing_else_of_it() {
    let (bench, mut begun) = Bench::held().await;
    let first = bench.view().await;
    let before = bench.redis.now_ms(P0).await.expect("Redis answers");
    let longer = Advance { claim_idle_ms: 70_000, ..advance_of(up_to(told([1]))) };
    assert_eq!(begun.hold.advance(&longer).call().await.expect("Redis answers"), Advanced::Go);
    let advanced = bench.view().await;
    let renew = Renew { claim_idle_ms: 90_000, consumer: "tester", tries: 0, tried_us: None };
    assert!(begun.hold.renew(&renew).call().await.expect("Redis answers"));
    let renewed = bench.view().await;
    for view in [&advanced, &renewed] {
        assert_eq!((&view.token, &view.owner), (&first.token, &Some("tester".to_owned())));
    }
    assert!(before.unsigned_abs() + 70_000 <= advanced.lease_until_ms, "{before} {advanced:?}");
    assert!(before.unsigned_abs() + 90_000 <= renewed.lease_until_ms, "{before} {renewed:?}");
}

/// As somebody may have written it by hand, or a program that is none of these.
#[tokio::test]
async fn a_hold_that_is_none_is_lost_to_its_owner_and_free_for_the_next() {
    for hold in ["GARBAGE", "\"t soon 60000 tester\"", "\" 99999999999999 60000 tester\""] {
        let (bench, mut begun) = Bench::held().await;
        bench.set(&bench.redis.keys().lane(P0, &lane()), "hold", hold).await;
        let view = bench.view().await;
        assert_eq!((view.token, view.owner, view.lease_until_ms), (None, None, 0), "{hold}");
        assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Lost, "{hold}");
        let entry = bench.jobs().pending_after(Line::Fresh, "0", 9).await.expect("Redis answers").remove(0);
        let next = bench.begin(&entry, 60_000, FirstLook::default()).await;
        assert!(matches!(next, BeginReply::Go(_)), "{hold}: {next:?}");
        assert_eq!(bench.view().await.owner.as_deref(), Some("tester"), "{hold}");
        let attempts = bench.raw(&format!("HGET {} attempts", bench.redis.keys().lane(P0, &lane()))).await;
        assert!(attempts.starts_with("$-1"), "nobody lost it: {hold}, {attempts}");
    }
}
