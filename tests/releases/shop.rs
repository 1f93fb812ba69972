//! A deployment that an earlier release worked, and this one goes on with.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use restock::{
    demo::receiver::{Reaction, Receiver},
    local::Servers,
};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::install::{DATABASE, Since, install};

const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Shop {
    servers: Servers,
    receiver: Receiver,
}

impl Shop {
    pub(crate) async fn open(release: &str, since: Since) -> Self {
        let servers = Servers::start().await.expect("private servers start");
        install(&servers, release, since).await;
        let receiver = Receiver::start(|_| Reaction::accept()).await.expect("the receiver starts");
        Self { servers, receiver }
    }

    fn program(&self, path: &str) -> Command {
        let mut command = Command::new(path);
        command
            .env("RESTOCK_REDIS_URL", self.servers.redis.url())
            .env("RESTOCK_MYSQL_URL", self.servers.mysql.url(DATABASE))
            .env("RESTOCK_NAMESPACE", DATABASE)
            .env("RESTOCK_WEBHOOK_URL", self.receiver.url())
            .env("RESTOCK_FLUSH_INTERVAL_MS", "50")
            .env("RESTOCK_CLAIM_IDLE_MS", "1000")
            .env("RESTOCK_LOG", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// A program that runs until it is dropped.
    pub(crate) fn role(&self, name: &str) -> Child {
        let path = match name {
            "restock-worker" => env!("CARGO_BIN_EXE_restock-worker"),
            _ => env!("CARGO_BIN_EXE_restock-flusher"),
        };
        self.program(path).spawn().expect("it starts")
    }

    async fn ask(&self, line: &str) -> (bool, Value, String) {
        let mut command = self.program(env!("CARGO_BIN_EXE_restock-cli"));
        let ended = command.args(line.split(' ')).args(["--output", "json"]).output().await.expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        (ended.status.success(), serde_json::from_slice(&ended.stdout).unwrap_or_default(), said)
    }

    /// Runs a command that must succeed, and reads what it prints: of one row that row.
    pub(crate) async fn cli(&self, line: &str) -> Value {
        let (done, printed, said) = self.ask(line).await;
        assert!(done, "{line}: {said}");
        match printed.as_array().map(Vec::as_slice) {
            Some([only]) => only.clone(),
            _ => printed,
        }
    }

    /// Where the last round of a product stands, and how many were told in it.
    pub(crate) async fn status(&self, product: i64) -> String {
        let lane = self.cli(&format!("status {product}")).await;
        format!("{} {}", lane["status"].as_str().unwrap_or("nothing"), lane["sent"])
    }

    pub(crate) async fn becomes(&self, product: i64, expected: &str) {
        let start = Instant::now();
        loop {
            let status = self.status(product).await;
            if status == expected {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "product {product} is {status} instead of {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `verify` finds nothing, but for consumers of the old release that nobody has missed yet.
    pub(crate) async fn becomes_sound(&self) {
        let start = Instant::now();
        loop {
            let (_, report, said) = self.ask("verify --patience-ms 5000").await;
            let findings: Vec<&Value> = report["findings"].as_array().into_iter().flatten().collect();
            if report["checked"].is_object() && findings.iter().all(|finding| finding["kind"] == "consumer_dead") {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "{findings:#?} {said}");
        }
    }

    /// Whom the receiver was told to tell, by product, in the order in which the attempts started.
    pub(crate) fn told(&self) -> BTreeMap<i64, Vec<i64>> {
        let mut attempts: Vec<_> = self.receiver.recording().deliveries().to_vec();
        attempts.sort_by_key(|attempt| attempt.started_us);
        let mut told: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for attempt in attempts {
            told.entry(attempt.key.lane.product.0).or_default().push(attempt.key.user.0);
        }
        told
    }
}
