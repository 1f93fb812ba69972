//! A process is ready while it can do its job, and alive all the time.

use std::time::{Duration, Instant};

use restock::{
    local::Servers,
    token::{TokenHash, fresh},
};
use serde_json::Value;

use super::deployment::{API, CLI, Deployment, FLUSHER, Process, WORKER};

const DEADLINE: Duration = Duration::from_secs(30);

/// What is not well.
fn failing(health: &Value) -> Vec<&str> {
    let checks = health["checks"].as_array().expect("checks");
    checks.iter().filter(|check| check["ok"] == false).filter_map(|check| check["name"].as_str()).collect()
}

/// How `restock-cli probe` ends.
async fn probe(deployment: &Deployment, args: &[&str]) -> Option<i32> {
    let ended = deployment.program(CLI).arg("probe").args(args).output().await.expect("it runs");
    ended.status.code()
}

async fn is_alive(process: &Process) {
    assert_eq!(process.get("/livez").await, Some((200, "ok\n".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_costs_readiness_and_not_life() {
    let own = Servers::start().await.expect("servers start");
    let deployment = Deployment::open_on(&own, "null").await;
    let crew = [deployment.start(FLUSHER, &[]).await, deployment.start(WORKER, &[]).await];
    for process in &crew {
        let health = process.until_ready(true).await;
        assert_eq!(failing(&health), [""; 0]);
    }
    crew[0].until("restock_flush_lag_seconds", |lag| lag >= 0.0).await;
    own.redis.stop().await.expect("it stops");
    for process in &crew {
        let health = process.until_ready(false).await;
        assert!(failing(&health).contains(&"redis"), "{health}");
        is_alive(process).await;
    }
    let metrics = crew[0].until(r#"restock_survey_ok{backend="redis"}"#, |ok| ok == 0.0).await;
    assert!(metrics.value("restock_flush_lag_seconds").is_some_and(f64::is_nan), "what cannot be seen is not shown");
    assert_eq!(metrics.value("restock_outbox_requests"), Some(0.0), "what can be seen is");
    own.redis.start_again().await.expect("it starts");
    for process in &crew {
        process.until_ready(true).await;
    }
    own.mysql.stop().await.expect("it stops");
    for process in &crew {
        let health = process.until_ready(false).await;
        assert!(failing(&health).contains(&"mysql"), "{health}");
        is_alive(process).await;
    }
    let metrics = crew[0].until(r#"restock_survey_ok{backend="mysql"}"#, |ok| ok == 0.0).await;
    assert!(metrics.value("restock_outbox_requests").is_some_and(f64::is_nan), "what cannot be seen is not shown");
    assert!(
        metrics.value("restock_flush_lag_seconds").is_some_and(|lag| lag >= 0.0),
        "a MySQL that is away hides no lag"
    );
    assert_eq!(metrics.value("restock_sending_paused"), Some(0.0), "the last settings stand");
    own.mysql.start_again().await.expect("it starts");
    for process in &crew {
        process.until_ready(true).await;
    }
    let errors = crew[0].metrics().await.value(r#"restock_backend_errors_total{backend="mysql",kind="unreachable"}"#);
    assert!(errors.is_some_and(|count| count >= 1.0), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_stays_ready_without_its_stores() {
    let own = Servers::start().await.expect("servers start");
    let deployment = Deployment::open_on(&own, "null").await;
    let (api, worker) = (deployment.start_api(&[]).await, deployment.start(WORKER, &[]).await);
    for process in [&api, &worker] {
        process.until_ready(true).await;
    }
    own.redis.stop().await.expect("it stops");
    worker.until_ready(false).await;
    let start = Instant::now();
    loop {
        let health = api.until_ready(true).await;
        if failing(&health).contains(&"redis") {
            break;
        }
        assert!(start.elapsed() < DEADLINE, "{health}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is_alive(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_stores_is_alive_and_not_ready() {
    let own = Servers::start().await.expect("servers start");
    let deployment = Deployment::open_on(&own, "null").await;
    own.mysql.stop().await.expect("it stops");
    let worker = deployment.start(WORKER, &[]).await;
    is_alive(&worker).await;
    assert!(failing(&worker.until_ready(false).await).contains(&"stores"));
    assert_eq!(probe(&deployment, &[&worker.address]).await, Some(1));
    assert_eq!(probe(&deployment, &[&worker.address, "--live"]).await, Some(0));
    own.mysql.start_again().await.expect("it starts");
    worker.until_ready(true).await;
    assert_eq!(probe(&deployment, &[&worker.address]).await, Some(0));
    assert_eq!(probe(&deployment, &["127.0.0.1:1"]).await, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_at_the_start() {
    let deployment = Deployment::open("null", 0).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for program in [WORKER, FLUSHER, API] {
        let ended = deployment
            .program(program)
            .env("RESTOCK_LISTEN", "127.0.0.1:0")
            .args(["--metrics-listen", &address])
            .output()
            .await
            .expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for word in [&address, "--metrics-listen", "RESTOCK_METRICS_LISTEN"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_shows_its_metrics_to_the_inner_network_without_a_token() {
    let deployment = Deployment::open("null", 0).await;
    let hash = TokenHash::of(&fresh()).to_string();
    let api = deployment.start(API, &["--listen", "127.0.0.1:0", "--admin-token-hash", &hash]).await;
    api.until_ready(true).await;
    is_alive(&api).await;
    assert!(api.metrics().await.value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert_eq!(api.get("/api/products").await.map(|(status, _)| status), Some(404), "nothing else is there");
}
