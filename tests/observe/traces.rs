//! One trace from the command through the job to the webhook, and none where nobody asked for one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use reqwest::Method;
use restock::{
    demo::{self, receiver::Reaction},
    local::Servers,
    token::{TokenHash, fresh},
};
use tokio::{net::TcpListener, time::timeout};

use super::{
    collector::{Collector, Receiver},
    deployment::{CLI, Deployment, FLUSHER, WORKER, client},
};

const DEADLINE: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const NAME: &str = "Party bunting";
/// Users that no other number looks like.
const USERS: [&str; 3] = ["910000000001", "910000000002", "910000000003"];

async fn shop() -> (Deployment, Receiver) {
    let deployment = Deployment::open("webhook", 0).await;
    fill(&deployment).await;
    (deployment, Receiver::start().await)
}

async fn fill(deployment: &Deployment) {
    deployment.done(&["product", "add", "7", "--name", NAME, "--stock", "5"]).await;
    deployment.done(&[&["subscribe", "7"], &USERS[..]].concat()).await;
}

/// Waits until everybody is told once; the traces that came with it.
async fn told(receiver: &Receiver) -> Vec<Option<String>> {
    let start = Instant::now();
    let mut parents = Vec::new();
    while parents.len() < USERS.len() {
        assert!(start.elapsed() < DEADLINE, "{parents:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        parents.extend(receiver.take());
    }
    parents
}

/// Announces, with these variables, and waits until everybody is told.
async fn enqueue(deployment: &Deployment, variables: &[(&str, &str)]) {
    let mut command = deployment.program(CLI);
    command.args(["enqueue", "7", "--wait"]).env("RESTOCK_LOG", "off").envs(variables.iter().copied());
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
    // Each is the child of the one before.
    let asked = collector.span("the command", |span| span.name == "enqueue").await;
    assert_eq!((asked.trace.as_str(), asked.parent.as_str()), (TRACE, SPAN));
    let round = collector.span("the round", |span| span.name == "round").await;
    assert_eq!((&round.trace, &round.parent), (&asked.trace, &asked.id));
    for (key, value) in [("restock.product", "7"), ("restock.round", "1"), ("restock.channel", "webhook")] {
        assert_eq!(round.get(key), Some(value), "{key}");
    }
    for id in spans {
        let send = collector.span("an attempt", |span| span.id == id).await;
        assert_eq!((&send.trace, &send.parent, send.name.as_str()), (&asked.trace, &round.id, "send"));
        assert_eq!(send.get("restock.answer"), Some("delivered"));
    }
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
        let key = format!("exporting-{is_exporting}");
        let start = Instant::now();
        // Whoever is told that the rows are held by others comes again.
        loop {
            let ask = client().post(&restock).header("traceparent", parent(true)).header("idempotency-key", &key);
            let answer = ask.send().await.expect("an answer");
            let (status, text) = (answer.status(), answer.text().await.expect("text"));
            if status == 202 {
                break;
            }
            assert!(status == 503 && start.elapsed() < DEADLINE, "{status}: {text}");
        }
        for told in told(&receiver).await.into_iter().map(|parent| parent.expect("a traceparent")) {
            assert!(told.starts_with(&format!("00-{TRACE}-")), "{told}");
            // The worker exports nothing: it passes on the span of the request, where there is one.
            assert_eq!(told == parent(true), !is_exporting, "{told}");
        }
    }
    let name = "POST /api/products/{productId}/notifications/re-stock";
    let request = collector
        .span("the request", |span| span.name == name && span.get("http.response.status_code") == Some("202"))
        .await;
    assert_eq!((request.trace.as_str(), request.parent.as_str()), (TRACE, SPAN));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_restock_that_waited_in_the_outbox_goes_on() {
    let own = Servers::start().await.expect("servers start");
    let (deployment, receiver) = (Deployment::open_on(&own, "webhook").await, Receiver::start().await);
    fill(&deployment).await;
    own.redis.stop().await.expect("it stops");
    let mut command = deployment.program(CLI);
    command.args(["enqueue", "7"]).env("TRACEPARENT", parent(true)).env("RESTOCK_LOG", "off");
    let ended = command.output().await.expect("it runs");
    assert!(ended.status.success(), "{ended:?}");
    own.redis.start_again().await.expect("it starts");

    let collector = Collector::start().await;
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let _flusher = deployment.start_with(FLUSHER, &[], &export).await;
    let _worker = deployment.start(WORKER, &["--webhook-url", &receiver.url]).await;
    let parents = told(&receiver).await;
    let relay = collector.span("the relay", |span| span.name == "relay").await;
    assert_eq!((relay.trace.as_str(), relay.parent.as_str()), (TRACE, SPAN));
    assert_eq!(relay.get("restock.product"), Some("7"));
    assert_eq!(parents, vec![Some(format!("00-{TRACE}-{}-01", relay.id)); USERS.len()]);

    // Rows of other programs: with a trace, with what is none, and without.
    let mysql = deployment.mysql().await;
    let spans_before = collector.spans().len();
    for (given, follows) in [(Some(parent(true)), true), (Some("no trace".to_owned()), false), (None, false)] {
        let insert = sqlx::query("INSERT INTO restock_request (product_id, traceparent) VALUES (7, ?)").bind(&given);
        insert.execute(&mysql).await.expect("MySQL takes it");
        let parents = told(&receiver).await;
        let is_of =
            |parent: &Option<String>| parent.as_ref().is_some_and(|parent| parent.starts_with(&format!("00-{TRACE}-")));
        assert!(parents.iter().all(|parent| is_of(parent) == follows), "{given:?}: {parents:?}");
    }
    assert!(collector.spans().len() <= spans_before + 1, "of a row that nobody follows no trace is begun");
}

/// What may stand in a span; whatever else is exported must be looked at by somebody first.
const ATTRIBUTES: [&str; 7] = [
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "restock.product",
    "restock.round",
    "restock.channel",
    "restock.answer",
];
/// What may be said of who sent it.
const SENDER: [&str; 5] =
    ["scope", "service.name", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_exported_names_a_user_an_address_a_secret_or_a_text() {
    let deployment = Deployment::open("webhook", 0).await;
    fill(&deployment).await;
    let was_busy = AtomicBool::new(false);
    let provider = demo::receiver::Receiver::start(move |delivery| match delivery.key.user.0 {
        910_000_000_001 => Reaction::status(410),
        910_000_000_002 if !was_busy.swap(true, Ordering::SeqCst) => Reaction::status(503),
        _ => Reaction::accept(),
    });
    let provider = provider.await.expect("it listens");
    let collector = Collector::start().await;
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let (token, secret, key) = (fresh(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "delivery-7781");
    let hash = TokenHash::of(&token).to_string();
    let _flusher = deployment.start_with(FLUSHER, &[], &export).await;
    let _worker =
        deployment.start_with(WORKER, &["--webhook-url", &provider.url(), "--webhook-secret", secret], &export).await;
    let api = deployment.start_api_with(&["--admin-token-hash", &hash], &export).await;
    api.until_ready(true).await;
    enqueue(&deployment, &export).await;
    let (user, host) = (USERS[0], format!("http://{}", api.address));
    for (method, path, with) in [
        (Method::PUT, format!("/api/products/7/subscriptions/{user}"), &token),
        (Method::GET, format!("/api/products/7/subscriptions/{user}?who={token}"), &token),
        (Method::GET, format!("/nothing/{user}/{token}"), &token),
        (Method::GET, format!("/api/products/sku:{key}"), &token),
        (Method::DELETE, format!("/api/products/7/subscriptions/{user}"), &secret.to_owned()),
        (Method::POST, "/api/products/7/notifications/re-stock".to_owned(), &token),
    ] {
        let ask = client().request(method, format!("{host}{path}")).header("authorization", format!("Bearer {with}"));
        let ask =
            ask.header("idempotency-key", key).header("user-agent", user).header("x-forwarded-for", "203.0.113.9");
        assert!(ask.send().await.is_ok());
    }
    collector.span("the command", |span| span.name == "enqueue").await;
    for answer in ["delivered", "refused", "retry"] {
        collector.span(answer, |span| span.get("restock.answer") == Some(answer)).await;
    }
    for status in ["200", "202", "401", "404"] {
        collector.span(status, |span| span.get("http.response.status_code") == Some(status)).await;
    }

    let (provider, collector_at) = (provider.url(), collector.endpoint.trim_start_matches("http://").to_owned());
    let provider = provider.trim_start_matches("http://").split('/').next().expect("an address").to_owned();
    let secrets = [&token, &hash, secret, key, &provider, &api.address, &collector_at, "203.0.113.9", NAME, "user_id"];
    let all = collector.spans();
    for (span, sender) in &all {
        for (key, value) in &span.attributes {
            assert!(ATTRIBUTES.contains(&key.as_str()), "{key} = {value} in {span:?}");
        }
        for (key, value) in sender {
            assert!(SENDER.contains(&key.as_str()), "{key} = {value}");
        }
        let texts = span.attributes.iter().chain(sender).map(|(_, value)| value).chain(&span.words).chain([&span.name]);
        for text in texts {
            for word in secrets.iter().copied().chain(USERS) {
                assert!(!text.contains(word), "{word} in {span:?}");
            }
        }
    }
    for word in secrets.iter().copied().chain(USERS) {
        assert!(!collector.has(word.as_bytes()), "{word} is somewhere in what was sent");
    }
    // The reader reads: what must be there is.
    let names = |name: &str| all.iter().filter(|(span, _)| span.name == name).count();
    assert!(names("round") >= 1 && names("send") >= USERS.len(), "{all:#?}");
    assert!(all.iter().any(|(_, sender)| sender.contains(&("service.name".to_owned(), "restock-worker".to_owned()))));
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
