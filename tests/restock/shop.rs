//! A shop with everything that a deployment has: processes, servers, a receiver; fresh for each test.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use restock::{
    demo::receiver::{Behaviour, Delivery, Reaction, Receiver},
    ids::{Channel, LaneId, Place, ProductId, Round},
    local::{Servers, fresh_database_name, fresh_namespace},
    mysql::{self, history, schema, setting::Settings},
    redis::{
        Patience, Redis,
        scripts::{Enqueue, Enqueued, StockChange, StockChanged},
    },
    round::{RoundState, Status},
    stores::Stores,
};
use sqlx::AssertSqlSafe;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

use super::support::servers::servers;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Shop {
    pub(crate) stores: Stores,
    pub(crate) receiver: Receiver,
    /// By which way workers reach Redis.
    pub(crate) worker_redis_url: String,
    redis_url: String,
    mysql_url: String,
    _own: Option<Arc<Servers>>,
}

pub(crate) fn lane(product: i64) -> LaneId {
    LaneId { product: ProductId(product), channel: webhook() }
}

pub(crate) fn webhook() -> Channel {
    "webhook".parse().expect("a channel")
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
    pub(crate) async fn open(rate: u32, react: impl Fn(&Delivery) -> Reaction + Send + Sync + 'static) -> Self {
        let urls = servers().await;
        let mysql_url = urls.database(&fresh_database_name());
        Self::open_at(urls.redis.clone(), mysql_url, rate, react, None).await
    }

    /// On servers of its own, which the test may stop.
    pub(crate) async fn open_on(
        own: Arc<Servers>,
        rate: u32,
        react: impl Fn(&Delivery) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let (redis_url, mysql_url) = (own.redis.url(), own.mysql.url(&fresh_database_name()));
        Self::open_at(redis_url, mysql_url, rate, react, Some(own)).await
    }

    async fn open_at(
        redis_url: String,
        mysql_url: String,
        rate: u32,
        react: impl Fn(&Delivery) -> Reaction + Send + Sync + 'static,
        own: Option<Arc<Servers>>,
    ) -> Self {
        let url = mysql_url.clone().into();
        schema::create_database(&url).await.expect("MySQL answers");
        let pool = mysql::connect(&url, 10).await.expect("MySQL answers");
        schema::migrate(&pool).await.expect("the schema is made");
        let settings = Settings::first(fresh_namespace(), 2, vec![webhook()], rate);
        settings.store_first(&pool).await.expect("settings are stored");
        let redis = Redis::connect(&redis_url.clone().into(), &settings.namespace, Patience::Endless)
            .await
            .expect("Redis answers");
        let behaviour = Behaviour { react: Box::new(react), ..Behaviour::default() };
        let receiver = Receiver::start_with(behaviour).await.expect("the receiver starts");
        let worker_redis_url = redis_url.clone();
        Self {
            stores: Stores { redis, mysql: pool, settings },
            receiver,
            worker_redis_url,
            redis_url,
            mysql_url,
            _own: own,
        }
    }

    pub(crate) fn role(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("RESTOCK_REDIS_URL", &self.redis_url)
            .env("RESTOCK_MYSQL_URL", &self.mysql_url)
            .env("RESTOCK_NAMESPACE", self.stores.settings.namespace.as_str())
            .env("RESTOCK_WEBHOOK_URL", self.receiver.url())
            .env("RESTOCK_FLUSH_INTERVAL_MS", "100")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn flusher(&self) -> Child {
        self.role(env!("CARGO_BIN_EXE_restock-flusher")).spawn().expect("the flusher starts")
    }

    pub(crate) fn worker(&self, options: &[&str]) -> Child {
        let mut role = self.role(env!("CARGO_BIN_EXE_restock-worker"));
        role.env("RESTOCK_REDIS_URL", &self.worker_redis_url).args(options).spawn().expect("the worker starts")
    }

    /// Where MySQL listens.
    pub(crate) fn mysql_address(&self) -> String {
        let (server, _) = self.mysql_url.rsplit_once('/').expect("a database");
        server.rsplit_once('@').map_or(server, |(_, address)| address).to_owned()
    }

    /// The way to MySQL by another address.
    pub(crate) fn mysql_url_by(&self, address: &str) -> String {
        self.mysql_url.replace(&self.mysql_address(), address)
    }

    /// Where Redis listens.
    pub(crate) fn redis_address(&self) -> String {
        self.redis_url.trim_start_matches("redis://").to_owned()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.stores.mysql).await.expect("the statement runs");
    }

    /// Sends one command to the Redis server as it is.
    pub(crate) async fn redis_command(&self, command: &str) {
        let mut stream = TcpStream::connect(self.redis_address()).await.expect("Redis answers");
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.expect("Redis answers");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("Redis answers");
        assert!(!reply.starts_with('-'), "{command}: {reply}");
    }

    /// A product with users 1 to `people` in line, in this order.
    pub(crate) async fn product(&self, id: i64, stock: i64, people: i64) {
        self.execute(&format!("INSERT INTO product (id, name, stock) VALUES ({id}, 'product {id}', {stock})")).await;
        let users: Vec<i64> = (1..=people).collect();
        for chunk in users.chunks(5000) {
            let row = |n: &i64| format!("({id}, '2024-01-01' + INTERVAL {n} MICROSECOND, {n})");
            let rows: Vec<String> = chunk.iter().map(row).collect();
            let rows = rows.join(",");
            self.execute(&format!(
                "INSERT INTO product_user_notification (product_id, created_at, user_id) VALUES {rows}"
            ))
            .await;
        }
    }

    /// The place of a user in the line that [`Shop::product`] made.
    pub(crate) fn place(user: i64) -> Place {
        Place(1_704_067_200_000_000 + user)
    }

    pub(crate) async fn enqueue(&self, product: i64, quantity: u32) -> Round {
        let id = ProductId(product);
        loop {
            let enqueue = Enqueue {
                partition: self.stores.partition_of(id),
                product: id,
                quantity,
                key: None,
                request: None,
                backlog_max: 100_000,
                channels: &self.stores.settings.channels,
            };
            match self.stores.redis.enqueue(&enqueue).await.expect("Redis answers") {
                Enqueued::Queued(round) => return round,
                Enqueued::Unchecked => {
                    self.stores.check(id).await.expect("both stores answer");
                }
                other => panic!("enqueue of {product}: {other:?}"),
            }
        }
    }

    pub(crate) async fn stock(&self, product: i64, change: StockChange) {
        let id = ProductId(product);
        let changed = self.stores.redis.change_stock(self.stores.partition_of(id), id, change).await;
        assert!(matches!(changed, Ok(StockChanged::Ok(_))), "{changed:?}");
    }

    /// A round as MySQL has it.
    pub(crate) async fn round(&self, product: i64, round: Round) -> Option<RoundState> {
        let row = history::round_of(&self.stores.mysql, &lane(product), round).await.ok()?;
        row.map(|row| row.state)
    }

    pub(crate) async fn ended(&self, product: i64, round: Round) -> RoundState {
        until(&format!("round {round} of product {product} has ended in MySQL"), || async {
            self.round(product, round).await.is_some_and(|state| !state.status.is_open())
        })
        .await;
        self.round(product, round).await.expect("it was there")
    }

    pub(crate) async fn completed(&self, product: i64, round: Round) {
        let state = self.ended(product, round).await;
        assert_eq!(state.status, Status::Completed, "{state:?}");
    }
}
