//! nginx, with the configuration that is shipped, before two processes of the API.

use std::{
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reqwest::{Method, Response};
use restock::{
    local::Port,
    token::{TokenHash, fresh},
};
use serde_json::Value;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use super::{
    deployment::{API, Deployment, Process, client},
    names::Names,
    tools::missing,
};

pub const DEADLINE: Duration = Duration::from_secs(30);
/// As the file shows it.
pub const FAILING: &str = "max_fails=2 fail_timeout=2s";

const BODY: &str = r#"{"stock":50}"#;
const WHERE: &str = r#"map "" $restock_api { default api:8000; }"#;
const RESOLVER: &str = "resolver 127.0.0.11 ";

/// The file as it is shipped, with APIs at addresses that never change, as its comment has it.
pub fn fixed(addresses: &[&str], options: &str) -> String {
    let servers: String = addresses.iter().map(|address| format!("server {address} {options};")).collect();
    let upstream = format!("upstream restock_apis {{ {servers} keepalive 64; }}");
    changed(&[(WHERE, &format!("{upstream} map \"\" $restock_api {{ default restock_apis; }}"))])
}

/// With APIs at this port of whatever this server of names says.
fn named(names: &Names, port: u16) -> String {
    let here = format!("map \"\" $restock_api {{ default api.test:{port}; }}");
    changed(&[(WHERE, &here), (RESOLVER, &format!("resolver 127.0.0.1:{} ", names.port))])
}

fn changed(changes: &[(&str, &str)]) -> String {
    let mut site = include_str!("../../deploy/nginx/restock.conf").to_owned();
    for (before, after) in changes {
        assert_eq!(site.matches(before).count(), 1, "the test knows the file: {before}");
        site = site.replace(before, after);
    }
    site
}

/// An nginx of ours, until it is dropped.
pub struct Nginx {
    _process: Child,
    _port: Port,
}

/// nginx as it runs on a server, but for ports and folders; none where it is not installed.
pub async fn nginx(folder: &Path, site: &str) -> Option<(Nginx, String)> {
    let port = Port::find().expect("a free port");
    assert!(site.contains("listen 8000;"), "the test knows the file");
    let site = site.replace("listen 8000;", &format!("listen 127.0.0.1:{port};"));
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
        missing("nginx", "nginx-light", "its configuration is not tested");
        return None;
    };
    let url = format!("http://127.0.0.1:{port}");
    Some((Nginx { _process: child, _port: port }, url))
}

/// An API with a token: without one it answers nothing that a proxy passes on.
pub async fn api(deployment: &Deployment, token: &str, args: &[&str]) -> Process {
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

pub async fn until_ready(url: &str) {
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
    let site = fixed(&[&first.address, &second.address], FAILING);
    let Some((_nginx, url)) = nginx(folder.path(), &site).await else { return };
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
    let Some((_nginx, url)) = nginx(folder.path(), &fixed(&[&api.address], FAILING)).await else { return };
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
    let Some((_nginx, url)) = nginx(folder.path(), &fixed(&[&api.address], FAILING)).await else { return };
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

/// A problem document of nginx itself, of this status.
async fn assert_problem(answer: Response, status: u16, kind: &str) {
    assert_eq!(answer.status(), status);
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(header("retry-after").is_some(), status >= 500, "whoever may ask again is told when");
    let text = answer.text().await.expect("a body");
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(document["type"], format!("urn:restock:problem:{kind}"));
    assert_eq!(document["status"], status);
    for field in ["title", "detail"] {
        assert!(document[field].as_str().is_some_and(|text| text.len() > 10), "{document}");
    }
}

/// A server that takes requests and dies over each; what came to it.
async fn dying(seen: &Arc<Mutex<Vec<String>>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let seen = Arc::clone(seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap_or(0);
            if length > 0 {
                seen.lock().expect("nobody panics").push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_not_sent_to_another_api() {
    let seen = Arc::default();
    let (first, second) = (dying(&seen).await, dying(&seen).await);
    let folder = tempfile::tempdir().expect("a folder");
    let site = fixed(&[&first, &second], "max_fails=0");
    let Some((_nginx, url)) = nginx(folder.path(), &site).await else { return };
    let start = Instant::now();
    while status(&format!("{url}/metrics")).await != Some(404) {
        assert!(start.elapsed() < DEADLINE, "nginx does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (method, path, times) in [
        (Method::GET, "/api/products/7", 2),
        (Method::HEAD, "/api/products/7", 2),
        (Method::POST, "/api/products/7/notifications/re-stock", 1),
        (Method::PUT, "/api/products/7/stock", 1),
        (Method::PUT, "/api/rate", 1),
        (Method::DELETE, "/api/products/7/subscriptions/9", 1),
    ] {
        seen.lock().expect("nobody panics").clear();
        let mut request = client().request(method.clone(), format!("{url}{path}"));
        let has_body = [Method::PUT, Method::POST].contains(&method);
        if has_body {
            request = request.body(BODY);
        }
        let answer = request.send().await.expect("an answer");
        if method == Method::HEAD {
            assert_eq!(answer.status(), 502);
        } else {
            assert_problem(answer, 502, "unavailable").await;
        }
        let seen = seen.lock().expect("nobody panics").clone();
        assert_eq!(seen.len(), times, "{method} {path}: {seen:?}");
        assert!(seen.iter().all(|request| request.starts_with(&format!("{method} {path} HTTP/1.1"))), "{seen:?}");
        assert!(seen.iter().all(|request| request.ends_with(BODY) == has_body), "{seen:?}");
    }
    // Bulk lists may be of any length; all else has a limit of nginx' own.
    let large = client().put(format!("{url}/api/products/7")).body(vec![b' '; 2 << 20]);
    assert_problem(large.send().await.expect("an answer"), 413, "too-large").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_started_at_another_address_is_found_there() {
    let deployment = Deployment::open("null", 0).await;
    deployment.product(7, 1).await;
    let (token, port) = (fresh(), Port::find().expect("a free port"));
    let hash = TokenHash::of(&token).to_string();
    let [here, there] = [2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let api = async |host: Ipv4Addr| {
        let listen = format!("{host}:{port}");
        let process = deployment.start(API, &["--listen", &listen, "--admin-token-hash", &hash]).await;
        process.until_ready(true).await;
        process
    };
    let names = Names::start(&[here]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_nginx, url)) = nginx(folder.path(), &named(&names, port.number())).await else { return };
    let mut first = api(here).await;
    until_ready(&url).await;
    first.child.kill().await.expect("it is killed");
    let path = format!("{url}/api/products/7");
    assert_problem(client().get(&path).send().await.expect("an answer"), 502, "unavailable").await;

    let _second = api(there).await;
    names.change(&[there]);
    until_ready(&url).await;
    // One of two addresses is nobody's: what may be asked twice goes to the other.
    names.change(&[here, there]);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        assert_eq!(status_with(&path, &token).await, Some(200));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let set = client().put(format!("{path}/stock")).header("authorization", format!("Bearer {token}"));
    let set = set.header("content-type", "application/json").body(r#"{"stock":3}"#);
    names.change(&[there]);
    let start = Instant::now();
    loop {
        let answer = set.try_clone().expect("it can be sent again").send().await.expect("an answer");
        if answer.status() == 200 {
            return;
        }
        assert_problem(answer, 502, "unavailable").await;
        assert!(start.elapsed() < DEADLINE, "its stock cannot be set");
    }
}
