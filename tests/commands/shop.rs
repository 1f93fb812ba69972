//! A deployment of its own for each test, worked by the built program as a process.

use std::{
    process::{Output, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use restock::local::{Port, fresh_database_name, fresh_namespace};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

use super::support::servers::servers;

const DEADLINE: Duration = Duration::from_secs(30);
pub const CLI: &str = env!("CARGO_BIN_EXE_restock-cli");
pub const WORKER: &str = env!("CARGO_BIN_EXE_restock-worker");
pub const FLUSHER: &str = env!("CARGO_BIN_EXE_restock-flusher");

pub struct Shop {
    pub redis_url: String,
    pub mysql_url: String,
    pub namespace: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It failed with this code and one line on stderr that holds all of `words`.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "one line: {self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing: {self:?}");
        }
    }
}

impl Shop {
    /// With a schema, product 42 with 5 in stock and product 7 without any.
    pub async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// As [`Shop::open`], with these first settings.
    pub async fn open_with(settings: &[&str]) -> Self {
        let shop = Self::empty().await;
        let migrate: Vec<&str> = ["migrate", "--partitions", "2"].iter().chain(settings).copied().collect();
        shop.done(&migrate).await;
        shop.done(&["product", "add", "42", "--name", "Party bunting", "--sku", "47566", "--stock", "5"]).await;
        shop.done(&["product", "add", "7", "--name", "Alarm clock"]).await;
        shop
    }

    /// Without a schema; its database does not exist.
    pub async fn empty() -> Self {
        let urls = servers().await;
        let mysql_url = urls.database(&fresh_database_name());
        Self { redis_url: urls.redis, mysql_url, namespace: fresh_namespace().to_string() }
    }

    /// The same deployment, with nobody at the address of Redis.
    pub fn without_redis(&self) -> Self {
        Self {
            redis_url: format!("redis://:hunter2@127.0.0.1:{}", closed_port()),
            mysql_url: self.mysql_url.clone(),
            namespace: self.namespace.clone(),
        }
    }

    /// The same deployment, with nobody at the address of MySQL.
    pub fn without_mysql(&self) -> Self {
        Self {
            redis_url: self.redis_url.clone(),
            mysql_url: format!("mysql://root:hunter2@127.0.0.1:{}/restock", closed_port()),
            namespace: self.namespace.clone(),
        }
    }

    /// A worker that runs until it is dropped.
    pub fn worker(&self, args: &[&str]) -> Child {
        self.program(WORKER).args(args).spawn().expect("it starts")
    }

    /// A flusher that runs until it is dropped.
    pub fn flusher(&self) -> Child {
        self.program(FLUSHER).args(["--flush-interval-ms", "50"]).spawn().expect("it starts")
    }

    pub async fn execute(&self, sql: &'static str) {
        let pool = restock::mysql::connect(&self.mysql_url.clone().into(), 1).await.expect("MySQL answers");
        sqlx::raw_sql(sql).execute(&pool).await.expect("the statement runs");
    }

    /// Sends one command to the Redis server as it is.
    pub async fn redis(&self, command: &str) -> String {
        let address = self.redis_url.trim_start_matches("redis://");
        let mut stream = TcpStream::connect(address).await.expect("Redis answers");
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.expect("Redis answers");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("Redis answers");
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        reply
    }

    /// Runs a command until what it prints is as wanted, and answers that.
    pub async fn until(&self, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = self.json(args).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(start.elapsed() < DEADLINE, "{args:?} still prints {seen}");
        }
    }

    pub async fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, "").await
    }

    /// With this text on stdin.
    pub async fn run_with(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Ended {
        finish(self.program(CLI).args(args), stdin).await
    }

    /// A program that works for this deployment, with nothing else in its environment that it would listen to.
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
    pub async fn done(&self, args: &[&str]) -> Ended {
        let ended = self.run(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended
    }

    /// Runs a command that must succeed, and reads what it prints.
    pub async fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        self.run(&args).await.json()
    }
}

/// Runs a program to its end, with these bytes on stdin.
pub async fn finish(command: &mut Command, stdin: impl AsRef<[u8]>) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("stdin is a pipe");
    // Who does not read stdin may have ended already.
    let _ = input.write_all(stdin.as_ref()).await;
    drop(input);
    let Output { status, stdout, stderr } = child.wait_with_output().await.expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    let ended = Ended { code: status.code().expect("no signal"), stdout: text(stdout), stderr: text(stderr) };
    assert!(!ended.stderr.contains("hunter2") && !ended.stdout.contains("hunter2"), "a password: {ended:?}");
    ended
}

/// A port at which nobody listens.
fn closed_port() -> u16 {
    static CLOSED: LazyLock<Port> = LazyLock::new(|| Port::find().expect("a free port"));
    CLOSED.number()
}
