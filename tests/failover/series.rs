//! One fail-over after another, with `make faults`.

use std::time::Duration;

use restock::{clock::wall_us, local::LocalRedis};

use super::{
    runs::follow,
    sentinel::under_way,
    shop::{until, until_within},
    turn,
};

/// People told between two fail-overs, at least.
const BETWEEN: usize = 200;
const TIMES: usize = 20;
/// So many that the round lasts longer than all that happens to it.
const PEOPLE: i64 = 60_000;
/// Twice what all of them take.
const LAST_MAX: Duration = Duration::from_secs(240);

/// The server that was replaced starts again and follows its successor, which others may follow again. By itself a sentinel
/// tells it so within ten seconds.
async fn start_over(gone: &LocalRedis, successor: &LocalRedis) {
    successor.command("CONFIG SET masteruser \"\" masterauth \"\"").await.expect("it answers");
    gone.start_again().await.expect("it starts");
    follow(gone, successor).await;
}

/// Every second time the successor lacks the last writes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make faults"]
async fn one_fail_over_after_another_loses_nobody() {
    let _turn = turn().await;
    let (redis, shop, _roles) = under_way(PEOPLE).await;
    let (mut in_doubt, mut stood_still_ms) = (0, Vec::new());
    for time in 0..TIMES {
        let started = shop.standing(1).await.started;
        shop.receiver.wait_for(started + BETWEEN).await;
        let (primary, replica) = redis.pair().await.expect("a sentinel answers");
        if time % 2 == 1 {
            primary.cut_off(replica).await.expect("both answer");
            let cut = shop.standing(1).await;
            shop.receiver.wait_for(cut.started + BETWEEN / 2).await;
        }
        primary.kill().await.expect("it is killed");
        let killed_us = wall_us();
        in_doubt += shop.standing(1).await.in_doubt();
        redis.replaced(primary).await.expect("the replica is promoted");
        until("the round goes on", || async { shop.first_start_after(1, killed_us + 500_000).is_some() }).await;
        let on_us = shop.first_start_after(1, killed_us + 500_000).expect("it goes on");
        stood_still_ms.push((on_us - killed_us) / 1000);
        start_over(primary, replica).await;
    }
    let everybody = usize::try_from(PEOPLE).expect("a few");
    until_within(LAST_MAX, "everybody was tried", || async { shop.standing(1).await.started == everybody }).await;
    shop.completed(1).await;
    let repeated = shop.told(1, PEOPLE).await;
    eprintln!(
        "{TIMES} fail-overs, on after {stood_still_ms:?} ms; {repeated} of {PEOPLE} told twice, {in_doubt} in doubt"
    );
    assert!(repeated <= in_doubt, "{repeated} told twice, {in_doubt} were in doubt");
    shop.verified().await;
}
