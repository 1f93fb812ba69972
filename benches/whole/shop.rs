//! A deployment of its own for each run: servers, stores, roles, people in line.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use restock::{
    ids::{Channel, LaneId, ProductId, Round},
    local::{Servers, fresh_database_name, fresh_namespace},
    mysql::{self, schema, setting::Settings},
    producer::Producer,
    redis::{Patience, Redis},
    stores::Stores,
};
use sqlx::{AssertSqlSafe, MySqlPool};
use tokio::process::{Child, Command};

use crate::usage::Watch;

/// Nothing that is measured here takes so long.
const DEADLINE: Duration = Duration::from_secs(600);
/// Rows made by statements of their own before they are doubled.
const FIRST_ROWS: u64 = 1_000;
/// The moment before the first person in line.
const DAWN: &str = "2024-01-01";

/// A deployment.
pub(crate) struct Shop {
    pub(crate) stores: Stores,
    pub(crate) producer: Producer,
    pub(crate) channel: Channel,
    pub(crate) servers: Servers,
    pub(crate) mysql_url: String,
    database: String,
}

/// A role that runs as a process; ends with the value.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) child: Child,
}

impl Role {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }
}

impl Shop {
    /// Fresh servers with the schema, one channel and this rate.
    pub(crate) async fn open(channel: &str, rate: u32) -> anyhow::Result<Self> {
        let servers = Servers::start().await?;
        let database = fresh_database_name();
        let mysql_url = servers.mysql.url(&database);
        let url = mysql_url.clone().into();
        schema::create_database(&url).await?;
        let pool = mysql::connect(&url, 64).await?;
        schema::migrate(&pool).await?;
        let channel: Channel = channel.parse()?;
        let settings = Settings::first(fresh_namespace(), 4, vec![channel.clone()], rate);
        settings.store_first(&pool).await?;
        let redis_url = servers.redis.url().into();
        let redis = Redis::connect(&redis_url, &settings.namespace, Patience::Endless).await?;
        let stores = Stores { redis, mysql: pool, settings };
        Ok(Self { producer: Producer::new(stores.clone()), stores, channel, servers, mysql_url, database })
    }

    pub(crate) fn role(&self, name: &str, program: &str, args: &[&str]) -> anyhow::Result<Role> {
        let child = Command::new(program)
            .args(args)
            .env("RESTOCK_REDIS_URL", self.servers.redis.url())
            .env("RESTOCK_MYSQL_URL", &self.mysql_url)
            .env("RESTOCK_NAMESPACE", self.stores.settings.namespace.as_str())
            .env("RESTOCK_LOG", std::env::var("RESTOCK_LOG").unwrap_or_else(|_| "warn".to_owned()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        Ok(Role { name: name.to_owned(), child })
    }

    pub(crate) fn worker(&self, args: &[&str]) -> anyhow::Result<Role> {
        self.role("worker", env!("CARGO_BIN_EXE_restock-worker"), args)
    }

    pub(crate) fn flusher(&self) -> anyhow::Result<Role> {
        self.role("flusher", env!("CARGO_BIN_EXE_restock-flusher"), &[])
    }

    /// Starts to watch these roles and both servers.
    pub(crate) fn watch(&self, roles: &[&Role]) -> Watch {
        let servers = [("redis", self.servers.redis.pid()), ("mysql", self.servers.mysql.pid())];
        let servers = servers.into_iter().filter_map(|(name, pid)| Some((name.to_owned(), pid?)));
        let roles = roles.iter().map(|role| (role.name.clone(), role.pid()));
        Watch::start(&roles.chain(servers).collect::<Vec<_>>())
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    pub(crate) async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        execute(&self.stores.mysql, sql).await
    }

    pub(crate) async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        let number: Option<i64> =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.stores.mysql).await?;
        Ok(number.unwrap_or(0))
    }

    /// Products `first` to `first + count - 1`, each with stock and this many people in line.
    pub(crate) async fn products(&self, first: i64, count: u64, people: u64) -> anyhow::Result<()> {
        let rows: Vec<String> =
            (0..count.min(FIRST_ROWS)).map(|n| format!("({0}, 'product', 1000000)", first + n.cast_signed())).collect();
        self.execute(&format!("INSERT INTO product (id, name, stock) VALUES {}", rows.join(","))).await?;
        for (had, more) in doublings(count) {
            self.execute(&format!(
                "INSERT INTO product (id, name, stock) SELECT id + {had}, name, stock FROM product
                 WHERE id >= {first} ORDER BY id LIMIT {more}"
            ))
            .await?;
        }
        let line = people.min(FIRST_ROWS);
        if count > 1 || people == 1 {
            ensure!(people == line, "many products with more than {FIRST_ROWS} people each are not needed");
            let users: Vec<String> = (1..=line).map(|n| format!("SELECT {n} AS n")).collect();
            return self
                .execute(&format!(
                    "INSERT INTO product_user_notification (product_id, created_at, user_id)
                     SELECT p.id, '{DAWN}' + INTERVAL u.n MICROSECOND, u.n FROM product p JOIN ({}) u
                     WHERE p.id >= {first} AND p.id < {first} + {count} ORDER BY p.id, u.n",
                    users.join(" UNION ALL ")
                ))
                .await;
        }
        let row = |n: u64| format!("({first}, '{DAWN}' + INTERVAL {n} MICROSECOND, {n})");
        let rows: Vec<String> = (1..=line).map(row).collect();
        self.execute(&format!(
            "INSERT INTO product_user_notification (product_id, created_at, user_id) VALUES {}",
            rows.join(",")
        ))
        .await?;
        for (had, more) in doublings(people) {
            self.execute(&format!(
                "INSERT INTO product_user_notification (product_id, created_at, user_id)
                 SELECT product_id, created_at + INTERVAL {had} MICROSECOND, user_id + {had}
                 FROM product_user_notification WHERE product_id = {first} ORDER BY created_at LIMIT {more}"
            ))
            .await?;
        }
        Ok(())
    }

    pub(crate) fn lane(&self, product: i64) -> LaneId {
        LaneId { product: ProductId(product), channel: self.channel.clone() }
    }

    /// Announces a restock past the outbox.
    pub(crate) async fn enqueue(&self, product: i64) -> anyhow::Result<Round> {
        let accepted = self.producer.enqueue_direct(ProductId(product), 1, None).await?;
        accepted.round.context("Redis answered without a round")
    }

    /// Waits until MySQL has the end of a round; the moment at which it was seen.
    pub(crate) async fn completed(&self, product: i64, round: Round) -> anyhow::Result<Instant> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status: Option<String> = sqlx::query_scalar(
                "SELECT CAST(status AS CHAR) FROM product_notification_history WHERE product_id = ? AND restock_round = ?",
            )
            .bind(product)
            .bind(round.0)
            .fetch_optional(&self.stores.mysql)
            .await?;
            match status.as_deref() {
                Some("COMPLETED") => return Ok(Instant::now()),
                None | Some("QUEUED" | "IN_PROGRESS") => {}
                Some(other) => bail!("round {round} of product {product} ended as {other}"),
            }
            ensure!(Instant::now() < deadline, "round {round} of product {product} does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// How `FIRST_ROWS` become `count` by copying: pairs of rows there and rows to add.
fn doublings(count: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut had = FIRST_ROWS.min(count);
    std::iter::from_fn(move || {
        let more = had.min(count - had);
        let step = (had, more);
        had += more;
        (more > 0).then_some(step)
    })
}

pub(crate) async fn execute(pool: &MySqlPool, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await?;
    Ok(())
}
