//! `--output json` of what changes something: one document that says what was done.

use serde_json::{Value, json};

use super::shop::{CLI, Ended, Shop, finish};

/// What was printed by a command that failed.
fn printed(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[tokio::test]
async fn a_line_says_who_came_and_who_went() {
    let shop = Shop::open().await;
    let came = |subscribed: u64, back: u64, already: u64| json!({ "product": 42, "subscribed": subscribed, "back": back, "already": already });
    assert_eq!(shop.json(&["subscribe", "sku:47566", "1", "2", "3"]).await, came(3, 0, 0));
    let went = json!({ "product": 42, "unsubscribed": 1, "already": 0, "unknown": [] });
    assert_eq!(shop.json(&["unsubscribe", "42", "2"]).await, went);
    assert_eq!(shop.json(&["subscribe", "42", "1", "2"]).await, came(0, 1, 1));
    let ended = shop.run(&["unsubscribe", "42", "1", "9", "--output", "json"]).await;
    let went = json!({ "product": 42, "unsubscribed": 1, "already": 0, "unknown": [9] });
    assert_eq!((ended.code, printed(&ended)), (3, went));
    assert_eq!(shop.done(&["subscribe", "42", "5"]).await.stdout, "", "people are told on stderr");
}

#[tokio::test]
async fn an_import_counts_its_lines() {
    let shop = Shop::open().await;
    let products = "id,name\n42,Known\n100,New\n101,\n";
    let import = ["import", "products", "-", "--skip-bad", "--output", "json"];
    let done = shop.run_with(&import, products).await.json();
    assert_eq!(done, json!({ "lines": 3, "imported": 1, "kept": 1, "skipped": 1, "moved": null, "behind": null }));
    assert_eq!(shop.run_with(&import[..3], products).await.stdout, "");
}

#[tokio::test]
async fn a_pause_says_of_what_and_whether_it_changed_anything() {
    let shop = Shop::open().await;
    shop.done(&["enqueue", "42"]).await;
    let held = |product: Option<u32>, paused: bool, changed: bool, open: Option<u32>| json!({ "product": product, "paused": paused, "changed": changed, "open": open, "in_flight": open.map(|_| 0) });
    assert_eq!(shop.json(&["pause", "42"]).await, held(Some(42), true, true, Some(1)));
    assert_eq!(shop.json(&["pause", "42"]).await, held(Some(42), true, false, None));
    assert_eq!(shop.json(&["unpause", "42"]).await, held(Some(42), false, true, Some(1)));
    assert_eq!(shop.json(&["pause"]).await, held(None, true, true, None));
    assert_eq!(shop.json(&["pause"]).await, held(None, true, false, None));
    assert_eq!(shop.json(&["unpause"]).await, held(None, false, true, None));
}

#[tokio::test]
async fn a_cancel_and_a_resume_say_where_each_lane_stands_then() {
    let shop = Shop::open_with(&["--channels", "webhook,null"]).await;
    shop.done(&["enqueue", "42"]).await;
    let lanes = |status: &str, done: &str| {
        let lane = |channel: &str| {
            let done = format!("round 1 on {channel} {done}");
            json!({ "channel": channel, "round": 1, "status": status, "cursor": null, "last_user": null, "done": done })
        };
        json!({ "product": 42, "lanes": [lane("webhook"), lane("null")] })
    };
    assert_eq!(shop.json(&["cancel", "42"]).await, lanes("CANCELED_BY_ADMIN", "has ended"));
    assert_eq!(shop.json(&["resume", "42"]).await, lanes("QUEUED", "goes on"));
    shop.run(&["resume", "42", "--output", "json"]).await.fails(4, &["nothing to resume"]);
    let one = shop.json(&["cancel", "42", "--channel", "null"]).await;
    assert_eq!((&one["lanes"][0]["channel"], one["lanes"].as_array().map(Vec::len)), (&json!("null"), Some(1)));
    let rows = shop.json(&["actions"]).await;
    let seen: Vec<(&Value, &Value)> =
        rows.as_array().expect("an array").iter().map(|row| (&row["action"], &row["round"])).collect();
    let (cancel, resume, first, none) = (json!("cancel"), json!("resume"), json!(1), json!(null));
    assert_eq!(seen, [(&cancel, &first), (&resume, &none), (&resume, &first), (&cancel, &first)]);
}

#[tokio::test]
async fn a_migration_says_what_stands() {
    let shop = Shop::empty().await;
    let first = shop.json(&["migrate", "--partitions", "2", "--rate", "300"]).await;
    let settings = json!({
        "partitions": "2", "rate": "300", "channels": "webhook", "namespace": shop.namespace, "paused": "no"
    });
    assert_eq!((&first["settings"], &first["kept"]), (&settings, &json!([])));
    assert!(first["schema"].as_i64().is_some_and(|version| version > 0), "{first}");
    assert_eq!(shop.json(&["migrate"]).await, first, "a default asks for nothing");
    let other = shop.json(&["migrate", "--rate", "0", "--channels", "file", "--partitions", "2"]).await;
    assert_eq!((&other["settings"], &other["kept"]), (&settings, &json!(["channels", "rate"])));
}

#[tokio::test]
async fn a_migration_does_not_pass_over_other_settings_in_silence() {
    let shop = Shop::open().await;
    let done = shop.done(&["migrate", "--rate", "0"]).await;
    assert!(done.stderr.contains("rate stays 500: see `restock-cli settings set`"), "{done:?}");
    let mut migrate = shop.program(CLI);
    migrate.arg("migrate").env("RESTOCK_RATE", "7").env("RESTOCK_CHANNELS", "webhook");
    let said = finish(&mut migrate, "").await.stderr;
    assert!(said.contains("rate stays 500") && !said.contains("channels stays"), "{said}");
    assert!(!shop.done(&["migrate", "--rate", "500"]).await.stderr.contains("stays"));
    let conflict = shop.run(&["migrate", "--rate", "0", "--partitions", "8"]).await;
    assert_eq!(conflict.code, 4, "{conflict:?}");
    assert!(conflict.stderr.contains("`partitions` is 2 since the first `migrate`"), "{conflict:?}");
    let other = Shop { namespace: "elsewhere".to_owned(), ..shop };
    other.run(&["migrate"]).await.fails(4, &["elsewhere", "--namespace"]);
}
