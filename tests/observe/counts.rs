//! Counters agree with what was done.

use std::sync::atomic::{AtomicBool, Ordering};

use restock::demo::receiver::{Reaction, Receiver};

use super::deployment::{Deployment, FLUSHER, WORKER};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_is_counted_once() {
    let told = tempfile::tempdir().expect("a folder");
    let file = told.path().join("told.jsonl");
    let deployment = Deployment::open("file", 0).await;
    let flusher = deployment.start(FLUSHER, &["--flush-interval-ms", "20"]).await;
    let worker = deployment.start(WORKER, &["--file-path", file.to_str().expect("a path")]).await;
    deployment.product(7, 30).await;
    deployment.done(&["enqueue", "7", "--wait"]).await;
    assert_eq!(std::fs::read_to_string(&file).expect("people were told").lines().count(), 30);

    let metrics =
        worker.until(r#"restock_holds_ended_total{channel="file",ending="completed"}"#, |count| count == 1.0).await;
    for (series, value) in [
        (r#"restock_sends_total{channel="file",outcome="sent"}"#, 30.0),
        (r#"restock_sends_total{channel="file",outcome="failed"}"#, 0.0),
        (r#"restock_attempts_total{channel="file"}"#, 30.0),
        (r#"restock_send_duration_seconds_count{channel="file"}"#, 30.0),
        (r#"restock_retries_total{channel="file"}"#, 0.0),
        (r#"restock_takeovers_total{channel="file"}"#, 0.0),
        (r#"restock_backend_errors_total{backend="redis",kind="refused"}"#, 0.0),
        (r#"restock_build_info{role="worker",version="0.1.0"}"#, 1.0),
    ] {
        assert_eq!(metrics.value(series), Some(value), "{series}");
    }
    assert!(metrics.value("restock_advance_duration_seconds_count").is_some_and(|calls| calls >= 1.0));
    assert!(metrics.value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(metrics.value("process_cpu_seconds_total").is_some_and(|seconds| seconds > 0.0));
    worker.until(r#"restock_lanes_held{channel="file"}"#, |lanes| lanes == 0.0).await;

    // The parts of a survey are of different moments: each comes to rest by itself.
    for (series, value) in [
        ("restock_flush_lag_seconds", 0.0),
        (r#"restock_lanes{status="IN_PROGRESS"}"#, 0.0),
        (r#"restock_jobs_waiting{channel="file"}"#, 0.0),
        (r#"restock_jobs_pending{channel="file"}"#, 0.0),
        ("restock_outbox_requests", 0.0),
    ] {
        flusher.until(series, |now| now == value).await;
    }
    let metrics = flusher.metrics().await;
    for (series, value) in [
        ("restock_partitions_led", 2.0),
        ("restock_refused_rows_total", 0.0),
        (r#"restock_survey_ok{backend="redis"}"#, 1.0),
        (r#"restock_survey_ok{backend="mysql"}"#, 1.0),
    ] {
        assert_eq!(metrics.value(series), Some(value), "{series}");
    }
    let applied = metrics.value("restock_flush_entries_total").expect("a counter");
    assert!(applied >= 3.0, "a product, rounds and a request: {applied}");
    for partition in ["0", "1"] {
        let series = format!(r#"restock_flush_last_success_timestamp_seconds{{partition="{partition}"}}"#);
        assert!(metrics.value(&series).is_some_and(|at| at > 1.7e9), "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_nobody_flushes_is_seen_beside_one_that_is_flushed() {
    let deployment = Deployment::open("null", 0).await;
    let pool = deployment.mysql().await;
    let mut db = pool.acquire().await.expect("a connection");
    // As another flusher would hold it that hangs.
    let lock = "SELECT GET_LOCK(CONCAT('restock-flush-', LEFT(SHA2(CONCAT(DATABASE(), '/', ?, '/', 1), 256), 32)), 0)";
    let held: Option<i64> =
        sqlx::query_scalar(lock).bind(&deployment.namespace).fetch_one(&mut *db).await.expect("MySQL answers");
    assert_eq!(held, Some(1));
    let flusher = deployment.start(FLUSHER, &[]).await;
    let success = |partition| format!(r#"restock_flush_last_success_timestamp_seconds{{partition="{partition}"}}"#);
    let metrics = flusher.until(&success(0), |at| at > 1.7e9).await;
    assert_eq!(metrics.value(&success(1)), Some(0.0));
    drop(db.close().await);
    flusher.until(&success(1), |at| at > 1.7e9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_let_go_of_a_lane_counts_under_its_name_and_under_no_other() {
    let deployment = Deployment::open("webhook", 0).await;
    let receiver = Receiver::start(|delivery| match delivery.key.lane.product.0 {
        7 => Reaction::status(401),
        _ => Reaction::accept(),
    });
    let receiver = receiver.await.expect("it listens");
    let _flusher = deployment.start(FLUSHER, &[]).await;
    let worker = deployment.start(WORKER, &["--webhook-url", &receiver.url()]).await;
    let ended = |ending| format!(r#"restock_holds_ended_total{{channel="webhook",ending="{ending}"}}"#);
    let endings = ["completed", "sold_out", "admin", "error", "paused", "handed_back", "lost"];
    let mut counts = [0.0; 7];
    for (product, at) in [(7, 3), (8, 0)] {
        deployment.product(product, 3).await;
        deployment.done(&["enqueue", &product.to_string()]).await;
        counts[at] += 1.0;
        let metrics = worker.until(&ended(endings[at]), |count| count == counts[at]).await;
        for (ending, count) in endings.iter().zip(counts) {
            assert_eq!(metrics.value(&ended(ending)), Some(count), "{ending} after product {product}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_provider_are_counted_by_what_they_mean() {
    let deployment = Deployment::open("webhook", 0).await;
    let was_busy = AtomicBool::new(false);
    let receiver = Receiver::start(move |delivery| match delivery.key.user.0 {
        3 => Reaction::status(410),
        5 if !was_busy.swap(true, Ordering::SeqCst) => Reaction::status(503),
        _ => Reaction::accept(),
    });
    let receiver = receiver.await.expect("it listens");
    let _flusher = deployment.start(FLUSHER, &[]).await;
    let worker = deployment.start(WORKER, &["--webhook-url", &receiver.url()]).await;
    deployment.product(7, 10).await;
    deployment.done(&["enqueue", "7", "--wait"]).await;
    let metrics = worker.until(r#"restock_sends_total{channel="webhook",outcome="sent"}"#, |count| count == 9.0).await;
    for (series, value) in [
        (r#"restock_sends_total{channel="webhook",outcome="failed"}"#, 1.0),
        (r#"restock_retries_total{channel="webhook"}"#, 1.0),
        (r#"restock_attempts_total{channel="webhook"}"#, 11.0),
    ] {
        assert_eq!(metrics.value(series), Some(value), "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_is_one_takeover() {
    let told = tempfile::tempdir().expect("a folder");
    let file = told.path().join("told.jsonl");
    let args = ["--file-path", file.to_str().expect("a path"), "--claim-idle-ms", "1000"];
    let deployment = Deployment::open("file", 20).await;
    let flusher = deployment.start(FLUSHER, &[]).await;
    let mut first = deployment.start(WORKER, &args).await;
    deployment.product(7, 60).await;
    deployment.done(&["enqueue", "7"]).await;
    let sent = r#"restock_sends_total{channel="file",outcome="sent"}"#;
    let metrics = first.until(sent, |count| count >= 1.0).await;
    assert_eq!(metrics.value(r#"restock_lanes_held{channel="file"}"#), Some(1.0));
    assert!(metrics.value(r#"restock_permits_granted_total{channel="file"}"#).is_some_and(|permits| permits >= 1.0));
    flusher.until(r#"restock_jobs_pending{channel="file"}"#, |pending| pending == 1.0).await;
    assert_eq!(flusher.metrics().await.value("restock_pace_limit"), Some(20.0));
    first.child.kill().await.expect("it is killed");
    let second = deployment.start(WORKER, &args).await;
    second.until(r#"restock_holds_ended_total{channel="file",ending="completed"}"#, |count| count == 1.0).await;
    let metrics = second.metrics().await;
    assert_eq!(metrics.value(r#"restock_takeovers_total{channel="file"}"#), Some(1.0));
}
