//! A deployment of its own for each test: the built programs as processes, on the servers that `make test-page` starts.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

const START_MAX: Duration = Duration::from_secs(60);

/// Names in one server differ.
static SHOPS: AtomicU32 = AtomicU32::new(0);

pub struct Shop {
    envs: Vec<(&'static str, String)>,
    programs: PathBuf,
    /// What runs beside it, until it is dropped.
    running: Vec<Child>,
    /// Admins' token.
    pub token: String,
    hash: String,
    key: String,
}

fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test-page`"))
}

impl Shop {
    /// With a token for admins and a key for users' tokens, and nothing in it.
    pub async fn open() -> Self {
        let name = format!("page_{}_{}", std::process::id(), SHOPS.fetch_add(1, Ordering::Relaxed));
        let mysql = format!("{}/{name}", given("RESTOCK_TEST_MYSQL_URL").trim_end_matches('/'));
        let envs = vec![
            ("RESTOCK_REDIS_URL", given("RESTOCK_TEST_REDIS_URL")),
            ("RESTOCK_MYSQL_URL", mysql),
            ("RESTOCK_NAMESPACE", name),
            ("RESTOCK_LOG", "error".to_owned()),
        ];
        let programs = PathBuf::from(given("RESTOCK_PROGRAMS"));
        let mut shop =
            Self { envs, programs, running: Vec::new(), token: String::new(), hash: String::new(), key: String::new() };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let token = shop.json(&["token"]).await;
        (shop.token, shop.hash) = (text(&token["token"]), text(&token["hash"]));
        shop.key = text(&shop.json(&["token", "key"]).await["key"]);
        shop
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RESTOCK_")) {
            command.env_remove(name);
        }
        command.envs(self.envs.clone()).kill_on_drop(true);
        command
    }

    /// Runs a command that must succeed.
    pub async fn cli(&self, args: &[&str]) -> String {
        self.cli_with(args, "").await
    }

    /// As [`Shop::cli`], with this on stdin.
    pub async fn cli_with(&self, args: &[&str], input: &str) -> String {
        let mut command = self.program("restock-cli");
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("restock-cli is built");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).await.expect("it reads");
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().await.expect("it ends");
        assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("it prints UTF-8")
    }

    pub async fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        serde_json::from_str(&self.cli(&args).await).expect("it prints JSON")
    }

    /// A token of one user.
    pub async fn token_of(&self, user: i64) -> String {
        let user = user.to_string();
        let made = self.json(&["token", "user", &user, "--user-token-key", &self.key]).await;
        made["token"].as_str().expect("a token").to_owned()
    }

    /// A worker and a flusher.
    pub fn work(&mut self, worker: &[&str]) {
        let mut flusher = self.program("restock-flusher");
        flusher.args(["--flush-interval-ms", "50"]);
        let mut command = self.program("restock-worker");
        command.args(worker);
        self.running.extend([flusher.spawn().expect("it starts"), command.spawn().expect("it starts")]);
    }

    /// `restock-cli up` on the same servers: the flusher and a worker in one process, with the sample where that is asked for.
    pub async fn up(&mut self, args: &[&str]) {
        let mut command = self.program("restock-cli");
        command.args(["up", "--output", "json"]).args(args).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = timeout(START_MAX, lines.next_line()).await.expect("it works in time").expect("it can be read");
        assert!(ready.is_some(), "it ended before it worked");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.running.push(child);
    }

    pub fn namespace(&self) -> &str {
        self.envs.iter().find(|(name, _)| *name == "RESTOCK_NAMESPACE").map_or("", |(_, value)| value)
    }

    /// `restock-api` with these options too; answers its `127.0.0.1:PORT`.
    pub async fn serve(&mut self, args: &[&str]) -> String {
        let mut command = self.program("restock-api");
        command.args(["--listen", "127.0.0.1:0", "--requests-per-second", "0"]).args(args);
        command.env("RESTOCK_LOG", "info").stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = timeout(START_MAX, async {
            let mut address = None;
            while let Some(line) = lines.next_line().await.expect("it can be read") {
                if let Some((_, found)) = line.split_once("listening address=") {
                    address = Some(found.trim().to_owned());
                }
                if line.contains(" ready ") {
                    return address.expect("it listens before it is ready");
                }
            }
            panic!("restock-api ended before it was ready");
        });
        let address = address.await.expect("restock-api is ready in time");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.running.push(child);
        address
    }

    /// [`Shop::serve`] with the tokens.
    pub async fn serve_with_tokens(&mut self) -> String {
        let (hash, key) = (self.hash.clone(), self.key.clone());
        self.serve(&["--admin-token-hash", &hash, "--user-token-key", &key]).await
    }

    /// The last round of a product.
    pub async fn round(&self, product: i64) -> Value {
        let product = product.to_string();
        self.json(&["status", &product]).await.as_array().and_then(|rows| rows.last().cloned()).expect("a round")
    }
}
