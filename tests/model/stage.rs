//! The real side: a Redis of its own, a database of its own, and one product after the other.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use restock::{
    ids::{Channel, LaneId, Partition, Place, ProductId, UserId},
    local::{LocalRedis, fresh_database_name, fresh_namespace},
    mysql::{self, product, product::NewProduct, schema, setting::Settings},
    redis::{Patience, Redis},
    stores::Stores,
    sync::{BACKLOG_MAX, Flushed, Lead},
};
use sqlx::{AssertSqlSafe, MySqlPool};

use super::support::servers::servers;

pub(crate) const P0: Partition = Partition(0);
/// The place before the first in line; 16 digits, as real ones.
const BASE: i64 = 1_700_000_000_123_456;
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn webhook() -> Channel {
    "webhook".parse().expect("a channel")
}

/// The n-th in line, as Redis and MySQL know them; nobody for 0.
pub(crate) fn place(n: u8) -> Option<Place> {
    (n > 0).then_some(Place(BASE + i64::from(n)))
}

/// The number in line of a place; 0 for none.
pub(crate) fn number_of(place: Option<Place>) -> u8 {
    place.map_or(0, |place| u8::try_from(place.0 - BASE).expect("one of our places"))
}

pub(crate) fn user(n: u8) -> UserId {
    UserId(i64::from(n))
}

/// The model counts in small numbers.
pub(crate) fn small(number: u64) -> u8 {
    u8::try_from(number).expect("a small number")
}

/// What Redis answers to a plain command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Text(String),
    Number(i64),
    List(Vec<Raw>),
    None,
}

impl Raw {
    pub(crate) fn list(&self) -> &[Raw] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub(crate) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    pub(crate) fn number(&self) -> i64 {
        if let Self::Number(number) = self { *number } else { 0 }
    }

    pub(crate) fn hash(&self) -> HashMap<&str, &str> {
        self.list().chunks(2).map(|pair| (pair[0].text(), pair[1].text())).collect()
    }
}

pub(crate) struct Stage {
    _server: LocalRedis,
    raw: BufReader<TcpStream>,
    pub(crate) stores: Stores,
    lead: Option<Lead>,
    pub(crate) product: ProductId,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let server = LocalRedis::start().await.expect("a private Redis starts");
        let address = server.url().trim_start_matches("redis://").to_owned();
        let raw = BufReader::new(TcpStream::connect(address).expect("Redis answers"));
        raw.get_ref().set_nodelay(true).expect("a socket");
        let url = servers().await.database(&fresh_database_name()).into();
        schema::create_database(&url).await.expect("MySQL answers");
        let mysql = mysql::connect(&url, 8).await.expect("MySQL answers");
        schema::migrate(&mysql).await.expect("MySQL answers");
        let settings = Settings::first(fresh_namespace(), 1, vec![webhook()], 500);
        settings.store_first(&mysql).await.expect("MySQL answers");
        let redis = Redis::connect(&server.url().into(), &settings.namespace, Patience::Short).await;
        let stores = Stores { redis: redis.expect("Redis answers"), mysql, settings };
        Self { _server: server, raw, stores, lead: None, product: ProductId(0) }
    }

    /// Another product, in a Redis that knows it and nothing else.
    pub(crate) async fn next_product(&mut self) {
        self.product = ProductId(self.product.0 + 1);
        self.commands(&["FLUSHALL".to_owned()]);
        let new = NewProduct { id: self.product, sku: None, name: "something".to_owned(), stock: 0 };
        product::add(self.db(), &new).await.expect("MySQL answers");
        let info = self.commands(&["INFO server".to_owned(), "INFO replication".to_owned()]);
        let says = |at: usize, name: &str| {
            let line = info[at].text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.expect("INFO says it").trim_end().to_owned()
        };
        let run = format!("{}-{}", says(0, "run_id"), says(1, "master_replid"));
        let key = self.stores.redis.keys().product(P0, self.product);
        self.commands(&[format!("HSET {key} stock 0 round 0 paused \"\" epoch 0 version 0 run {run}")]);
    }

    pub(crate) fn db(&self) -> &MySqlPool {
        &self.stores.mysql
    }

    pub(crate) fn lane(&self) -> LaneId {
        LaneId { product: self.product, channel: webhook() }
    }

    pub(crate) async fn execute(&self, sql: String) -> u64 {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.db()).await.expect("MySQL answers").last_insert_id()
    }

    /// Brings all of the log to MySQL.
    pub(crate) async fn flush(&mut self) {
        let start = Instant::now();
        while self.lead.is_none() {
            // A leader that has just gone frees its lock when the server notices.
            self.lead = Lead::elect(&self.stores, P0, BACKLOG_MAX).await.expect("MySQL answers");
            assert!(start.elapsed() < DEADLINE, "nobody gets the lead");
        }
        let lead = self.lead.as_mut().expect("just elected");
        loop {
            match lead.flush().await.expect("the stores answer") {
                Flushed::Idle => return,
                Flushed::Applied { .. } => {}
                Flushed::Deposed => panic!("nobody else leads"),
            }
            assert!(start.elapsed() < DEADLINE, "the log does not come to an end");
        }
    }

    /// Gives up the lead.
    pub(crate) fn dismiss(&mut self) {
        self.lead = None;
    }

    fn keys(&self) -> Vec<String> {
        let keys = self.stores.redis.keys();
        let mut all = vec![keys.product(P0, self.product), keys.lane(P0, &self.lane()), keys.log(P0), keys.meta(P0)];
        all.extend([keys.jobs(P0, &webhook()), keys.again(P0, &webhook()), keys.products(P0)]);
        all.extend((0..4).map(|request| keys.seen(P0, self.product, &format!("key-{request}"))));
        all
    }

    /// Whether anything was ever logged in this life of Redis.
    pub(crate) fn has_log(&mut self) -> bool {
        let log = self.stores.redis.keys().log(P0);
        self.commands(&[format!("EXISTS {log}")])[0].number() == 1
    }

    pub(crate) fn lose(&mut self) {
        self.commands(&["FLUSHDB".to_owned()]);
    }

    /// Copies what Redis holds into another database, as if that were its disk.
    pub(crate) fn save(&mut self) {
        let copies = self.keys().into_iter().map(|key| format!("COPY {key} {key} DB 1 REPLACE"));
        self.commands(&copies.collect::<Vec<_>>());
    }

    /// Puts the copy in place, as a restart does: the product was checked under another run. Whoever leads notices a
    /// restart within a second; another leader at once.
    pub(crate) async fn age(&mut self) {
        self.commands(&["FLUSHDB".to_owned(), "SWAPDB 0 1".to_owned()]);
        let product = self.stores.redis.keys().product(P0, self.product);
        if self.commands(&[format!("EXISTS {product}")])[0].number() == 1 {
            self.commands(&[format!("HSET {product} run another")]);
        }
        if let Some(lead) = self.lead.take() {
            lead.resign().await;
        }
    }

    pub(crate) fn expire_lease(&mut self) {
        let lane = self.stores.redis.keys().lane(P0, &self.lane());
        let held = self.commands(&[format!("HGET {lane} hold")])[0].text().to_owned();
        if let [token, _, rest] = held.splitn(3, ' ').collect::<Vec<_>>()[..] {
            self.commands(&[format!("HSET {lane} hold \"{token} 1 {rest}\"")]);
        }
    }

    /// What Redis answers to these commands, which are sent as they are.
    pub(crate) fn commands(&mut self, commands: &[String]) -> Vec<Raw> {
        let text: String = commands.iter().map(|command| format!("{command}\r\n")).collect();
        self.raw.get_mut().write_all(text.as_bytes()).expect("Redis answers");
        commands.iter().map(|command| self.read(command)).collect()
    }

    fn read(&mut self, command: &str) -> Raw {
        let mut line = String::new();
        self.raw.read_line(&mut line).expect("Redis answers");
        let rest = line[1..].trim_end();
        let count = || rest.parse::<i64>().expect("a number");
        match line.as_bytes()[0] {
            b'+' => Raw::Text(rest.to_owned()),
            b':' => Raw::Number(count()),
            b'$' | b'*' if count() < 0 => Raw::None,
            b'$' => {
                let mut bytes = vec![0; usize::try_from(count()).expect("a length") + 2];
                self.raw.read_exact(&mut bytes).expect("Redis answers");
                bytes.truncate(bytes.len() - 2);
                Raw::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            b'*' => Raw::List((0..count()).map(|_| self.read(command)).collect()),
            _ => panic!("{command}: {line}"),
        }
    }
}
