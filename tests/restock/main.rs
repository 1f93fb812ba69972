//! One restock, end to end: real processes, real servers, a receiver that records.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "nothing becomes slower on its way here")]
mod proxy;

mod checker;
mod crew;
mod endings;
mod faults;
mod hands;
mod kills;
mod pauses;
mod retries;
mod room;
mod shop;
mod stops;

use restock::{
    clock::wall_us,
    demo::receiver::Reaction,
    ids::{Round, UserId},
    outcome::Outcome,
    redis::scripts::{Before, Resumed, Skip, StockChange},
    round::Status,
};

use shop::{Shop, lane, until};

const FIRST: Round = Round(1);

#[tokio::test(flavor = "multi_thread")]
async fn three_people_are_told_in_order_and_stand_in_mysql() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.product(42, 3, 3).await;
    let round = shop.enqueue(42, 0).await;
    shop.completed(42, round).await;
    shop.assert_told(42, round, 1..=3).await;
    assert_eq!(shop.attempted(42, round), [1, 2, 3]);
    let state = shop.round(42, round).await.expect("a row");
    assert_eq!((state.counts.sent, state.last_user, state.cursor), (3, Some(UserId(3)), Some(Shop::place(3))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_cut_off_by_a_sell_out_is_followed_by_one_that_goes_on_with_the_very_next_person() {
    let shop = Shop::open(500, |_| Reaction::accept()).await;
    let _roles = (shop.flusher(), shop.worker(&[]));
    shop.product(42, 100, 1000).await;
    shop.enqueue(42, 0).await;
    shop.receiver.wait_for(300).await;
    shop.stock(42, StockChange::Set(0)).await;
    let gone_us = wall_us();
    let state = shop.ended(42, FIRST).await;
    let late_us = wall_us() - gone_us;
    assert_eq!(state.status, Status::CanceledBySoldOut);
    assert!(late_us < 1_000_000, "in MySQL after {late_us} µs");
    let last_start = shop.receiver.recording().deliveries().iter().map(|d| d.started_us).max().expect("some");
    assert!(last_start - gone_us < 50_000, "an attempt started {} µs after", last_start - gone_us);
    let told = shop.told(42, FIRST).await.len() as i64;
    assert_eq!(state.last_user, Some(UserId(told)));
    shop.assert_told(42, FIRST, 1..=told).await;

    let second = shop.enqueue(42, 10).await;
    shop.completed(42, second).await;
    shop.assert_told(42, second, told + 1..=1000).await;
    assert_eq!(shop.attempted(42, second).first(), Some(&(told + 1)));
    let most = shop.receiver.recording().starts_in_a_second_max();
    assert!(most <= 500, "{most} starts in a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_cannot_be_told_stops_the_round_before_them_until_they_are_skipped() {
    let blocked = 50;
    let shop = Shop::open(500, move |delivery| match delivery.key.user.0 == blocked {
        true => Reaction::status(500),
        false => Reaction::accept(),
    })
    .await;
    let _roles = (shop.flusher(), shop.worker(&["--retry-max", "2", "--window", "32"]));
    shop.product(42, 100, 200).await;
    shop.enqueue(42, 0).await;
    let state = shop.ended(42, FIRST).await;
    assert_eq!((state.status, state.blocked_user), (Status::CanceledByError, Some(UserId(blocked))));
    assert_eq!(state.cursor, Some(Shop::place(blocked - 1)));
    let told_ahead = shop.told(42, FIRST).await.len() as i64 - (blocked - 1);
    assert_eq!(state.ahead.len() as i64, told_ahead);

    let (redis, partition) = (&shop.stores.redis, shop.stores.partition_of(lane(42).product));
    let attempts = shop.receiver.count();
    assert_eq!(
        redis.resume(partition, &lane(42), Before::Nothing).await.expect("Redis answers"),
        Resumed::Queued(FIRST)
    );
    until("the blocked person is tried first", || async { shop.receiver.count() > attempts }).await;
    assert_eq!(shop.receiver.recording().deliveries()[attempts].key.user, UserId(blocked));
    until("it stops again", || async {
        shop.round(42, FIRST)
            .await
            .is_some_and(|state| state.status == Status::CanceledByError && state.ended_us > Some(0))
            && shop.receiver.count() >= attempts + 3
    })
    .await;

    let skip =
        Skip { cursor: state.cursor, place: Shop::place(blocked), user: UserId(blocked), outcome: Outcome::Failed };
    until("it can be skipped", || async {
        redis.resume(partition, &lane(42), Before::Skip(skip)).await.expect("Redis answers") == Resumed::Queued(FIRST)
    })
    .await;
    until("the round completes", || async {
        shop.round(42, FIRST).await.is_some_and(|state| state.status == Status::Completed)
    })
    .await;
    let told = shop.told(42, FIRST).await;
    assert_eq!(told.len(), 200);
    assert_eq!(told.iter().filter(|(_, outcome)| outcome == "FAILED").count(), 1);
    let recording = shop.receiver.recording();
    let accepted = recording.deliveries().iter().filter(|delivery| delivery.is_accepted()).count();
    assert_eq!(accepted, 199, "nobody who was told is told again");
    let again = redis.resume(partition, &lane(42), Before::Nothing).await.expect("Redis answers");
    assert_eq!(again, Resumed::NotCanceled(Some(Status::Completed)));
}
