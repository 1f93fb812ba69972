//! The deployment of a run: servers of its own, the wires to them, processes, a receiver.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use restock::{
    demo::receiver::{Behaviour, Receiver},
    ids::{Channel, LaneId, ProductId},
    local::{Servers, fresh_database_name, fresh_namespace},
    mysql::{self, schema, setting::Settings},
    producer::Producer,
    redis::{Patience, Redis},
    stores::Stores,
};
use sqlx::{AssertSqlSafe, MySqlConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use super::{
    crew::{Crew, Disk, Role},
    form::Form,
    ledger::{Lanes, Ledger},
    moods::Moods,
    proxy::Proxy,
};

/// People who look at the stores during a run do not wait longer.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The ways between the processes and what they need.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(crate) worker_redis: Proxy,
    pub(crate) flusher_redis: Proxy,
    pub(crate) mysql: Proxy,
    pub(crate) receiver: Proxy,
}

/// Everything that a run is played on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) form: Form,
    pub(crate) servers: Servers,
    /// Both stores, not by the wires.
    pub(crate) stores: Stores,
    pub(crate) producer: Producer,
    pub(crate) wires: Wires,
    pub(crate) moods: Arc<Moods>,
    pub(crate) receiver: Receiver,
    pub(crate) crew: Crew,
    pub(crate) ledger: Ledger,
    /// Logs of the processes, and the report.
    pub(crate) folder: PathBuf,
    pub(crate) database: String,
}

pub(crate) fn webhook() -> Channel {
    "webhook".parse().expect("a channel")
}

pub(crate) fn lane(product: i64) -> LaneId {
    LaneId { product: ProductId(product), channel: webhook() }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn way_to(server: SocketAddr) -> Proxy {
    Proxy::start(server.to_string(), Duration::ZERO).await
}

/// Where a run leaves the logs of its processes and its report.
pub(crate) fn folder(form: &Form) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}", form.name))
}

impl Stage {
    pub(crate) async fn open(form: Form, seed: u64) -> Self {
        let servers = Servers::start().await.expect("private servers start");
        let database = fresh_database_name();
        let url = servers.mysql.url(&database).into();
        schema::create_database(&url).await.expect("MySQL answers");
        let pool = mysql::connect(&url, 30).await.expect("MySQL answers");
        schema::migrate(&pool).await.expect("the schema is made");
        let settings = Settings::first(fresh_namespace(), 2, vec![webhook()], form.rate);
        settings.store_first(&pool).await.expect("settings are stored");
        let redis_url = servers.redis.url().into();
        let redis = Redis::connect(&redis_url, &settings.namespace, Patience::Endless).await.expect("Redis answers");
        let stores = Stores { redis, mysql: pool, settings };
        let moods = Arc::new(Moods::new(seed));
        let mind = moods.clone();
        let behaviour = Behaviour { react: Box::new(move |delivery| mind.react(delivery)), ..Behaviour::default() };
        let receiver = Receiver::start_with(behaviour).await.expect("the receiver starts");
        let wires = Wires {
            worker_redis: way_to(local(servers.redis.port())).await,
            flusher_redis: way_to(local(servers.redis.port())).await,
            mysql: way_to(local(servers.mysql.port())).await,
            receiver: way_to(receiver.address()).await,
        };
        let folder = folder(&form);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the folder of the run can be made");
        let producer = Producer::new(stores.clone());
        let (crew, ledger) = (Crew::default(), Ledger::default());
        let stage = Self { form, servers, stores, producer, wires, moods, receiver, crew, ledger, folder, database };
        stage.fill().await;
        stage
    }

    /// A user without any privilege but to work, products, people in line, processes.
    async fn fill(&self) {
        // A user who may do all is not held up by a read-only server or one with too many connections.
        self.execute("CREATE USER 'shop'@'%'").await;
        self.execute(&format!("GRANT ALL PRIVILEGES ON {}.* TO 'shop'@'%'", self.database)).await;
        for product in self.products() {
            self.execute(&format!("INSERT INTO product (id, name) VALUES ({product}, 'product {product}')")).await;
            let row = |user| format!("({product}, '2024-01-01' + INTERVAL {user} MICROSECOND, {user})");
            let rows: Vec<String> = (1..=self.form.people).map(row).collect();
            let table = "product_user_notification (product_id, created_at, user_id)";
            self.execute(&format!("INSERT INTO {table} VALUES {}", rows.join(","))).await;
        }
        *self.crew.flushers.lock().await = (0..2).map(|_| self.flusher(Disk::Free)).collect();
        *self.crew.workers.lock().await = (0..self.form.workers).map(|_| self.worker(Disk::Free)).collect();
    }

    /// All products; the last is that of producers who race.
    pub(crate) fn products(&self) -> std::ops::RangeInclusive<i64> {
        1..=self.form.products + 1
    }

    fn role(&self, program: &str, redis: &Proxy) -> Command {
        let mut command = Command::new(program);
        let mysql_url = format!("mysql://shop@{}/{}", self.wires.mysql.address(), self.database);
        command
            .env("RESTOCK_REDIS_URL", redis.url())
            .env("RESTOCK_MYSQL_URL", mysql_url)
            .env("RESTOCK_NAMESPACE", self.stores.settings.namespace.as_str())
            .env("RESTOCK_LOG", "info,restock::sync=debug,restock::stores=debug,restock::worker::landing=debug")
            .env("RESTOCK_FLUSH_INTERVAL_MS", "100")
            .env("RESTOCK_DRAIN_MS", "3000");
        command
    }

    pub(crate) fn flusher(&self, disk: Disk) -> Role {
        let command = self.role(env!("CARGO_BIN_EXE_restock-flusher"), &self.wires.flusher_redis);
        Role::start(format!("flusher-{}", self.crew.number()), command, &self.folder, disk)
    }

    pub(crate) fn worker(&self, disk: Disk) -> Role {
        let mut command = self.role(env!("CARGO_BIN_EXE_restock-worker"), &self.wires.worker_redis);
        let form = &self.form;
        command
            .env("RESTOCK_WEBHOOK_URL", format!("http://{}/restock", self.wires.receiver.address()))
            .env("RESTOCK_CLAIM_IDLE_MS", form.claim_idle.as_millis().to_string())
            .env("RESTOCK_WINDOW", form.window.to_string())
            .env("RESTOCK_SEND_TIMEOUT_MS", form.send_timeout.as_millis().to_string())
            // A storm kills more workers at one person than bad luck does.
            .env("RESTOCK_ATTEMPTS_MAX", "1000")
            .env("RESTOCK_RETRY_MAX", "4")
            .env("RESTOCK_RETRY_BUDGET_MS", "8000");
        Role::start(format!("worker-{}", self.crew.number()), command, &self.folder, disk)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.stores.mysql).await.expect("the statement runs");
    }

    /// A connection of somebody who may do all, for locks of their own.
    pub(crate) async fn keeper(&self) -> MySqlConnection {
        self.stores.mysql.acquire().await.expect("MySQL answers").detach()
    }

    /// Sends one command to Redis as it is, and reads what it says.
    pub(crate) async fn redis_command(&self, command: &str) -> std::io::Result<String> {
        let ask = async {
            let mut stream = TcpStream::connect(local(self.servers.redis.port())).await?;
            stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).await?;
            Ok(String::from_utf8_lossy(&reply).into_owned())
        };
        timeout(LOOK_MAX, ask).await.unwrap_or_else(|late| Err(late.into()))
    }

    /// The products whose lanes a process holds.
    pub(crate) async fn held_by(&self, pid: i32) -> Lanes {
        let mut held = BTreeSet::new();
        for product in self.products() {
            let partition = self.stores.partition_of(ProductId(product));
            let lanes = [lane(product)];
            let look = self.stores.redis.read_lanes(partition, &lanes);
            let Ok(Ok(views)) = timeout(LOOK_MAX, look).await else { return Lanes::All };
            let owner = views.into_iter().flatten().find_map(|view| view.owner);
            if owner.is_some_and(|owner| owner.starts_with(&format!("{pid}-"))) {
                held.insert(product);
            }
        }
        Lanes::These(held)
    }

    /// How many people of each round stand in MySQL; `None` when it does not answer.
    pub(crate) async fn recorded(&self) -> Option<BTreeMap<(i64, u32), usize>> {
        let look = sqlx::query_as(
            "SELECT product_id, restock_round, CAST(sent_count AS SIGNED) FROM product_notification_history h
             WHERE restock_round + 2 > (SELECT MAX(restock_round) FROM product_notification_history n
               WHERE n.product_id = h.product_id AND n.started_at IS NOT NULL)",
        )
        .fetch_all(&self.stores.mysql);
        let rows: Vec<(i64, u32, i64)> = timeout(LOOK_MAX, look).await.ok()?.ok()?;
        let row = |(product, round, sent): (i64, u32, i64)| ((product, round), usize::try_from(sent).unwrap_or(0));
        Some(rows.into_iter().map(row).collect())
    }

    /// Who is told by now and was not in MySQL when it had this: people by product.
    pub(crate) fn unrecorded(&self, recorded: Option<BTreeMap<(i64, u32), usize>>) -> BTreeMap<i64, usize> {
        let Some(recorded) = recorded else {
            return self.products().map(|product| (product, usize::MAX / 4)).collect();
        };
        let mut missing = BTreeMap::new();
        for ((product, round), told) in self.moods.accepted() {
            let rounds = recorded.range((product, 0)..=(product, u32::MAX));
            let first = rounds.map(|((_, round), _)| *round).next().unwrap_or(0);
            if round >= first {
                let known = recorded.get(&(product, round)).copied().unwrap_or(0);
                *missing.entry(product).or_default() += told.saturating_sub(known);
            }
        }
        missing
    }
}
