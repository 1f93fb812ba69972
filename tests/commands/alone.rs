//! What goes on with Redis alone while MySQL does not answer: above all, to stop the sending.

use std::net::TcpListener;

use serde_json::json;

use super::shop::Shop;

/// The same deployment, with somebody at the address of MySQL who listens and never answers.
fn with_silent_mysql(shop: &Shop) -> (Shop, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mysql_url = format!("mysql://root:hunter2@{}/restock", silent.local_addr().expect("an address"));
    (Shop { redis_url: shop.redis_url.clone(), mysql_url, namespace: shop.namespace.clone() }, silent)
}

#[tokio::test]
async fn the_sending_can_be_stopped_while_mysql_does_not_answer() {
    let shop = Shop::open_with(&["--channels", "null", "--rate", "5"]).await;
    let users: Vec<String> = (1001..1201).map(|user| user.to_string()).collect();
    for product in ["8", "9"] {
        shop.done(&["product", "add", product, "--name", "Lamp", "--stock", "5"]).await;
    }
    for product in ["42", "8", "9"] {
        let subscribe: Vec<&str> = ["subscribe", product].into_iter().chain(users.iter().map(String::as_str)).collect();
        shop.done(&subscribe).await;
        shop.done(&["enqueue", product]).await;
    }
    let _roles = (shop.flusher(), shop.worker(&[]));
    let all_run = |rows: &serde_json::Value| (0..3).all(|at| rows[at]["status"] == "IN_PROGRESS");
    shop.until(&["status"], all_run).await;

    let (alone, _silent) = with_silent_mysql(&shop);
    let note = |stderr: &str, what: &str| {
        let last = stderr.trim_end().lines().last().unwrap_or_default();
        assert!(
            last.contains("MySQL at 127.0.0.1:") && last.contains("does not answer") && last.contains(what),
            "{stderr}"
        );
    };
    let pending = alone.done(&["pending", "--output", "json"]).await;
    note(&pending.stderr, "channels");
    assert_eq!(pending.json().as_array().map(Vec::len), Some(3), "{pending:?}");
    let set = alone.done(&["stock", "set", "42", "0", "--output", "json"]).await;
    note(&set.stderr, "Redis alone");
    assert_eq!(set.json(), json!({ "id": 42, "sku": null, "name": null, "stock": 0, "round": 1 }));
    let canceled = alone.done(&["cancel", "8", "--by", "ann"]).await;
    assert!(canceled.stderr.starts_with("product 8: round 1 on null"), "{canceled:?}");
    note(&canceled.stderr, "not recorded in `actions`");
    let paused = alone.done(&["pause", "9"]).await;
    assert!(paused.stderr.starts_with("product 9 is paused"), "{paused:?}");
    note(&paused.stderr, "not recorded in `actions`");

    // MySQL gets it all from the log, and nothing undoes it.
    let row = |rows: &serde_json::Value, product: i64| {
        let of = |row: &&serde_json::Value| row["product"] == product;
        rows.as_array().expect("an array").iter().find(of).expect("a row").clone()
    };
    let rows = shop
        .until(&["status"], |rows| row(rows, 42)["ended_at"].is_string() && row(rows, 8)["ended_at"].is_string())
        .await;
    assert_eq!(row(&rows, 42)["status"], "CANCELED_BY_SOLD_OUT");
    assert_eq!(
        (&row(&rows, 8)["status"], &row(&rows, 8)["reason"]),
        (&json!("CANCELED_BY_ADMIN"), &json!("canceled by ann"))
    );
    assert_eq!(row(&rows, 9)["paused"], true);
    shop.until(&["product", "show", "42"], |row| row["stock"] == 0).await;
    shop.until(&["verify"], |report| report["ok"] == true).await;
    assert_eq!(shop.json(&["actions"]).await, json!([]));
    alone.done(&["unpause", "9"]).await;
    shop.until(&["status", "9"], |rows| rows[0]["paused"] == false).await;
}

#[tokio::test]
async fn with_redis_alone_a_conflict_is_one_too_and_what_it_does_not_know_is_5() {
    let shop = Shop::open().await;
    shop.done(&["enqueue", "42"]).await;
    let alone = shop.without_mysql();
    alone.run(&["stock", "add", "42", "-6"]).await.fails(4, &["42", "below zero"]);
    alone.run(&["stock", "add", "42", "1000000000000"]).await.fails(4, &["42", "1000000000000"]);
    assert_eq!(alone.json(&["stock", "add", "42", "-1"]).await["stock"], 4);
    alone.done(&["cancel", "42"]).await;
    alone.run(&["cancel", "42"]).await.fails(4, &["nothing to cancel", "webhook"]);
    for args in [
        &["stock", "set", "7", "1"][..],
        &["stock", "set", "sku:47566", "0"],
        &["cancel", "7"],
        &["cancel", "42", "--dry-run"],
        &["pause", "7"],
        &["pause"],
        &["status"],
    ] {
        alone.run(args).await.fails(5, &["MySQL at 127.0.0.1:", "--mysql-url"]);
    }
    shop.redis(&format!("HSET {{{}:0}}:product:42 run another", shop.namespace)).await;
    alone.run(&["stock", "set", "42", "0"]).await.fails(5, &["MySQL at 127.0.0.1:"]);
    assert_eq!(shop.json(&["stock", "set", "42", "9"]).await["stock"], 9, "once it is checked against MySQL");
}
