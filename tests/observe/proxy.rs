//! nginx, with the configuration that is shipped, before two processes of the API.

use std::{
    net::TcpListener,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use restock::{
    clock::wall_us,
    ids::UserId,
    token::{TokenHash, fresh},
    user_token::{self, UserTokenKey},
};
use tokio::process::{Child, Command};

use super::deployment::{Deployment, Process, client};

const DEADLINE: Duration = Duration::from_secs(30);

/// nginx as it runs on a server, but for ports and folders; none where it is not installed.
async fn nginx(folder: &Path, apis: &[&Process]) -> Option<(Child, String)> {
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
    let shipped = include_str!("../../deploy/nginx/restock.conf");
    let one = "server api:8000 max_fails=2 fail_timeout=2s;";
    assert!(shipped.contains(one) && shipped.contains("listen 8000;"), "the test knows the file");
    let all: Vec<String> = apis.iter().map(|api| one.replace("api:8000", &api.address)).collect();
    let site = shipped.replace(one, &all.join("\n")).replace("listen 8000;", &format!("listen 127.0.0.1:{port};"));
    let site = site.replace("/var/log/nginx", &folder.display().to_string());
    std::fs::write(folder.join("restock.conf"), site).expect("a file");
    let at = folder.display();
    let temporary: Vec<String> = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {at}/{what};"))
        .collect();
    // In one process: one that is killed leaves no other behind.
    let main = format!(
        "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr; events {{}}
         http {{ access_log off; {} include {at}/restock.conf; }}",
        temporary.join(" "),
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, main).expect("a file");
    let mut command = Command::new("nginx");
    // The prefix, so that nothing of the system's nginx is touched.
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(&file).kill_on_drop(true);
    let Ok(child) = command.stderr(Stdio::null()).spawn() else {
        eprintln!("nginx is not installed: its configuration is not tested");
        return None;
    };
    Some((child, format!("http://127.0.0.1:{port}")))
}

/// An API with a token: without one it answers nothing that a proxy passes on.
async fn api(deployment: &Deployment, token: &str, args: &[&str]) -> Process {
    let hash = TokenHash::of(token).to_string();
    let args: Vec<&str> = ["--admin-token-hash", &hash].into_iter().chain(args.iter().copied()).collect();
    let mut api = deployment.start_api(&args).await;
    api.token = Some(token.to_owned());
    api
}

async fn status(url: &str) -> Option<u16> {
    status_with(url, "").await
}

async fn status_with(url: &str, token: &str) -> Option<u16> {
    let request = client().get(url).header("authorization", format!("Bearer {token}"));
    Some(request.send().await.ok()?.status().as_u16())
}

async fn until_ready(url: &str) {
    let start = Instant::now();
    while status(&format!("{url}/readyz")).await != Some(200) {
        assert!(start.elapsed() < DEADLINE, "nobody is ready at {url}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_api_dies_behind_the_proxy_and_nobody_notices() {
    let deployment = Deployment::open("null", 0).await;
    deployment.product(7, 3).await;
    let token = fresh();
    let (mut first, second) = (api(&deployment, &token, &[]).await, api(&deployment, &token, &[]).await);
    first.until_ready(true).await;
    second.until_ready(true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_nginx, url)) = nginx(folder.path(), &[&first, &second]).await else { return };
    until_ready(&url).await;
    for _ in 0..20 {
        assert_eq!(status_with(&format!("{url}/api/products/7"), &token).await, Some(200));
    }
    let shown = r#"restock_http_requests_total{method="GET",route="/api/products/{productId}",status="200"}"#;
    for api in [&first, &second] {
        assert!(api.metrics().await.value(shown).is_some_and(|count| count >= 1.0), "both have work");
    }
    assert_eq!(status(&format!("{url}/metrics")).await, Some(404), "metrics are not for callers");

    first.child.kill().await.expect("it is killed");
    for _ in 0..20 {
        assert_eq!(status_with(&format!("{url}/api/products/7"), &token).await, Some(200));
    }
    let restock = format!("{url}/api/products/7/notifications/re-stock");
    for _ in 0..3 {
        // What could not be sent at all goes to the other one, also what must not be done twice.
        let request = client().post(&restock).header("idempotency-key", "delivery-7781");
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 202);
        let told: serde_json::Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(told["round"], 1, "the same key is the same round: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_nobody_behind_the_proxy_is_let_in() {
    let deployment = Deployment::open("null", 0).await;
    let api = deployment.start_api(&[]).await;
    api.until_ready(true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_nginx, url)) = nginx(folder.path(), &[&api]).await else { return };
    until_ready(&url).await;
    assert_eq!(status(&format!("{url}/api/products")).await, Some(403));
    assert_eq!(status(&format!("http://{}/api/products", api.address)).await, Some(200), "this machine is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_reaches_the_caller_through_the_proxy_with_its_retry_after() {
    let deployment = Deployment::open("null", 0).await;
    let token = fresh();
    let api = api(&deployment, &token, &["--requests-per-second", "1"]).await;
    api.until_ready(true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_nginx, url)) = nginx(folder.path(), &[&api]).await else { return };
    until_ready(&url).await;
    let start = Instant::now();
    loop {
        let request = client().get(format!("{url}/api/products")).header("authorization", format!("Bearer {token}"));
        let answer = request.send().await.expect("an answer");
        if answer.status() == 429 {
            let wait = answer.headers().get("retry-after").expect("it says when to come again");
            assert!(wait.to_str().is_ok_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds >= 1)));
            break;
        }
        assert!(start.elapsed() < DEADLINE, "it has no limit");
    }
    let limited = r#"restock_http_requests_total{method="GET",route="/api/products",status="429"}"#;
    api.until(limited, |count| count >= 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_at_once_and_its_token_is_written_nowhere() {
    let deployment = Deployment::open("inbox", 0).await;
    let (token, key) = (fresh(), user_token::fresh_key());
    let signer: UserTokenKey = key.parse().expect("a key");
    let api = api(&deployment, &token, &["--user-token-key", &key]).await;
    api.until_ready(true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_nginx, url)) = nginx(folder.path(), &[&api]).await else { return };
    until_ready(&url).await;
    let own = signer.sign(UserId(101), wall_us() / 1_000_000 + 60);
    let path = "/api/users/101/notifications/stream";
    let mut stream = client().get(format!("{url}{path}?token={own}")).send().await.expect("an answer");
    assert_eq!(stream.status(), 200);
    // The greeting is a few bytes: who gathers would wait for more.
    let first = tokio::time::timeout(DEADLINE, stream.chunk()).await.expect("at once").expect("it is open");
    assert!(first.is_some_and(|greeting| greeting.starts_with(b"retry: ")));
    drop(stream);
    let start = Instant::now();
    loop {
        let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap_or_default();
        if log.contains(path) {
            assert!(!log.contains("rsu_") && !log.contains("token="), "{log}");
            break;
        }
        assert!(start.elapsed() < DEADLINE, "nginx writes nothing down: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
