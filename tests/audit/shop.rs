//! A deployment of its own for each test, with one partition, the channel `null` and no pace.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use restock::{
    ids::{Channel, LaneId, Partition, ProductId, Round},
    local::{fresh_database_name, fresh_namespace},
    mysql::{self, history, schema, setting::Settings},
    producer::Producer,
    redis::{Patience as Connecting, Redis},
    round::RoundState,
    stores::Stores,
    sync::{BACKLOG_MAX, Flushed, Lead},
    verify::{Kind, Patience, Report, Scope, Verifier},
};
use sqlx::AssertSqlSafe;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    task::JoinHandle,
};

use super::support::servers::servers;

const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const PARTITION: Partition = Partition(0);
/// Nothing is silent, unrelayed or uncounted for so long here.
const NEVER_MS: u64 = 3_600_000;

pub(crate) struct Shop {
    pub(crate) stores: Stores,
    pub(crate) patience: Patience,
    pub(crate) redis_url: String,
    mysql_url: String,
}

/// Flushes the log until it is dropped, and does nothing else: what is broken stays broken.
pub(crate) struct Flushing(JoinHandle<()>);

impl Drop for Flushing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn null() -> Channel {
    "null".parse().expect("a channel")
}

pub(crate) fn lane(product: i64) -> LaneId {
    LaneId { product: ProductId(product), channel: null() }
}

/// Waits for a state, with a deadline.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut reached: impl FnMut() -> F) {
    let start = Instant::now();
    while !reached().await {
        assert!(start.elapsed() < DEADLINE, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with_rate(0).await
    }

    pub(crate) async fn with_rate(rate: u32) -> Self {
        let urls = servers().await;
        let mysql_url = urls.database(&fresh_database_name());
        let url = mysql_url.clone().into();
        schema::create_database(&url).await.expect("MySQL answers");
        let pool = mysql::connect(&url, 10).await.expect("MySQL answers");
        schema::migrate(&pool).await.expect("the schema is made");
        let settings = Settings::first(fresh_namespace(), 1, vec![null()], rate);
        settings.store_first(&pool).await.expect("settings are stored");
        let redis = Redis::connect(&urls.redis.clone().into(), &settings.namespace, Connecting::Short)
            .await
            .expect("Redis answers");
        let patience = Patience {
            log_ms: 5_000,
            request_ms: NEVER_MS,
            consumer_ms: NEVER_MS,
            lease_ms: NEVER_MS,
            total_ms: NEVER_MS,
        };
        Self { stores: Stores { redis, mysql: pool, settings }, patience, redis_url: urls.redis, mysql_url }
    }

    /// A product whose first round is completed and flushed.
    pub(crate) async fn after_a_round(people: i64) -> (Self, Flushing) {
        let shop = Self::open().await;
        let flushing = shop.flushing().await;
        shop.product(42, 10, people).await;
        let round = shop.enqueue(42).await;
        let mut worker = shop.worker(&[]);
        shop.ended(42, round).await;
        worker.kill().await.expect("it ends");
        (shop, flushing)
    }

    /// A product whose first round is queued and flushed, with nobody to work it.
    pub(crate) async fn before_a_round() -> (Self, Flushing) {
        let shop = Self::open().await;
        let flushing = shop.flushing().await;
        shop.product(42, 10, 20).await;
        shop.enqueue(42).await;
        shop.flushed().await;
        (shop, flushing)
    }

    fn role(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("RESTOCK_REDIS_URL", &self.redis_url)
            .env("RESTOCK_MYSQL_URL", &self.mysql_url)
            .env("RESTOCK_NAMESPACE", self.stores.settings.namespace.as_str())
            .env("RESTOCK_FLUSH_INTERVAL_MS", "50")
            .env("RESTOCK_LOG", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn flusher(&self) -> Child {
        self.role(env!("CARGO_BIN_EXE_restock-flusher")).spawn().expect("the flusher starts")
    }

    pub(crate) fn worker(&self, options: &[&str]) -> Child {
        self.role(env!("CARGO_BIN_EXE_restock-worker")).args(options).spawn().expect("the worker starts")
    }

    /// Runs a command: its exit code, what it printed, what it noted.
    pub(crate) async fn cli(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.role(env!("CARGO_BIN_EXE_restock-cli"));
        let ended = command.env("RESTOCK_LOG", "off").args(args).output().await.expect("the program ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
        (ended.status.code().expect("no signal"), text(ended.stdout), text(ended.stderr))
    }

    pub(crate) async fn flushing(&self) -> Flushing {
        let mut lead =
            Lead::elect(&self.stores, PARTITION, BACKLOG_MAX).await.expect("MySQL answers").expect("nobody else leads");
        Flushing(tokio::spawn(async move {
            while !matches!(lead.flush().await, Ok(Flushed::Deposed)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }))
    }

    pub(crate) async fn flushed(&self) {
        until("the log is flushed", || async {
            self.stores.redis.log_head(PARTITION).await.is_ok_and(|head| head.entries == 0)
        })
        .await;
    }

    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.stores.mysql).await.expect("the statement runs");
    }

    /// As text: to MariaDB what is put together of counts is binary, or not, by its version.
    pub(crate) async fn value(&self, sql: &str) -> Option<String> {
        let value: Option<Option<Vec<u8>>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_optional(&self.stores.mysql)
            .await
            .expect("the statement runs");
        value.flatten().map(|value| String::from_utf8(value).expect("text"))
    }

    /// Sends one command to the Redis server as it is; `{}` is the partition's hash tag.
    pub(crate) async fn redis_command(&self, command: &str) -> String {
        let command = command.replace("{}", &self.stores.redis.keys().signal(PARTITION));
        let mut stream =
            TcpStream::connect(self.redis_url.trim_start_matches("redis://")).await.expect("Redis answers");
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.expect("Redis answers");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("Redis answers");
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        reply
    }

    /// The id of the entry that stands for a lane.
    pub(crate) async fn entry(&self, product: i64) -> String {
        let views = self.stores.redis.read_lanes(PARTITION, &[lane(product)]).await.expect("Redis answers");
        let entry = views[0].as_ref().and_then(|view| view.entry.clone()).expect("it has an entry");
        entry.trim_start_matches("j:").to_owned()
    }

    /// A product with users 1 to `people` in line, in this order, for long.
    pub(crate) async fn product(&self, id: i64, stock: i64, people: i64) {
        self.execute(&format!("INSERT INTO product (id, name, stock) VALUES ({id}, 'product {id}', {stock})")).await;
        let users: Vec<i64> = (1..=people).collect();
        for chunk in users.chunks(5000) {
            let row = |n: &i64| format!("({id}, '2024-01-01' + INTERVAL {n} MICROSECOND, {n}, '2024-01-01')");
            let rows = chunk.iter().map(row).collect::<Vec<_>>().join(",");
            self.execute(&format!(
                "INSERT INTO product_user_notification (product_id, created_at, user_id, added_at) VALUES {rows}"
            ))
            .await;
        }
    }

    pub(crate) async fn enqueue(&self, product: i64) -> Round {
        let producer = Producer::new(self.stores.clone());
        let accepted = producer.enqueue_direct(ProductId(product), 0, None).await.expect("it is accepted");
        accepted.round.expect("Redis answers")
    }

    pub(crate) async fn ended(&self, product: i64, round: Round) -> RoundState {
        let lane = lane(product);
        let read = || history::round_of(&self.stores.mysql, &lane, round);
        until(&format!("round {round} of product {product} has ended in MySQL"), || async {
            read().await.expect("MySQL answers").is_some_and(|row| !row.state.status.is_open())
        })
        .await;
        read().await.expect("MySQL answers").expect("it was there").state
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.stores.clone()).patience(self.patience)
    }

    pub(crate) async fn verify(&self) -> Report {
        self.verifier().run(Scope::All).await.expect("both stores answer")
    }

    /// That exactly these kinds are found, each once.
    #[track_caller]
    pub(crate) fn found<'a>(&'a self, kinds: &'a [Kind]) -> impl Future<Output = Report> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let report = self.verify().await;
            let mut found: Vec<Kind> = report.findings.iter().map(|finding| finding.kind).collect();
            let mut expected = kinds.to_vec();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{caller}: {:#?}", report.findings);
            report
        }
    }

    /// That exactly these kinds are found, and nothing once all is mended that can be.
    #[track_caller]
    pub(crate) fn found_and_mended<'a>(&'a self, kinds: &'a [Kind]) -> impl Future<Output = ()> + 'a {
        let found = self.found(kinds);
        let caller = std::panic::Location::caller();
        async move {
            for mend in found.await.findings.iter().filter_map(|finding| finding.mend.as_ref()) {
                self.verifier().mend(mend).await.expect("both stores answer");
            }
            let left = self.verify().await;
            assert!(left.is_ok(), "{caller}: {:#?}", left.findings);
        }
    }
}
