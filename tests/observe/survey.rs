//! Looking at the whole deployment costs little, whatever is in the stores and however many look.

#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "nothing is cut, muted or made slower here")]
mod proxy;

use std::time::Duration;

use restock::{
    config::install_tls_provider,
    mysql::{
        self,
        census::{self, COUNT_MAX, Census},
    },
    redis::{Patience, Redis},
};
use sqlx::{AssertSqlSafe, MySqlConnection};

use self::proxy::Proxy;
use super::deployment::{API, Deployment, FLUSHER};

/// More than is counted.
const ROWS: i64 = COUNT_MAX * 3;

async fn handler_reads(db: &mut MySqlConnection) -> i64 {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SHOW SESSION STATUS LIKE 'Handler_read%'").fetch_all(db).await.expect("MySQL answers");
    rows.iter().map(|(_, count)| count.parse::<i64>().expect("a number")).sum()
}

/// Rows of everything that is counted: rounds that wait, products of which each round but the last ended by an error, rows that
/// were refused and dealt with, requests that wait.
async fn fill(db: &mut MySqlConnection) {
    let digits =
        "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5
                   UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let numbers = format!(
        "(SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n FROM {digits} a CROSS JOIN {digits} b
          CROSS JOIN {digits} c CROSS JOIN {digits} e CROSS JOIN {digits} f HAVING n <= {ROWS}) numbers"
    );
    let rounds = "INSERT INTO product_notification_history
        (product_id, restock_round, channel, status, ahead, epoch, version, ended_at)";
    for sql in [
        format!("{rounds} SELECT n, 1, 'null', 'QUEUED', '', 1, n, NULL FROM {numbers}"),
        format!(
            "{rounds} SELECT 900000 + n DIV 1000, 1 + n MOD 1000, 'null', IF(n MOD 1000 = 999, 'COMPLETED', 'CANCELED_BY_ERROR'),
             '', 1, n, '2026-01-01' + INTERVAL n SECOND FROM {numbers}"
        ),
        format!("{rounds} VALUES (8000000, 1, 'null', 'CANCELED_BY_ERROR', '', 1, 1, '2026-02-01')"),
        format!(
            "INSERT INTO log_dead (partition_id, kind, name, entry, detail, `sqlstate`, message, mended_at)
             SELECT 0, 'person', n, '1-1', '', '22001', '', IF(n = 1, NULL, '2026-01-01') FROM {numbers}"
        ),
        format!("INSERT INTO restock_request (product_id, created_at) SELECT n, '2026-01-01' FROM {numbers}"),
        "ANALYZE TABLE product_notification_history, log_dead, restock_request".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await.expect("the statement runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_ends_at_its_bound_whatever_has_gathered() {
    let deployment = Deployment::open("null", 0).await;
    let pool = deployment.mysql().await;
    let mut db = pool.acquire().await.expect("a connection");
    fill(&mut db).await;
    let before = handler_reads(&mut db).await;
    let census = census::take(&mut db).await.expect("MySQL answers");
    let reads = handler_reads(&mut db).await - before;
    eprintln!("{reads} index entries read, of {} rows", ROWS * 4);
    // Of all those errors two stand: of the others' products a later round was completed.
    assert_eq!(census.rounds, [COUNT_MAX, 0, 2]);
    assert_eq!((census.dead_rows, census.requests), (1, COUNT_MAX));
    assert!(census.oldest_request_ms > 1_000_000, "{census:?}");
    // Each is written to a temporary table and read from there; those that ended are gathered by lane. MySQL walks all rounds
    // of each such lane, MariaDB only the last.
    assert!(reads <= COUNT_MAX * 9, "{reads}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_for_which_nobody_waits_ends_in_mysql_too() {
    let deployment = Deployment::open("null", 0).await;
    let url = deployment.mysql_url.clone().into();
    let pool = mysql::connect_briefly(&url, 1, Duration::from_millis(200)).expect("an address");
    let endless =
        "SELECT COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, information_schema.COLUMNS c";
    let error = sqlx::query(endless).execute(&pool).await.expect_err("it is given up");
    assert!(error.as_database_error().is_some(), "MySQL itself says so: {error}");
    sqlx::query("DO 0").execute(&pool).await.expect("the connection is as good as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_counted_serves_the_others() {
    let deployment = Deployment::open("null", 0).await;
    install_tls_provider();
    let namespace = deployment.namespace.parse().expect("a namespace");
    let redis = Redis::connect(&deployment.redis_url.clone().into(), &namespace, Patience::Short).await;
    let redis = redis.expect("Redis answers");
    // No process counts this: it was left by another.
    let census = Census { rounds: [41, 42, 43], dead_rows: 44, requests: 45, oldest_request_ms: 46_000 };
    let text = serde_json::to_string(&census).expect("JSON");
    redis.share_census(&text, Duration::from_secs(600)).await.expect("Redis answers");
    let crew = [deployment.start(FLUSHER, &[]).await, deployment.start(API, &["--listen", "127.0.0.1:0"]).await];
    for process in &crew {
        let metrics = process.until("restock_dead_rows", |rows| rows == 44.0).await;
        for (series, value) in [
            (r#"restock_lanes{status="QUEUED"}"#, 41.0),
            (r#"restock_lanes{status="CANCELED_BY_ERROR"}"#, 43.0),
            ("restock_outbox_requests", 45.0),
            ("restock_outbox_oldest_seconds", 46.0),
        ] {
            assert_eq!(metrics.value(series), Some(value), "{series}");
        }
    }
    // Words of another version are nobody's count: somebody counts, and leaves that for the others.
    redis.share_census("{\"rounds\":{}}", Duration::from_secs(600)).await.expect("Redis answers");
    for process in &crew {
        process.until("restock_dead_rows", |rows| rows == 0.0).await;
    }
    let shared = redis.shared_census().await.expect("Redis answers");
    assert!(shared.is_none_or(|text| serde_json::from_str::<Census>(&text).is_ok_and(|census| census.requests == 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_partitions_on_a_redis_that_is_far_away_are_seen_in_time() {
    let mut deployment = Deployment::open_with("null", 0, 64).await;
    let server = deployment.redis_url.trim_start_matches("redis://").to_owned();
    let proxy = Proxy::start(server, Duration::from_millis(15)).await;
    deployment.redis_url = proxy.url();
    let api = deployment.start_api(&[]).await;
    let metrics = api.until(r#"restock_survey_ok{backend="redis"}"#, |ok| ok == 1.0).await;
    assert_eq!(metrics.value("restock_log_entries"), Some(0.0));
}
