//! What earlier releases left in Redis and MySQL is read by the programs of this one.
//!
//! `tests/data/state-<version>` has the state of a release, as `make state` wrote it with that release's programs; the table
//! at the head of `examples/store_state/story.rs` says what is in it.

mod install;
#[expect(dead_code, reason = "what is installed is not read back")]
mod resp;
mod shop;

use std::collections::BTreeMap;

use install::{Since, releases};
use shop::Shop;

/// Everybody whom the old programs had not told: by product, in line order.
fn owed() -> BTreeMap<i64, Vec<i64>> {
    let rest = |product: i64, first: i64| (product, (first..=10).map(|user| product * 100 + user).collect());
    BTreeMap::from([rest(1, 4), rest(2, 4), rest(3, 1), rest(4, 1), rest(5, 4), rest(6, 1), rest(7, 4)])
}

async fn goes_on(release: &str, since: Since) {
    let shop = Shop::open(release, since).await;
    shop.cli("migrate").await;
    assert_eq!(shop.status(2).await, "CANCELED_BY_ADMIN 3", "{release}");
    assert_eq!(shop.status(3).await, "COMPLETED 9", "{release}");
    assert_eq!(shop.status(7).await, "CANCELED_BY_SOLD_OUT 3", "{release}");
    let history = shop.cli("history 3 --round 1").await;
    let people: Vec<String> = history.as_array().into_iter().flatten().map(|row| row["user"].to_string()).collect();
    let outcomes: Vec<&str> =
        history.as_array().into_iter().flatten().filter_map(|row| row["outcome"].as_str()).collect();
    assert_eq!(people, (301..=310).map(|user: i64| user.to_string()).collect::<Vec<_>>(), "{release}");
    let expected: Vec<&str> = (1..=10).map(|user| if user == 3 { "FAILED" } else { "SENT" }).collect();
    assert_eq!(outcomes, expected, "{release}");

    let _roles = (shop.role("restock-flusher"), shop.role("restock-worker"));
    // 1 was held by a worker that is dead, 4 lay in the stream, 5 was handed back, 6 waits in the outbox.
    for product in [1, 4, 5, 6] {
        shop.becomes(product, "COMPLETED 10").await;
    }
    let again = shop.cli("enqueue 3 --quantity 5 --key delivery-3").await;
    assert_eq!(again["round"], 1, "{release}: the key of a round is known: {again}");
    shop.cli("resume 2").await;
    shop.cli("enqueue 7 --quantity 5").await;
    shop.cli("enqueue 3").await;
    shop.becomes(2, "COMPLETED 10").await;
    shop.becomes(3, "COMPLETED 10").await;
    shop.becomes(7, "COMPLETED 7").await;
    assert_eq!(shop.told(), owed(), "{release}, {since:?}: each once, in line order");
    shop.becomes_sound().await;
}

/// As in an upgrade: Redis runs on, and trusts what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_every_release_goes_on_where_it_stood() {
    for release in releases() {
        goes_on(&release, Since::SameRun).await;
    }
}

/// Redis was started again in between, so that each product is checked against MySQL first.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_every_release_goes_on_after_redis_was_started_again() {
    for release in releases() {
        goes_on(&release, Since::AnotherRun).await;
    }
}

#[test]
fn the_state_of_this_release_is_kept_for_the_next() {
    let this = env!("CARGO_PKG_VERSION");
    assert!(
        releases().iter().any(|release| release == this),
        "there is no state of {this}: run `make state`, and add it"
    );
}
