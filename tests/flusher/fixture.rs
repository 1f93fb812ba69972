//! A deployment of its own for each test: a fresh database, a fresh namespace, one partition, one channel.

use std::time::{Duration, Instant};

use restock::{
    config::Backends,
    ids::{Channel, LaneId, Partition, Place, ProductId, Round, UserId},
    local::{Servers, fresh_database_name, fresh_namespace},
    meter::Vitals,
    mysql::{self, product, product::NewProduct, schema, setting::Settings, subscription},
    outcome::{Outcome, Settled},
    redis::{
        Patience, Redis,
        jobs::{Entry, Jobs},
        lane::LaneView,
        scripts::{
            Advance, Advanced, Begin, BeginReply, Begun, Enqueue, Enqueued, FirstLook, Places, Renew, Settlement,
            random_hex,
        },
    },
    stores::{Checked, SettingsWatch, Stores},
    sync::{self, BACKLOG_MAX, Flushed, Flusher, Lead},
};
use sqlx::{AssertSqlSafe, MySqlPool};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::support::servers::servers;

const DEADLINE: Duration = Duration::from_secs(20);
/// How many people one call settles in [`Shop::all_told`].
pub(crate) const CALL: usize = 3_000;
pub(crate) const PARTITION: Partition = Partition(0);

pub(crate) struct Shop {
    pub(crate) stores: Stores,
    pub(crate) redis_url: String,
    pub(crate) mysql_url: String,
}

pub(crate) fn webhook() -> Channel {
    "webhook".parse().expect("a channel")
}

pub(crate) fn lane(product: i64) -> LaneId {
    LaneId { product: ProductId(product), channel: webhook() }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_on(&servers().await.redis).await
    }

    /// On servers of its own, which it may stop.
    pub(crate) async fn open_on_own(own: &Servers) -> Self {
        Self::open_at(&own.redis.url(), own.mysql.url(&fresh_database_name())).await
    }

    pub(crate) async fn open_on(redis_url: &str) -> Self {
        Self::open_at(redis_url, servers().await.database(&fresh_database_name())).await
    }

    async fn open_at(redis_url: &str, mysql_url: String) -> Self {
        let url = mysql_url.clone().into();
        schema::create_database(&url).await.expect("the store answers");
        let pool = mysql::connect(&url, 20).await.expect("the store answers");
        schema::migrate(&pool).await.expect("the store answers");
        let namespace = fresh_namespace();
        let settings = Settings::first(namespace, 1, vec![webhook()], 500);
        settings.store_first(&pool).await.expect("the store answers");
        let redis_url = redis_url.to_owned();
        let redis = Redis::connect(&redis_url.clone().into(), &settings.namespace, Patience::Short)
            .await
            .expect("the store answers");
        Self { stores: Stores { redis, mysql: pool, settings }, redis_url, mysql_url }
    }

    /// Runs the flusher until the stop.
    pub(crate) async fn run(&self, stop: CancellationToken) -> JoinHandle<()> {
        let backends = Backends {
            redis_url: self.redis_url.clone().into(),
            mysql_url: self.mysql_url.clone().into(),
            namespace: self.stores.settings.namespace.clone(),
        };
        let stores =
            Stores::wait_for(&backends, 20, &stop).await.expect("the store answers").expect("the store answers");
        let watch = SettingsWatch::start(stores.mysql.clone(), stores.settings.clone());
        let settings = watch.settings();
        let (flush_interval, drain) = (Duration::from_millis(20), Duration::from_secs(20));
        tokio::spawn(async move {
            let _watch = watch;
            sync::run(Flusher { stores, flush_interval, drain, settings, vitals: Vitals::default() }, stop).await;
        })
    }

    pub(crate) fn db(&self) -> &MySqlPool {
        &self.stores.mysql
    }

    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.db()).await.expect("the store answers");
    }

    /// The rows of a query, each as one text: to MariaDB what is put together of counts is binary, or not, by its version.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(self.db()).await.expect("the store answers");
        rows.into_iter().map(|row| String::from_utf8(row).expect("text")).collect()
    }

    /// Everything that a flusher writes.
    pub(crate) async fn dump(&self) -> Vec<String> {
        let mut all = Vec::new();
        for sql in [
            "SELECT CONCAT_WS(' ', id, stock, restock_round, epoch, version, updated_at) FROM product ORDER BY id",
            "SELECT CONCAT_WS(' ', product_id, restock_round, channel, status, IFNULL(from_place, '-'),
               IFNULL(cursor_place, '-'), IFNULL(upto_place, '-'), ahead, IFNULL(last_user_id, '-'), sent_count,
               failed_count, epoch, version, IFNULL(ended_at, '-'), IFNULL(reason, '-'))
             FROM product_notification_history ORDER BY product_id, restock_round, channel",
            "SELECT CONCAT_WS(' ', product_id, restock_round, place, user_id, outcome, sent_at)
             FROM product_user_notification_history ORDER BY product_id, restock_round, channel, place",
            "SELECT CONCAT_WS(' ', id, state, IFNULL(restock_round, '-'), IFNULL(reason, '-'))
             FROM restock_request ORDER BY id",
        ] {
            all.extend(self.rows(sql).await);
        }
        all
    }

    /// Sends one command to the Redis server as it is.
    pub(crate) async fn redis_command(&self, command: &str) -> String {
        let address = self.redis_url.trim_start_matches("redis://");
        let mut stream = TcpStream::connect(address).await.expect("the store answers");
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.expect("the store answers");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("the store answers");
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        reply
    }

    pub(crate) fn log_key(&self) -> String {
        self.stores.redis.keys().log(PARTITION)
    }

    /// A product with these people in line.
    pub(crate) async fn product(&self, id: i64, stock: i64, users: &[i64]) {
        let new = NewProduct { id: ProductId(id), sku: None, name: format!("product {id}"), stock };
        product::add(self.db(), &new).await.expect("the store answers");
        let users: Vec<UserId> = users.iter().copied().map(UserId).collect();
        subscription::subscribe(self.db(), ProductId(id), &users).await.expect("the store answers");
    }

    /// With a product of which all of a large line have been told, and MySQL does not know yet.
    pub(crate) async fn all_told(product: i64, people: i64) -> Self {
        let shop = Self::open().await;
        let users: Vec<i64> = (1..=people).collect();
        shop.product(product, 0, &users).await;
        assert_eq!(shop.restock(product).await, Round(1));
        let mut begun = shop.take().await;
        // What was logged before the first people.
        assert!(flush(&mut shop.lead().await).await);
        let line = shop.line(product).await;
        let calls: Vec<_> = line.chunks(CALL).collect();
        for (at, people) in calls.iter().enumerate() {
            let is_last = at + 1 == calls.len();
            let expected = if is_last { Advanced::Completed } else { Advanced::Go };
            assert_eq!(advance(&mut begun, settled(people, Outcome::Sent), is_last).await, expected);
        }
        shop
    }

    pub(crate) async fn enqueue(&self, product: i64, quantity: u32) -> Enqueued {
        let enqueue = Enqueue {
            partition: PARTITION,
            product: ProductId(product),
            quantity,
            key: None,
            request: None,
            backlog_max: BACKLOG_MAX,
            channels: &self.stores.settings.channels,
        };
        match self.stores.redis.enqueue(&enqueue).await.expect("the store answers") {
            Enqueued::Unchecked => {
                assert!(matches!(
                    self.stores.check(ProductId(product)).await.expect("the store answers"),
                    Checked::Done(_)
                ));
                self.stores.redis.enqueue(&enqueue).await.expect("the store answers")
            }
            done => done,
        }
    }

    pub(crate) async fn restock(&self, product: i64) -> Round {
        match self.enqueue(product, 1).await {
            Enqueued::Queued(round) => round,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn line(&self, product: i64) -> Vec<(Place, UserId)> {
        let rows: Vec<(chrono::NaiveDateTime, i64)> = sqlx::query_as(
            "SELECT created_at, user_id FROM product_user_notification WHERE product_id = ? ORDER BY created_at",
        )
        .bind(product)
        .fetch_all(self.db())
        .await
        .expect("the store answers");
        rows.into_iter().map(|(at, user)| (Place::from_datetime(at), UserId(user))).collect()
    }

    async fn entries(&self, count: u64) -> Vec<Entry> {
        let jobs = Jobs::new(self.stores.redis.clone(), PARTITION, webhook(), "tester".to_owned());
        jobs.ensure_groups().await.expect("the store answers");
        jobs.take(Places::any(count)).await.expect("the store answers")
    }

    /// The next entry of the fresh stream.
    pub(crate) async fn next_entry(&self) -> Entry {
        self.entries(1).await.pop().expect("an entry")
    }

    pub(crate) async fn begin(&self, entry: &Entry) -> BeginReply {
        let people = self.line(entry.lane.product.0).await;
        let mut look = FirstLook { newest: people.last().map(|(place, _)| *place), ..FirstLook::default() };
        for _ in 0..3 {
            let begin = Begin {
                entry,
                token: &random_hex(),
                consumer: "tester",
                claim_idle_ms: 60_000,
                attempts_max: 5,
                look,
                backlog_max: 100_000,
            };
            match self.stores.redis.begin(&begin).await.expect("the store answers") {
                BeginReply::Look { from, .. } => {
                    let nobody = !people.iter().any(|(place, _)| *place > from);
                    look = FirstLook { after: Some(from), nobody, ..look };
                }
                BeginReply::Unchecked => drop(self.stores.check(entry.lane.product).await.expect("the store answers")),
                done => return done,
            }
        }
        panic!("begin does not come to an end")
    }

    /// Takes the lane whose entry is next.
    pub(crate) async fn take(&self) -> Box<Begun> {
        self.hold(self.next_entry().await).await
    }

    /// Takes the lane of this product, wherever its entry is.
    pub(crate) async fn take_of(&self, product: i64) -> Box<Begun> {
        let entries = self.entries(100).await;
        self.hold(entries.into_iter().find(|entry| entry.lane == lane(product)).expect("an entry of it")).await
    }

    async fn hold(&self, entry: Entry) -> Box<Begun> {
        match self.begin(&entry).await {
            BeginReply::Go(begun) => begun,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn view(&self, product: i64) -> Option<LaneView> {
        self.stores.redis.read_lanes(PARTITION, &[lane(product)]).await.expect("the store answers").remove(0)
    }

    pub(crate) async fn lead(&self) -> Lead {
        let start = Instant::now();
        loop {
            // A leader that has just gone frees its lock when the server notices.
            if let Some(lead) = Lead::elect(&self.stores, PARTITION, BACKLOG_MAX).await.expect("the store answers") {
                return lead;
            }
            assert!(start.elapsed() < DEADLINE, "nobody gets the lead");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a query of one text gives this.
    pub(crate) async fn wait_for(&self, sql: &str, expected: &str) {
        let start = Instant::now();
        loop {
            let rows = self.rows(sql).await;
            if rows.first().map(String::as_str) == Some(expected) {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "{sql}\n  gives {rows:?} instead of {expected}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// These people of a line as settled.
pub(crate) fn settled(people: &[(Place, UserId)], outcome: Outcome) -> Vec<Settled> {
    people
        .iter()
        .map(|(place, user)| Settled { place: *place, user: *user, outcome, at_us: place.0 + 1, tries: 1 })
        .collect()
}

/// Settles people up to the last of them.
pub(crate) async fn advance(begun: &mut Begun, people: Vec<Settled>, exhausted: bool) -> Advanced {
    let last = people.last().copied();
    let settlement = Settlement {
        cursor: last.map_or(begun.hold.cursor(), |person| Some(person.place)),
        last_user: last.map(|person| person.user),
        people,
        ..Settlement::default()
    };
    let advance = Advance { settlement, outstanding: 0, exhausted, claim_idle_ms: 60_000, backlog_max: BACKLOG_MAX };
    begun.hold.advance(&advance).call().await.expect("the store answers")
}

/// Says that the lane is still held, as a worker does that has nothing to settle yet.
pub(crate) async fn keep(begun: &mut Begun) {
    let renew = Renew { claim_idle_ms: 60_000, consumer: "tester", tries: 0, tried_us: None };
    assert!(begun.hold.renew(&renew).call().await.expect("the store answers"), "the lane is ours");
}

/// Flushes until nothing is left; false when another flusher leads.
pub(crate) async fn flush(lead: &mut Lead) -> bool {
    let start = Instant::now();
    loop {
        match lead.flush().await.expect("the store answers") {
            Flushed::Idle => return true,
            Flushed::Applied { .. } => {}
            Flushed::Deposed => return false,
        }
        assert!(start.elapsed() < DEADLINE, "the log does not come to an end");
    }
}
