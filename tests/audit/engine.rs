//! What is broken in Redis.

use restock::{ids::Round, verify::Kind};

use super::shop::{Flushing, Shop, null};

#[tokio::test]
async fn a_sound_deployment_has_no_findings() {
    let (shop, _flushing) = Shop::before_a_round().await;
    let report = shop.found(&[]).await;
    assert_eq!((report.checked.products, report.checked.lanes, report.checked.entries), (1, 1, 1));
    let (shop, _flushing) = Shop::after_a_round(50).await;
    let report = shop.found(&[]).await;
    assert_eq!((report.checked.rounds, report.checked.people), (1, 50));
}

#[tokio::test]
async fn a_lane_whose_entry_was_deleted_gets_another() {
    let (shop, _flushing) = Shop::before_a_round().await;
    shop.redis_command(&format!("XDEL {{}}:jobs:null {}", shop.entry(42).await)).await;
    shop.found_and_mended(&[Kind::LaneWithoutEntry]).await;
    let _worker = shop.worker(&[]);
    shop.ended(42, Round(1)).await;
}

#[tokio::test]
async fn entries_that_stand_for_nothing_are_dropped() {
    let (shop, _flushing) = Shop::before_a_round().await;
    shop.redis_command("XADD {}:jobs:null * product 42").await;
    shop.redis_command("XADD {}:jobs:null:again * product 7").await;
    shop.redis_command("XADD {}:jobs:null * hello world").await;
    shop.redis_command("XGROUP CREATE {}:jobs:null workers 0").await;
    shop.redis_command("XGROUP CREATE {}:jobs:null:again workers 0").await;
    shop.found_and_mended(&[Kind::EntryOrphaned, Kind::EntryOrphaned, Kind::EntryUnreadable]).await;
    assert_eq!(shop.redis_command("XLEN {}:jobs:null").await.lines().next(), Some(":1"));
}

#[tokio::test]
async fn work_without_a_group_gets_one() {
    let (mut shop, _flushing) = Shop::before_a_round().await;
    // Workers create it when they start: for a while it may be missing.
    shop.found(&[]).await;
    shop.patience.lease_ms = 0;
    shop.found_and_mended(&[Kind::GroupMissing]).await;
}

async fn given_to_a_ghost() -> (Shop, Flushing, String) {
    let (shop, flushing) = Shop::before_a_round().await;
    let entry = shop.entry(42).await;
    shop.redis_command("XGROUP CREATE {}:jobs:null workers 0").await;
    shop.redis_command("XREADGROUP GROUP workers ghost COUNT 1 STREAMS {}:jobs:null >").await;
    (shop, flushing, entry)
}

#[tokio::test]
async fn a_pending_entry_that_was_deleted_is_forgotten_and_then_its_ghost_too() {
    let (mut shop, _flushing, entry) = given_to_a_ghost().await;
    shop.found(&[]).await;
    shop.redis_command(&format!("XDEL {{}}:jobs:null {entry}")).await;
    shop.found_and_mended(&[Kind::PendingOrphaned, Kind::LaneWithoutEntry]).await;
    shop.patience.consumer_ms = 0;
    shop.found_and_mended(&[Kind::ConsumerDead]).await;
}

#[tokio::test]
async fn an_entry_that_was_acknowledged_by_hand_is_replaced() {
    let (shop, _flushing, entry) = given_to_a_ghost().await;
    shop.redis_command(&format!("XACK {{}}:jobs:null workers {entry}")).await;
    shop.found_and_mended(&[Kind::EntryUnclaimable]).await;
    let _worker = shop.worker(&[]);
    shop.ended(42, Round(1)).await;
    shop.found(&[]).await;
}

#[tokio::test]
async fn a_ghost_that_holds_work_is_reported_and_left_to_the_workers() {
    let (mut shop, _flushing, _) = given_to_a_ghost().await;
    shop.patience.consumer_ms = 0;
    let report = shop.found(&[Kind::ConsumerDead]).await;
    assert!(report.findings[0].mend.is_none() && report.findings[0].detail.contains("1 entries"), "{report:?}");
}

#[tokio::test]
async fn a_lost_product_or_lane_is_installed_again() {
    let (shop, _flushing) = Shop::before_a_round().await;
    shop.redis_command("DEL {}:product:42").await;
    shop.found_and_mended(&[Kind::ProductAbsent]).await;
    shop.redis_command("DEL {}:lane:42:null").await;
    shop.found_and_mended(&[Kind::EntryOrphaned, Kind::LaneAbsent]).await;
    let _worker = shop.worker(&[]);
    shop.ended(42, Round(1)).await;
}

#[tokio::test]
async fn older_state_in_redis_is_brought_forward() {
    let (shop, _flushing) = Shop::before_a_round().await;
    shop.redis_command("HSET {}:lane:42:null version 0").await;
    shop.found_and_mended(&[Kind::LaneBehind]).await;
    shop.redis_command("HSET {}:product:42 epoch 0 version 0").await;
    shop.found_and_mended(&[Kind::ProductBehind]).await;
}

#[tokio::test]
async fn a_cursor_changed_in_redis_is_set_back_to_what_the_outcomes_say() {
    let (shop, _flushing) = Shop::after_a_round(30).await;
    shop.redis_command("HSET {}:lane:42:null cursor 1704067200000005 sent 5").await;
    shop.found_and_mended(&[Kind::LaneDiffers]).await;
    let views = shop.stores.redis.read_lanes(super::shop::PARTITION, &[super::shop::lane(42)]).await;
    let sent = views.expect("Redis answers")[0].as_ref().map(|view| view.counts.sent);
    assert_eq!(sent, Some(30));
}

#[tokio::test]
async fn a_lane_and_its_product_stand_still_together() {
    let (shop, _flushing) = Shop::before_a_round().await;
    shop.redis_command("HSET {}:lane:42:null paused 1").await;
    shop.found_and_mended(&[Kind::LanePauseDiffers]).await;
}

#[tokio::test]
async fn a_lane_that_nobody_takes_over_and_one_that_cannot_be_read_are_reported() {
    let (mut shop, _flushing) = Shop::before_a_round().await;
    shop.patience.lease_ms = 1000;
    shop.redis_command("HSET {}:lane:42:null hold \"t 1 60000 ghost\"").await;
    let report = shop.found(&[Kind::LaneStuck]).await;
    assert!(report.findings[0].detail.contains("ghost"), "{report:?}");
    shop.redis_command("HSET {}:lane:42:null round soon").await;
    // Its entry cannot be told from a stray one either; dropping that is safe.
    let kinds = shop.verify().await.kinds();
    assert!(kinds.contains(&Kind::LaneUnreadable), "{kinds:?}");
}

#[tokio::test]
async fn the_channels_in_redis_are_those_of_the_settings() {
    let (mut shop, _flushing) = Shop::before_a_round().await;
    shop.redis_command("HSET {}:meta channels pigeon").await;
    shop.found_and_mended(&[Kind::ChannelsDiffer]).await;
    shop.stores.settings.channels = vec!["file".parse().expect("a channel")];
    shop.found_and_mended(&[Kind::ChannelsDiffer, Kind::LaneDisabled]).await;
    assert_ne!(shop.stores.settings.channels, [null()]);
}
