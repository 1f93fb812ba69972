//! A deployment of its own for each test, and servers of the built program that answer for it.

use std::{
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Client, Method, header::HeaderMap};
use restock::{
    config::install_tls_provider,
    local::{Servers, fresh_database_name, fresh_namespace},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::support::servers::servers;

pub const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
pub const CLI: &str = env!("CARGO_BIN_EXE_restock-cli");
const API: &str = env!("CARGO_BIN_EXE_restock-api");

pub struct Shop {
    redis_url: String,
    mysql_url: String,
    namespace: String,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub took: Duration,
}

/// A running `restock-api`, until it is dropped.
pub struct Api {
    pub child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
    client: Client,
    token: Option<String>,
}

impl Shop {
    /// With the channel `null`, product 42 with 5 in stock and product 7 without any.
    pub async fn open() -> Self {
        let urls = servers().await;
        let mysql_url = urls.database(&fresh_database_name());
        Self::set_up(urls.redis, mysql_url, "null").await
    }

    /// The same with the channel `inbox`.
    pub async fn open_inbox() -> Self {
        let urls = servers().await;
        let mysql_url = urls.database(&fresh_database_name());
        Self::set_up(urls.redis, mysql_url, "inbox").await
    }

    /// On servers that the test stops.
    pub async fn open_on(own: &Servers) -> Self {
        Self::set_up(own.redis.url(), own.mysql.url(&fresh_database_name()), "null").await
    }

    async fn set_up(redis_url: String, mysql_url: String, channels: &str) -> Self {
        let shop = Self { redis_url, mysql_url, namespace: fresh_namespace().to_string() };
        shop.cli(&["migrate", "--partitions", "2", "--channels", channels, "--rate", "0"]).await;
        shop.cli(&["product", "add", "42", "--name", "Party bunting", "--sku", "47566", "--stock", "5"]).await;
        shop.cli(&["product", "add", "7", "--name", "Alarm clock"]).await;
        shop
    }

    pub fn program(&self, path: &str) -> Command {
        let mut command = Command::new(path);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RESTOCK_")) {
            command.env_remove(name);
        }
        command.env("RESTOCK_REDIS_URL", &self.redis_url).env("RESTOCK_MYSQL_URL", &self.mysql_url);
        command.env("RESTOCK_NAMESPACE", &self.namespace).env("RESTOCK_LOG", "off").kill_on_drop(true);
        command
    }

    /// Runs a command that must succeed.
    pub async fn cli(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.program(CLI).args(args).output().await.expect("it runs");
        assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("it prints UTF-8")
    }

    /// A worker and a flusher that run until they are dropped.
    pub fn crew(&self) -> [Child; 2] {
        let flusher = self
            .program(env!("CARGO_BIN_EXE_restock-flusher"))
            .args(["--flush-interval-ms", "20"])
            .spawn()
            .expect("it starts");
        [self.program(env!("CARGO_BIN_EXE_restock-worker")).spawn().expect("it starts"), flusher]
    }

    /// A server without tokens that has both backends.
    pub async fn api(&self) -> Api {
        self.api_with(&[]).await
    }

    /// As [`Shop::api`], with these options.
    pub async fn api_with(&self, args: &[&str]) -> Api {
        let api = self.start(args).await;
        api.until(|answer| answer.status == 200, "/api/products").await;
        api
    }

    /// As soon as it listens, whether the backends are there or not.
    pub async fn start(&self, args: &[&str]) -> Api {
        let mut command = self.program(API);
        if !args.contains(&"--requests-per-second") {
            // Whoever waits for a state asks often.
            command.args(["--requests-per-second", "0"]);
        }
        command.args(["--listen", "127.0.0.1:0"]).args(args).env("RESTOCK_LOG", "info").stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = tokio::time::timeout(DEADLINE, async {
            while let Some(line) = lines.next_line().await.expect("it can be read") {
                if let Some((_, address)) = line.split_once("listening address=") {
                    return address.trim().to_owned();
                }
            }
            panic!("it ended before it listened");
        });
        let address = address.await.expect("it listens in time");
        // It must be able to go on writing.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        install_tls_provider();
        let client = Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none());
        Api { child, address, client: client.build().expect("a client"), token: None }
    }

    /// How a server ends that does not even start, and what it says.
    pub async fn refuses(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.program(API);
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        let ended = tokio::time::timeout(DEADLINE, command.output()).await.expect("it ends in time").expect("it runs");
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    }

    pub async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool().await).await.expect("the statement runs");
    }

    /// Where its record is.
    pub fn mysql_url(&self) -> String {
        self.mysql_url.clone()
    }

    /// Its record, for what no command does.
    pub async fn pool(&self) -> sqlx::MySqlPool {
        restock::mysql::connect(&self.mysql_url.clone().into(), 2).await.expect("MySQL answers")
    }
}

impl Api {
    /// The same server, asked with this token.
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("it runs").cast_signed())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is told");
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// With a JSON body.
    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[("content-type", "application/json")], body).await
    }

    /// With a JSON body, or none.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
        self.ask("POST", path, headers, body).await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_ask(method, path, headers, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    pub async fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> reqwest::Result<Answer> {
        let (start, url) = (Instant::now(), format!("http://{}{path}", self.address));
        let mut request = self.client.request(Method::from_bytes(method.as_bytes()).expect("a method"), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.body(body.to_owned()).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A stream of events has no end.
        let is_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if is_stream { String::new() } else { response.text().await? };
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, headers, body, took: start.elapsed() })
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, wanted: impl Fn(&Answer) -> bool, path: &str) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(start.elapsed() < DEADLINE, "{path} still answers {answer:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// A problem document of this kind; `field` is the first that is to blame, empty for none.
    #[track_caller]
    pub fn fails(self, status: u16, kind: &str, field: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.body["type"], format!("urn:restock:problem:{kind}"), "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        assert!(self.body["title"].is_string() && self.body["detail"].is_string(), "{self:?}");
        assert!(self.body["instance"].as_str().is_some_and(|path| path.starts_with('/')), "{self:?}");
        assert_eq!(self.body["errors"][0]["field"].as_str().unwrap_or_default(), field, "{self:?}");
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{self:?}");
        }
        self
    }
}
