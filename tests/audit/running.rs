//! Beside running rounds, and through the command line.

use restock::{
    ids::{ProductId, Round},
    redis::{
        jobs::Jobs,
        scripts::{Begin, BeginReply, FirstLook, Places, random_hex},
    },
    verify::Kind,
};
use serde_json::Value;

use super::shop::{Shop, lane, null, until};

#[tokio::test(flavor = "multi_thread")]
async fn running_rounds_give_no_findings() {
    let mut shop = Shop::with_rate(1_500).await;
    shop.patience.lease_ms = 30_000;
    let options = ["--window", "64", "--claim-idle-ms", "1500"];
    let (_flusher, _first, second) = (shop.flusher(), shop.worker(&options), shop.worker(&options));
    for product in 1..=5 {
        shop.product(product, 10, 1_500).await;
        shop.enqueue(product).await;
    }
    let mut second = Some(second);
    let mut looks = 0;
    loop {
        let report = shop.verify().await;
        assert!(report.is_ok(), "look {looks}: {:#?}", report.findings);
        looks += 1;
        if looks == 2 {
            // Its lanes are taken over, and up to a window of people each are told again.
            drop(second.take());
            shop.enqueue(3).await;
        }
        let open =
            "SELECT CAST(COUNT(*) AS CHAR) FROM product_notification_history WHERE status IN ('QUEUED', 'IN_PROGRESS')";
        if looks > 3 && shop.value(open).await.as_deref() == Some("0") {
            break;
        }
    }
    let report = shop.verify().await;
    assert!(report.is_ok(), "{:#?}", report.findings);
    assert!(report.checked.people >= 7_500 && report.checked.rounds == 6, "{:?}", report.checked);
}

/// What a hold began is logged by its first call: until then MySQL is behind, and nothing is wrong.
#[tokio::test]
async fn a_hold_without_a_call_is_no_finding_and_one_whose_call_was_not_logged_is() {
    let (mut shop, _flushing) = Shop::before_a_round().await;
    let (redis, partition) = (&shop.stores.redis, shop.stores.partition_of(ProductId(42)));
    let jobs = Jobs::new(redis.clone(), partition, null(), "tester".to_owned());
    jobs.ensure_groups().await.expect("Redis answers");
    let entry = jobs.take(Places::any(1)).await.expect("Redis answers").pop().expect("an entry");
    let token = random_hex();
    let begin = Begin {
        entry: &entry,
        token: &token,
        consumer: "tester",
        claim_idle_ms: 60_000,
        attempts_max: 1,
        look: FirstLook::default(),
        backlog_max: 100_000,
    };
    assert!(matches!(redis.begin(&begin).await, Ok(BeginReply::Go(_))));
    let report = shop.verify().await;
    assert!(report.is_ok(), "{:#?}", report.findings);
    // Nor is anything wrong while another worker is about to take over; when nobody does, it is.
    let key = redis.keys().lane(partition, &lane(42));
    let now_ms = redis.now_ms(partition).await.expect("Redis answers");
    shop.patience.lease_ms = 30_000;
    let until = |ms: i64| format!("HSET {key} hold \"{token} {ms} 60000 tester\"");
    shop.redis_command(&until(now_ms - 1_000)).await;
    shop.found(&[]).await;
    shop.redis_command(&until(now_ms - 31_000)).await;
    shop.found(&[Kind::LaneStuck, Kind::LaneUnrecorded]).await;
    shop.redis_command(&until(now_ms + 60_000)).await;
    shop.found(&[]).await;
    // A change before it is missing, too.
    shop.redis_command(&format!("HSET {key} version 3")).await;
    shop.found(&[Kind::LaneUnrecorded]).await;
    shop.redis_command(&format!("HSET {key} version 2")).await;
    shop.found(&[]).await;
    shop.redis_command(&format!("HSET {key} call \"t 1 go\"")).await;
    shop.found(&[Kind::LaneUnrecorded]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_worker_without_work_is_not_taken_for_a_ghost() {
    let (mut shop, _flushing) = Shop::after_a_round(10).await;
    let killed = shop.redis_command("XINFO CONSUMERS {}:jobs:null workers").await;
    assert!(killed.contains("name"), "the worker that was killed is still in the group: {killed}");
    let _worker = shop.worker(&["--claim-idle-ms", "2000"]);
    shop.patience.consumer_ms = 4_000;
    until("the one that was killed is found", || async { shop.verify().await.kinds() == [Kind::ConsumerDead] }).await;
    shop.redis_command("XGROUP CREATECONSUMER {}:jobs:null workers ghost").await;
    until("the ghost is found too", || async { shop.verify().await.findings.len() == 2 }).await;
    shop.found_and_mended(&[Kind::ConsumerDead, Kind::ConsumerDead]).await;
    let consumers = shop.redis_command("XINFO CONSUMERS {}:jobs:null workers").await;
    assert_eq!(consumers.matches("name").count(), 1, "the live one stays: {consumers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_in_order_leaves_no_ghost() {
    let (shop, _flushing) = Shop::before_a_round().await;
    let mut worker = shop.worker(&[]);
    shop.ended(42, Round(1)).await;
    let pid = worker.id().expect("it runs").to_string();
    let told = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
    assert!(told.success() && worker.wait().await.expect("it ends").success());
    let consumers = shop.redis_command("XINFO CONSUMERS {}:jobs:null workers").await;
    assert_eq!(consumers.matches("name").count(), 0, "{consumers}");
}

#[tokio::test]
async fn the_command_finds_says_what_it_would_do_mends_and_keeps_who_did_it() {
    let (shop, _flushing) = Shop::before_a_round().await;
    let json = |(code, stdout, stderr): (i32, String, String)| -> (i32, Value) {
        (code, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}")))
    };
    let (code, sound) = json(shop.cli(&["verify", "--json"]).await);
    assert_eq!((code, &sound["ok"], sound["findings"].as_array().map(Vec::len)), (0, &Value::Bool(true), Some(0)));
    shop.redis_command(&format!("XDEL {{}}:jobs:null {}", shop.entry(42).await)).await;
    for args in [&["verify", "42", "--output", "json"][..], &["verify", "--repair", "--dry-run", "--json"]] {
        let (code, broken) = json(shop.cli(args).await);
        let finding = &broken["findings"][0];
        assert_eq!((code, &broken["ok"]), (6, &Value::Bool(false)));
        assert_eq!(
            (&finding["kind"], &finding["product"], &finding["channel"]),
            (&"lane_without_entry".into(), &42.into(), &"null".into())
        );
        assert!(finding["detail"].as_str().is_some_and(|text| text.contains("QUEUED")), "{finding}");
        assert!(finding["repair"].as_str().is_some_and(|text| text.contains("42")), "{finding}");
    }
    let (code, table, notes) = shop.cli(&["verify", "--repair", "--dry-run"]).await;
    assert!(
        code == 6 && table.contains("lane_without_entry") && notes.contains("1 of 1 findings would be mended"),
        "{table}{notes}"
    );
    let (code, mended) = json(shop.cli(&["verify", "--repair", "--json", "--by", "ann"]).await);
    assert_eq!((code, &mended["ok"], mended["repaired"].as_array().map(Vec::len)), (0, &Value::Bool(true), Some(1)));
    assert_eq!(shop.cli(&["verify", "42"]).await.0, 0);
    let (_, actions) = json(shop.cli(&["actions", "--output", "json"]).await);
    assert_eq!(actions.as_array().map(Vec::len), Some(1), "what changed nothing is not kept: {actions}");
    assert_eq!((&actions[0]["by"], &actions[0]["action"]), (&"ann".into(), &"verify --repair".into()));
    assert_eq!(actions[0]["result"], "mended 1, left 0: lane_without_entry");
    assert_eq!(shop.cli(&["verify", "999"]).await.0, 3);
    let _worker = shop.worker(&[]);
    shop.ended(42, Round(1)).await;
}
