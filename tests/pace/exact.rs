//! The pace is exact, and nearly all of it is used (rule 26).

use std::{collections::HashMap, time::Duration};

use restock::{
    clock::wall_us,
    demo::receiver::{Delivery, Reaction, Recording},
};

use super::{
    machine::{StallMeter, Stalls},
    place,
    shop::{Shop, until},
};

const RATE: u32 = 500;
const LANES: i64 = 8;
const WORKER_OPTIONS: [&str; 2] = ["--claim-idle-ms", "2000"];
const SECOND_US: i64 = 1_000_000;
const SPAN: Duration = Duration::from_secs(20);
/// What a worker may have reserved when it dies.
const RESERVED_AHEAD: Duration = Duration::from_millis(100);
/// A machine that stood still for this part of the time has more to do than it can.
const OVERLOADED: u32 = 50;

/// Attempts that started from `from_us` on, before `to_us`.
pub(crate) fn starts_between(recording: &Recording, from_us: i64, to_us: i64) -> usize {
    recording.deliveries().iter().filter(|d| (from_us..to_us).contains(&d.started_us)).count()
}

async fn wait_until_us(moment_us: i64) {
    let left = u64::try_from(moment_us - wall_us()).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(left)).await;
}

/// How late the receiver and the machine are: how much later than it started each attempt arrived, least first.
fn arrival_delays(recording: &Recording) -> Vec<Duration> {
    let delay = |d: &Delivery| Duration::from_micros(u64::try_from(d.arrived_us - d.started_us).unwrap_or(0));
    let mut delays: Vec<Duration> = recording.deliveries().iter().map(delay).collect();
    delays.sort_unstable();
    delays
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_has_more_than_the_rate_and_a_busy_crew_uses_nearly_all_of_it() {
    let _place = place().await;
    let shop = Shop::open(RATE, |_| {
        let delay_ms = rand::random_range(0..=300);
        Reaction::accept().after(Duration::from_millis(delay_ms))
    })
    .await;
    let _flusher = shop.flusher();
    let ready = (0..4).map(|_| shop.ready_worker(&WORKER_OPTIONS));
    let mut crew = futures_util::future::join_all(ready).await;
    for product in 1..=LANES {
        shop.product(product, 10, 3_000).await;
    }
    for product in 1..=LANES {
        shop.enqueue(product, 0).await;
        until("a worker has it", || async { shop.owner(product).await.is_some() }).await;
    }
    let mut lanes_of = HashMap::new();
    for product in 1..=LANES {
        let owner = shop.owner(product).await.expect("somebody works it");
        *lanes_of.entry(owner).or_insert(0) += 1;
    }
    eprintln!("lanes by worker: {lanes_of:?}");
    assert!(lanes_of.values().all(|lanes| *lanes <= LANES / 2), "one worker has most: {lanes_of:?}");
    shop.receiver.wait_for(2 * RATE as usize).await;
    let meter = StallMeter::start();
    let from_us = wall_us();
    wait_until_us(from_us + 5 * SECOND_US).await;
    let mut dead = crew.remove(0);
    let killed_us = wall_us();
    dead.kill().await.expect("it is killed");
    wait_until_us(from_us + 10 * SECOND_US).await;
    crew.push(shop.worker(&WORKER_OPTIONS));
    wait_until_us(from_us + 21 * SECOND_US).await;

    let Stalls { total, longest } = meter.stop();
    let recording = shop.receiver.recording();
    let used = starts_between(&recording, from_us, from_us + 20 * SECOND_US);
    let after_kill = |n| starts_between(&recording, killed_us + n * SECOND_US, killed_us + (n + 1) * SECOND_US);
    let after_kill = [after_kill(0), after_kill(1)];
    let delays = arrival_delays(&recording);
    let (starts, arrivals) = (recording.starts_in_a_second_max(), recording.arrivals_in_a_second_max());
    let by_second: Vec<usize> =
        (0..20).map(|n| starts_between(&recording, from_us + n * SECOND_US, from_us + (n + 1) * SECOND_US)).collect();
    eprintln!(
        "used {:.2} % of the rate over 20 s; in the two seconds after the kill {after_kill:?}; at most {starts} starts and \
         {arrivals} arrivals in a second; the machine stood still for {total:?}, at most \
         {longest:?}; arrival after start, p50, p99 and most: {:?}; by second {by_second:?}",
        used as f64 / f64::from(20 * RATE) * 100.0,
        [delays.len() / 2, delays.len() * 99 / 100, delays.len() - 1].map(|at| delays[at])
    );
    // What the machine did not let run cannot be used, and what it held up arrives at once: on a machine that is not
    // overloaded both allowances are nothing. Overloaded, it may hold up a worker while this process runs.
    let held_up = if total > SPAN / OVERLOADED { delays[delays.len() - 1].max(longest) } else { longest };
    let in_time = |time: Duration| (f64::from(RATE) * time.as_secs_f64()) as usize;
    assert!(starts <= RATE as usize, "{starts} starts in a second");
    assert!(arrivals <= RATE as usize + 10 + in_time(held_up), "{arrivals} arrivals in a second");
    assert!(used >= in_time(SPAN.saturating_sub(total)) * 97 / 100, "{used} starts in 20 s");
    // What the dead worker had reserved dies with it; from then on its share is used by the others.
    let least = [in_time(Duration::from_secs(1) - RESERVED_AHEAD), RATE as usize].map(|most| most * 96 / 100);
    let shared = after_kill.iter().zip(least).all(|(starts, least)| starts + in_time(total) >= least);
    assert!(shared, "{after_kill:?} starts in the two seconds after the kill, at least {least:?} expected");
}
