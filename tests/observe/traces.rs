//! One trace from the command through the job to the webhook, and none where nobody asked for one.

use std::time::{Duration, Instant};

use tokio::{net::TcpListener, time::timeout};

use super::{
    collector::{Collector, Receiver},
    deployment::{CLI, Deployment, FLUSHER, WORKER, client},
};

const DEADLINE: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// Users that no other number looks like.
const USERS: [&str; 3] = ["910000000001", "910000000002", "910000000003"];

/// As the bytes of a span.
fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

async fn shop() -> (Deployment, Receiver) {
    let deployment = Deployment::open("webhook", 0).await;
    deployment.done(&["product", "add", "7", "--name", "Party bunting", "--stock", "5"]).await;
    deployment.done(&[&["subscribe", "7"], &USERS[..]].concat()).await;
    (deployment, Receiver::start().await)
}

/// Announces, with these variables, and waits until everybody is told. Past the outbox: of a row that the flusher pushes
/// before the command does, nobody knows the trace.
async fn enqueue(deployment: &Deployment, variables: &[(&str, &str)]) {
    let mut command = deployment.program(CLI);
    command.args(["enqueue", "7", "--direct", "--wait"]).env("RESTOCK_LOG", "off").envs(variables.iter().copied());
    let ended = command.output().await.expect("it runs");
    assert!(ended.status.success(), "{ended:?}");
}

fn parent(sampled: bool) -> String {
    format!("00-{TRACE}-{SPAN}-0{}", u8::from(sampled))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restock_is_one_trace_from_the_command_to_the_webhook() {
    let (deployment, receiver) = shop().await;
    let collector = Collector::start().await;
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let _flusher = deployment.start(FLUSHER, &[]).await;
    let _worker = deployment.start_with(WORKER, &["--webhook-url", &receiver.url], &export).await;
    let given = parent(true);
    enqueue(&deployment, &[&export[..], &[("TRACEPARENT", given.as_str())]].concat()).await;

    let parents: Vec<String> = receiver.take().into_iter().map(|parent| parent.expect("a traceparent")).collect();
    assert_eq!(parents.len(), USERS.len());
    let mut spans = Vec::new();
    for parent in &parents {
        let [version, trace, span, flags] = parent.split('-').collect::<Vec<_>>()[..] else { panic!("{parent}") };
        assert_eq!((version, trace, flags), ("00", TRACE, "01"), "{parent}");
        assert!(span != SPAN && !spans.contains(&span), "each attempt has a span of its own: {parents:?}");
        spans.push(span);
    }
    let trace = bytes(TRACE);
    let last = bytes(spans[2]);
    let wanted: [&[u8]; 8] =
        [&trace, &bytes(SPAN), &last, b"enqueue", b"round", b"send", b"restock-worker", b"delivered"];
    let start = Instant::now();
    while !collector.has(&wanted) {
        assert!(start.elapsed() < DEADLINE, "the spans do not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for user in USERS {
        assert!(!collector.has(&[user.as_bytes()]), "a span names a user");
    }
    assert!(!collector.has(&[receiver.url.as_bytes()]), "a span names an address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_falls_silent_is_given_up_and_asked_again() {
    let deployment = Deployment::open("null", 0).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let export = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let api = deployment.start_api_with(&[], &export).await;
    api.until_ready(true).await;
    // They stay open, and nobody answers.
    let mut held = Vec::new();
    let start = Instant::now();
    while held.len() < 2 {
        assert!(start.elapsed() < DEADLINE, "{} connections", held.len());
        assert!(api.get("/api/products").await.is_some());
        if let Ok(came) = timeout(Duration::from_millis(50), silent.accept()).await {
            held.push(came.expect("a connection"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_a_sampled_trace_is_passed_on_and_no_other() {
    let (deployment, receiver) = shop().await;
    let _flusher = deployment.start(FLUSHER, &[]).await;
    let _worker = deployment.start(WORKER, &["--webhook-url", &receiver.url]).await;
    let (sampled, unsampled) = (parent(true), parent(false));
    for (variables, wanted) in [
        (vec![("TRACEPARENT", sampled.as_str())], Some(sampled.clone())),
        // The lane remembers the round before, and must not take it for this one.
        (vec![], None),
        (vec![("TRACEPARENT", unsampled.as_str())], None),
        (vec![("TRACEPARENT", "no trace at all")], None),
    ] {
        enqueue(&deployment, &variables).await;
        assert_eq!(receiver.take(), vec![wanted; USERS.len()], "{variables:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_the_api_is_followed_too() {
    let (deployment, receiver) = shop().await;
    let collector = Collector::start().await;
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let _flusher = deployment.start(FLUSHER, &[]).await;
    let _worker = deployment.start(WORKER, &["--webhook-url", &receiver.url]).await;
    let (exporting, silent) = (deployment.start_api_with(&[], &export).await, deployment.start_api(&[]).await);
    for (api, is_exporting) in [(&exporting, true), (&silent, false)] {
        api.until_ready(true).await;
        let restock = format!("http://{}/api/products/7/notifications/re-stock", api.address);
        let start = Instant::now();
        let mut parents = Vec::new();
        // A row that the flusher pushed before the API did has lost its trace, and another restock is asked for.
        while parents.is_empty() || parents.contains(&None) {
            let ask = client().post(&restock).header("traceparent", parent(true));
            assert_eq!(ask.send().await.expect("an answer").status(), 202);
            parents.clear();
            while parents.len() < USERS.len() {
                assert!(start.elapsed() < DEADLINE, "{parents:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                parents.extend(receiver.take());
            }
        }
        for told in parents.into_iter().map(|parent| parent.expect("a traceparent")) {
            assert!(told.starts_with(&format!("00-{TRACE}-")), "{told}");
            // The worker exports nothing: it passes on the span of the request, where there is one.
            assert_eq!(told == parent(true), !is_exporting, "{told}");
        }
    }
    let start = Instant::now();
    while !collector.has(&[&bytes(TRACE), b"request", b"/api/products/{productId}/notifications/re-stock"]) {
        assert!(start.elapsed() < DEADLINE, "the span of the request does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_a_wrong_protocol_is_no_riddle() {
    let (deployment, receiver) = shop().await;
    let nobody = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let _flusher = deployment.start(FLUSHER, &[]).await;
    let _worker = deployment.start_with(WORKER, &["--webhook-url", &receiver.url], &nobody).await;
    enqueue(&deployment, &nobody).await;
    assert_eq!(receiver.take().len(), USERS.len(), "people are told all the same");

    let mut command = deployment.program(WORKER);
    command.envs(nobody).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let ended = command.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && said.contains("http/protobuf"), "{said}");
}
