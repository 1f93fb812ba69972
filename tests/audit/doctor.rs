//! `doctor`: what it says of sound and of ill deployments.

use restock::local::{LocalRedis, Port};
use serde_json::Value;

use super::shop::{Shop, until};

/// The exit code, and the level of each check by its name.
async fn doctor(shop: &Shop, args: &[&str]) -> (i32, Vec<(String, String)>, Value) {
    let args: Vec<&str> = ["doctor", "--json"].iter().chain(args).copied().collect();
    let (code, stdout, stderr) = shop.cli(&args).await;
    let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}"));
    assert_eq!(stderr, "", "{stdout}");
    let text = |check: &Value, name: &str| check[name].as_str().expect("text").to_owned();
    let checks = document["checks"].as_array().expect("an array");
    for check in checks {
        assert_eq!(check["level"] == "ok", check["advice"].is_null(), "what is ill says what to do: {check}");
    }
    let levels = checks.iter().map(|check| (text(check, "check"), text(check, "level"))).collect();
    (code, levels, document)
}

#[track_caller]
fn assert_level(levels: &[(String, String)], check: &str, level: &str) {
    let found = levels.iter().find(|(name, _)| name == check);
    assert_eq!(found.map(|(_, level)| level.as_str()), Some(level), "{check} in {levels:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_with_all_its_processes_is_well() {
    let shop = Shop::with_rate(500).await;
    let (code, levels, _) = doctor(&shop, &[]).await;
    assert_eq!(code, 6);
    assert_level(&levels, "flusher", "fail");
    assert_level(&levels, "workers", "fail");
    let _roles = (shop.flusher(), shop.worker(&[]));
    until("both give signs of life", || async { doctor(&shop, &[]).await.0 == 0 }).await;
    let (_, levels, document) = doctor(&shop, &[]).await;
    assert_eq!(document["ok"], true);
    for check in [
        "redis",
        "redis_version",
        "mysql",
        "mysql_version",
        "mysql_binlog",
        "schema",
        "clocks",
        "settings",
        "window",
        "lease",
        "drain",
        "flusher",
        "flush_lag",
        "streams",
        "dead",
        "workers",
        "log_dead",
        "paused",
        "pace",
    ] {
        assert_level(&levels, check, "ok");
    }
    let (code, table, notes) = shop.cli(&["doctor"]).await;
    assert!(code == 0 && table.contains("redis_version") && notes.contains("0 failed"), "{table}{notes}");
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_named() {
    let shop = Shop::with_rate(500).await;
    let options = ["--window", "20", "--claim-idle-ms", "500", "--drain-ms", "100"];
    let (_, levels, _) = doctor(&shop, &options).await;
    for check in ["window", "lease", "drain"] {
        assert_level(&levels, check, "warn");
    }
    assert_eq!(shop.cli(&["pause"]).await.0, 0);
    assert_level(&doctor(&shop, &[]).await.1, "settings", "warn");
    shop.execute("INSERT INTO product (id, name, is_paused) VALUES (1, 'one', 1)").await;
    shop.execute("UPDATE setting SET value = '7' WHERE name = 'rate'").await;
    let (_, levels, _) = doctor(&shop, &[]).await;
    assert_level(&levels, "paused", "warn");
    assert_level(&levels, "pace", "warn");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_one_line_and_the_other_is_examined() {
    let shop = Shop::open().await;
    let port = Port::find().expect("a free port");
    let (code, levels, _) = doctor(&shop, &["--redis-url", &format!("redis://127.0.0.1:{port}")]).await;
    assert_eq!(code, 5);
    assert_level(&levels, "redis", "fail");
    assert_level(&levels, "mysql", "ok");
    assert!(!levels.iter().any(|(name, _)| name == "redis_version" || name == "flusher"), "{levels:?}");
    let url = format!("mysql://root:hunter2@127.0.0.1:{port}/restock");
    let (code, levels, document) = doctor(&shop, &["--mysql-url", &url]).await;
    assert_eq!(code, 5);
    assert_level(&levels, "mysql", "fail");
    assert_level(&levels, "redis", "ok");
    assert!(!document.to_string().contains("hunter2"), "{document}");
}

#[tokio::test]
async fn a_schema_of_another_version_or_namespace_is_said() {
    let shop = Shop::open().await;
    let (code, levels, _) = doctor(&shop, &["--namespace", "another"]).await;
    assert_eq!(code, 6);
    assert_level(&levels, "namespace", "fail");
    shop.execute("DELETE FROM _sqlx_migrations").await;
    let (code, levels, _) = doctor(&shop, &[]).await;
    assert_eq!(code, 6);
    assert_level(&levels, "schema", "fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_drop_keys_fails_and_one_that_keeps_them_does_not() {
    let own = LocalRedis::start().await.expect("a private Redis starts");
    let mut shop = Shop::open().await;
    shop.redis_url = own.url();
    let arg = own.url();
    let args = ["--redis-url", arg.as_str()];
    shop.redis_command("CONFIG SET maxmemory-policy allkeys-lru").await;
    shop.redis_command("CONFIG SET maxmemory 100000000").await;
    assert_level(&doctor(&shop, &args).await.1, "redis_memory", "fail");
    shop.redis_command("CONFIG SET maxmemory-policy noeviction").await;
    shop.redis_command("CONFIG SET appendonly yes").await;
    shop.redis_command("CONFIG SET appendfsync everysec").await;
    let (_, levels, _) = doctor(&shop, &args).await;
    assert_level(&levels, "redis_memory", "ok");
    assert_level(&levels, "redis_persistence", "ok");
    shop.redis_command("CONFIG SET appendonly no").await;
    assert_level(&doctor(&shop, &args).await.1, "redis_persistence", "warn");
}
