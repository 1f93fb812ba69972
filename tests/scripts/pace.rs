//! reserve_pace: moments over a total and its channels.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use restock::{
    ids::Channel,
    limit::Limit,
    redis::scripts::{Reserve, Reserved},
};

use super::fixture::Bench;

const WINDOW_US: i64 = 1_020_000;
/// Moments are given out for the 100 ms ahead: who asks later than that has lost some.
const STANDSTILL: Duration = Duration::from_millis(60);

/// How many may start at each moment.
type Moments = BTreeMap<i64, u32>;

fn channel(name: &str) -> Channel {
    name.parse().expect("a channel")
}

fn limit(rate: u32, revision: u64) -> Limit {
    Limit { rate, channel_rate: 0, paused: false, revision }
}

async fn ask(bench: &Bench, name: &str, limit: Limit, unused: &[(i64, u32)]) -> Reserved {
    let channel = channel(name);
    let reserve = Reserve { channel: &channel, wanted: 2_000, horizon_us: 100_000, lead_us: 0, limit, unused };
    bench.redis.reserve_pace(&reserve).await.expect("Redis answers")
}

/// Asks in turn for so long after the first grant, on Redis' clock; what each was granted.
///
/// From the start again where this process itself stood still: what is not asked for in time is lost by design.
async fn granted<const N: usize>(bench: &Bench, asks: [(&str, Limit); N], for_us: i64) -> [Moments; N] {
    for _ in 0..20 {
        if let Some(all) = granted_at_once(bench, asks, for_us).await {
            return all;
        }
    }
    panic!("this machine stands still again and again");
}

/// `None` after a standstill.
async fn granted_at_once<const N: usize>(bench: &Bench, asks: [(&str, Limit); N], for_us: i64) -> Option<[Moments; N]> {
    let mut all = [const { Moments::new() }; N];
    let mut end = None;
    let mut asked = Instant::now();
    loop {
        // The first answer may be that the first moment is a second away.
        if asked.elapsed() > STANDSTILL && end.is_some() {
            return None;
        }
        asked = Instant::now();
        for ((name, limit), all) in asks.iter().zip(&mut all) {
            match ask(bench, name, *limit, &[]).await {
                Reserved::Granted { now_us, moments } => {
                    end.get_or_insert(now_us + for_us);
                    moments.into_iter().for_each(|(moment, count)| *all.entry(moment).or_default() += count);
                }
                Reserved::Wait(_) => {}
                other => panic!("there is a pace: {other:?}"),
            }
        }
        let latest = all.iter().filter_map(|moments| moments.keys().max()).max();
        if end.is_some_and(|end| latest.is_some_and(|latest| *latest > end)) {
            return Some(all);
        }
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
}

fn together(some: &Moments, others: &Moments) -> Moments {
    let mut all = some.clone();
    others.iter().for_each(|(moment, count)| *all.entry(*moment).or_default() += count);
    all
}

/// The most in any window that starts at a moment.
fn fullest_window(moments: &Moments) -> u32 {
    let window = |from: i64| moments.range(from..from + WINDOW_US).map(|(_, count)| count).sum();
    moments.keys().map(|from| window(*from)).max().unwrap_or(0)
}

fn per_window(moments: &Moments) -> i64 {
    let (first, last) = (moments.keys().min().expect("some"), moments.keys().max().expect("some"));
    let count: i64 = moments.values().map(|count| i64::from(*count)).sum();
    count * WINDOW_US / (last - first).max(1)
}

#[tokio::test]
async fn every_window_is_within_the_rate_and_full_and_the_first_is_a_second_away() {
    let bench = Bench::open().await;
    let Reserved::Wait(us) = ask(&bench, "webhook", limit(500, 1), &[]).await else { panic!("nothing is known yet") };
    assert!(us > 800_000, "after the pace was lost the first moment is a second away, not {us} µs");
    let [moments] = granted(&bench, [("webhook", limit(500, 1))], 3_000_000).await;
    assert!(fullest_window(&moments) <= 500, "{}", fullest_window(&moments));
    assert!(per_window(&moments) >= 495, "{}", per_window(&moments));
    let used = bench.redis.pace_use("total").await.expect("Redis answers");
    assert!(used.rate == Some(500) && used.last_second > 400, "{used:?}");
}

#[tokio::test]
async fn a_rate_below_one_in_a_cell_is_kept_too() {
    let bench = Bench::open().await;
    let [moments] = granted(&bench, [("webhook", limit(3, 1))], 3_000_000).await;
    assert!(fullest_window(&moments) <= 3 && moments.values().sum::<u32>() >= 9, "{moments:?}");
}

#[tokio::test]
async fn what_comes_back_is_given_out_again_and_nothing_else() {
    let bench = Bench::open().await;
    let [first] = granted(&bench, [("webhook", limit(500, 1))], 1_200_000).await;
    let newest: Vec<(i64, u32)> = first.iter().rev().take(4).map(|(moment, count)| (*moment, *count)).collect();
    let back: u32 = newest.iter().map(|(_, count)| count).sum();
    let mut kept = first;
    kept.retain(|moment, _| !newest.iter().any(|(back, _)| back == moment));
    let mut again = Moments::new();
    for unused in [&newest[..], &[]] {
        if let Reserved::Granted { moments, .. } = ask(&bench, "webhook", limit(500, 1), unused).await {
            moments.into_iter().for_each(|(moment, count)| *again.entry(moment).or_default() += count);
        }
    }
    assert!(again.values().sum::<u32>() >= back, "{again:?} for {newest:?}");
    assert!(fullest_window(&together(&kept, &again)) <= 500);
    // What was never given out, or is back already, cannot be given back.
    let [more] = granted(&bench, [("webhook", limit(500, 1))], 1_000).await;
    let long_ago = [(1_000_000, 400), (0, 7)];
    let [after] = match ask(&bench, "webhook", limit(500, 1), &long_ago).await {
        Reserved::Granted { moments, .. } => [moments.into_iter().collect::<Moments>()],
        _ => [Moments::new()],
    };
    assert!(fullest_window(&together(&together(&kept, &again), &together(&more, &after))) <= 500);
}

#[tokio::test]
async fn a_channel_keeps_its_own_rate_and_leaves_the_rest_to_the_others() {
    let bench = Bench::open().await;
    let own = Limit { channel_rate: 100, ..limit(300, 1) };
    let [slow, other] = granted(&bench, [("webhook", own), ("file", limit(300, 1))], 2_500_000).await;
    assert!(fullest_window(&slow) <= 100, "{}", fullest_window(&slow));
    assert!(fullest_window(&together(&slow, &other)) <= 300);
    assert!(per_window(&together(&slow, &other)) >= 295, "{}", per_window(&together(&slow, &other)));
    assert!(per_window(&other) >= 195, "{}", per_window(&other));
    let used = bench.redis.pace_use("webhook").await.expect("Redis answers");
    assert!(used.rate == Some(100) && used.last_second <= 100, "{used:?}");
}

#[tokio::test]
async fn a_channel_has_a_rate_where_the_total_has_none() {
    let bench = Bench::open().await;
    let own = Limit { channel_rate: 50, ..limit(0, 1) };
    let [slow] = granted(&bench, [("webhook", own)], 1_500_000).await;
    assert!((45..=50).contains(&fullest_window(&slow)), "{}", fullest_window(&slow));
    assert_eq!(ask(&bench, "file", limit(0, 1), &[]).await, Reserved::Unlimited);
}

#[tokio::test]
async fn a_lower_rate_holds_for_every_window_that_begins_after_it() {
    let bench = Bench::open().await;
    let [before] = granted(&bench, [("webhook", limit(500, 1))], 1_200_000).await;
    let [after] = granted(&bench, [("webhook", limit(200, 2))], 2_000_000).await;
    let last_before = before.keys().max().copied().expect("some");
    let mut tail = after.clone();
    before.range(last_before - 50_000..).for_each(|(moment, count)| *tail.entry(*moment).or_default() += count);
    assert!(fullest_window(&tail) <= 200, "{}", fullest_window(&tail));
    assert!(per_window(&after) >= 190, "{}", per_window(&after));
}

#[tokio::test]
async fn the_newest_limit_stands_whoever_asks_with_an_older_one() {
    let bench = Bench::open().await;
    let rate = async || bench.redis.pace_use("total").await.expect("Redis answers").rate;
    ask(&bench, "webhook", limit(100, 0), &[]).await;
    assert_eq!(rate().await, Some(100), "a first limit needs no revision");
    ask(&bench, "webhook", limit(200, 7), &[]).await;
    ask(&bench, "webhook", limit(100, 6), &[]).await;
    assert_eq!(rate().await, Some(200));
    let paused = Limit { paused: true, ..limit(200, 8) };
    assert_eq!(ask(&bench, "webhook", paused, &[]).await, Reserved::Paused);
    assert_eq!(ask(&bench, "file", limit(200, 7), &[]).await, Reserved::Paused);
    bench.redis.set_limit(&channel("webhook"), limit(0, 9)).await.expect("Redis answers");
    assert_eq!(ask(&bench, "webhook", limit(200, 7), &[]).await, Reserved::Unlimited);
}
