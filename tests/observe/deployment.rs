//! A deployment of its own for each test, with processes at whose metrics somebody looks.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use restock::{
    config::install_tls_provider,
    local::{Servers, Urls, fresh_database_name, fresh_namespace},
    mysql,
};
use serde_json::Value;
use sqlx::MySqlPool;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{exposition::Exposition, support::servers::servers};

const DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
pub const CLI: &str = env!("CARGO_BIN_EXE_restock-cli");
pub const API: &str = env!("CARGO_BIN_EXE_restock-api");
pub const WORKER: &str = env!("CARGO_BIN_EXE_restock-worker");
pub const FLUSHER: &str = env!("CARGO_BIN_EXE_restock-flusher");

pub struct Deployment {
    pub redis_url: String,
    pub mysql_url: String,
    pub namespace: String,
}

/// A process that serves its metrics.
pub struct Process {
    pub child: Child,
    pub address: String,
    /// Given with whatever it is asked.
    pub token: Option<String>,
}

impl Deployment {
    /// On the servers that the tests share, with this channel and rate.
    pub async fn open(channel: &str, rate: u32) -> Self {
        Self::open_with(channel, rate, 2).await
    }

    /// The same with so many partitions.
    pub async fn open_with(channel: &str, rate: u32, partitions: u16) -> Self {
        Self::open_at(servers().await, channel, rate, partitions).await
    }

    /// On servers that the test may stop.
    pub async fn open_on(own: &Servers, channel: &str) -> Self {
        Self::open_at(Urls::of(&own.redis, &own.mysql), channel, 0, 2).await
    }

    async fn open_at(urls: Urls, channel: &str, rate: u32, partitions: u16) -> Self {
        let mysql_url = urls.database(&fresh_database_name());
        let deployment = Self { redis_url: urls.redis, mysql_url, namespace: fresh_namespace().to_string() };
        let (rate, partitions) = (rate.to_string(), partitions.to_string());
        deployment.done(&["migrate", "--partitions", &partitions, "--channels", channel, "--rate", &rate]).await;
        deployment
    }

    /// Its MySQL.
    pub async fn mysql(&self) -> MySqlPool {
        mysql::connect(&self.mysql_url.clone().into(), 2).await.expect("MySQL answers")
    }

    pub fn program(&self, path: &str) -> Command {
        let mut command = Command::new(path);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RESTOCK_") || name.starts_with("OTEL_"))
        {
            command.env_remove(name);
        }
        command.env("RESTOCK_REDIS_URL", &self.redis_url).env("RESTOCK_MYSQL_URL", &self.mysql_url);
        command.env("RESTOCK_NAMESPACE", &self.namespace).kill_on_drop(true);
        command
    }

    /// Runs a command of `restock-cli` that must succeed.
    pub async fn done(&self, args: &[&str]) -> Vec<u8> {
        let ended = self.program(CLI).env("RESTOCK_LOG", "off").args(args).output().await.expect("it runs");
        assert!(ended.status.success(), "{args:?}: {ended:?}");
        ended.stdout
    }

    /// A product in stock with so many people in its line.
    pub async fn product(&self, id: u32, people: u32) {
        let id = id.to_string();
        self.done(&["product", "add", &id, "--name", "Party bunting", "--stock", "5"]).await;
        let people: Vec<String> = (1..=people).map(|user| user.to_string()).collect();
        let args: Vec<&str> = ["subscribe", &id].into_iter().chain(people.iter().map(String::as_str)).collect();
        self.done(&args).await;
    }

    /// Starts a program at whose metrics one can look; returns when they can be seen.
    pub async fn start(&self, path: &str, args: &[&str]) -> Process {
        self.start_with(path, args, &[]).await
    }

    /// The same with more variables.
    pub async fn start_with(&self, path: &str, args: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut command = self.program(path);
        command.envs(variables.iter().copied()).args(args).args(["--metrics-listen", "127.0.0.1:0"]);
        listening(command, "serving /metrics").await
    }

    /// Starts an API, which shows them on its own port.
    pub async fn start_api(&self, args: &[&str]) -> Process {
        self.start_api_with(args, &[]).await
    }

    /// The same with more variables.
    pub async fn start_api_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut command = self.program(API);
        command.envs(variables.iter().copied()).args(["--listen", "127.0.0.1:0"]).args(args);
        listening(command, "listening").await
    }
}

/// Starts a program, and reads in its log where it listens.
async fn listening(mut command: Command, says: &str) -> Process {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let told = async {
        while let Some(line) = lines.next_line().await.expect("a line") {
            if let Some((_, rest)) = line.split_once("address=").filter(|_| line.contains(says)) {
                return rest.split_whitespace().next().expect("an address").to_owned();
            }
        }
        panic!("{command:?} never says where it listens");
    };
    let address = timeout(DEADLINE, told).await.expect("it says so in time");
    // It must be able to go on writing.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Process { child, address, token: None }
}

/// A client that keeps to HTTP without TLS.
pub fn client() -> reqwest::Client {
    install_tls_provider();
    let client = reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(10));
    client.build().expect("a client")
}

impl Process {
    /// The status and the body of an answer; none while nobody answers.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut request = client().get(format!("http://{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    pub async fn text(&self) -> String {
        let (status, text) = self.get("/metrics").await.expect("an answer");
        assert_eq!(status, 200);
        text
    }

    pub async fn metrics(&self) -> Exposition {
        Exposition::parse(&self.text().await)
    }

    /// Looks until a series has this value.
    pub async fn until(&self, series: &str, wanted: impl Fn(f64) -> bool) -> Exposition {
        let start = Instant::now();
        loop {
            let metrics = self.metrics().await;
            if metrics.value(series).is_some_and(&wanted) {
                return metrics;
            }
            assert!(start.elapsed() < DEADLINE, "{series} is {:?}", metrics.value(series));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The same, from a process that may have no connection to spare for a while.
    pub async fn until_in_time(&self, series: &str, wanted: impl Fn(f64) -> bool) -> Exposition {
        let start = Instant::now();
        while self.get("/livez").await.is_none() {
            assert!(start.elapsed() < DEADLINE, "nobody answers");
        }
        self.until(series, wanted).await
    }

    /// Looks until it is ready, or not; returns what it says.
    pub async fn until_ready(&self, ready: bool) -> Value {
        let start = Instant::now();
        loop {
            let (status, body) = self.get("/readyz").await.expect("an answer");
            let health: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(health["ready"], status == 200, "{status}: {body}");
            if health["ready"] == ready {
                return health;
            }
            assert!(start.elapsed() < DEADLINE, "it is still {body}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
