//! A shop on whatever Redis it is given: its processes, its commands, a receiver; fresh for each test.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use restock::{
    demo::receiver::{Reaction, Receiver},
    ids::{Channel, LaneId, Namespace, ProductId, Round, UserId},
    local::fresh_database_name,
    mysql::{self, history, schema, setting::Settings},
    redis::keys::Keys,
    round::Status,
};
use sqlx::{AssertSqlSafe, MySqlPool};
use tokio::process::{Child, Command};

use super::support::servers::servers;

const DEADLINE: Duration = Duration::from_secs(50);
/// So many that each master of a cluster can have some.
pub(crate) const PARTITIONS: u16 = 6;
const WINDOW: usize = 64;
const FIRST: Round = Round(1);

/// Waits for a state, with a deadline.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, reached: impl FnMut() -> F) {
    until_within(DEADLINE, what, reached).await;
}

/// The same for what takes its time.
pub(crate) async fn until_within<F: Future<Output = bool>>(most: Duration, what: &str, mut reached: impl FnMut() -> F) {
    let start = Instant::now();
    while !reached().await {
        assert!(start.elapsed() < most, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) struct Shop {
    pub(crate) receiver: Receiver,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    pub(crate) mysql: MySqlPool,
    redis_url: String,
    mysql_url: String,
}

/// How far a round had come at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// People whose attempts had started.
    pub(crate) started: usize,
    /// Of these, those whom MySQL had.
    pub(crate) recorded: usize,
}

impl Standing {
    /// The most who may be told twice when Redis is lost now: whom MySQL does not have yet, and a window under way.
    pub(crate) fn in_doubt(self) -> usize {
        self.started - self.recorded + WINDOW
    }
}

impl Shop {
    pub(crate) async fn open(redis_url: String, namespace: Namespace, rate: u32) -> Self {
        let mysql_url = servers().await.database(&fresh_database_name());
        let url = mysql_url.clone().into();
        schema::create_database(&url).await.expect("MySQL answers");
        let mysql = mysql::connect(&url, 10).await.expect("MySQL answers");
        schema::migrate(&mysql).await.expect("the schema is made");
        let webhook: Channel = "webhook".parse().expect("a channel");
        let settings = Settings::first(namespace.clone(), PARTITIONS, vec![webhook], rate);
        settings.store_first(&mysql).await.expect("settings are stored");
        let receiver = Receiver::start(|_| Reaction::accept()).await.expect("the receiver starts");
        Self { receiver, keys: Keys::new(namespace), settings, mysql, redis_url, mysql_url }
    }

    fn role(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("RESTOCK_REDIS_URL", &self.redis_url)
            .env("RESTOCK_MYSQL_URL", &self.mysql_url)
            .env("RESTOCK_NAMESPACE", self.settings.namespace.as_str())
            .env("RESTOCK_WEBHOOK_URL", self.receiver.url())
            .env("RESTOCK_FLUSH_INTERVAL_MS", "100")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn flusher(&self) -> Child {
        self.role(env!("CARGO_BIN_EXE_restock-flusher")).spawn().expect("the flusher starts")
    }

    pub(crate) fn worker(&self) -> Child {
        let mut role = self.role(env!("CARGO_BIN_EXE_restock-worker"));
        role.args(["--claim-idle-ms", "2000", "--window", &WINDOW.to_string()]).spawn().expect("the worker starts")
    }

    /// What a command of the shell says.
    pub(crate) async fn command(&self, args: &[&str]) -> Output {
        let mut command = self.role(env!("CARGO_BIN_EXE_restock-cli"));
        command.args(args).output().await.expect("the command runs")
    }

    /// The same, when all goes well.
    pub(crate) async fn done(&self, args: &[&str]) -> String {
        let output = self.command(args).await;
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {}\n{out}\n{error}", output.status);
        out.into_owned()
    }

    /// The commands that look at everything find nothing wrong.
    pub(crate) async fn commands_work(&self) {
        for command in [["status", "--output=json"], ["pending", "--output=json"], ["rate", "--output=json"]] {
            self.done(&command).await;
        }
        self.done(&["stock", "set", "42", "3"]).await;
        self.verified().await;
    }

    /// The two stores come to say the same.
    pub(crate) async fn verified(&self) {
        until("nothing is left to be found", || async { self.command(&["verify"]).await.status.success() }).await;
    }

    /// A product with users 1 to `people` in line, in this order.
    pub(crate) async fn product(&self, id: i64, people: i64) {
        let rows: Vec<String> =
            (1..=people).map(|n| format!("({id}, '2024-01-01' + INTERVAL {n} MICROSECOND, {n})")).collect();
        let (product, rows) = (format!("({id}, 'product {id}', 100)"), rows.join(","));
        for sql in [
            format!("INSERT INTO product (id, name, stock) VALUES {product}"),
            format!("INSERT INTO product_user_notification (product_id, created_at, user_id) VALUES {rows}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.mysql).await.expect("the statement runs");
        }
    }

    fn lane(product: i64) -> LaneId {
        LaneId { product: ProductId(product), channel: "webhook".parse().expect("a channel") }
    }

    /// When the attempts of each person started, µs since the epoch, in order.
    fn starts(&self, product: i64) -> BTreeMap<i64, Vec<i64>> {
        let recording = self.receiver.recording();
        let mut people: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for delivery in recording.deliveries() {
            if delivery.key.lane == Self::lane(product) {
                assert_eq!(delivery.key.round, FIRST, "product {product} had one restock");
                people.entry(delivery.key.user.0).or_default().push(delivery.started_us);
            }
        }
        people.values_mut().for_each(|starts| starts.sort_unstable());
        people
    }

    pub(crate) async fn standing(&self, product: i64) -> Standing {
        // Whom MySQL has was started before: so this never is more.
        let recorded = self.recorded(product).await.len();
        Standing { started: self.starts(product).len(), recorded }
    }

    /// When somebody was first told after `at_us`.
    pub(crate) fn first_start_after(&self, product: i64, at_us: i64) -> Option<i64> {
        self.starts(product).values().map(|starts| starts[0]).filter(|start| *start > at_us).min()
    }

    async fn recorded(&self, product: i64) -> BTreeSet<i64> {
        let users: Vec<i64> = sqlx::query_scalar(
            "SELECT user_id FROM product_user_notification_history
             WHERE product_id = ? AND restock_round = 1 AND outcome = 'SENT'",
        )
        .bind(product)
        .fetch_all(&self.mysql)
        .await
        .expect("MySQL answers");
        users.into_iter().collect()
    }

    pub(crate) async fn completed(&self, product: i64) {
        let ended = || async {
            let row = history::round_of(&self.mysql, &Self::lane(product), FIRST).await.ok().flatten()?;
            (!row.state.status.is_open()).then_some(row.state)
        };
        until(&format!("the round of product {product} has ended in MySQL"), || async { ended().await.is_some() })
            .await;
        let state = ended().await.expect("it has ended");
        assert_eq!(state.status, Status::Completed, "{state:?}");
    }

    /// That users 1 to `people` were told, by the receiver as by MySQL, first in line order; returns how many were told
    /// more than once.
    pub(crate) async fn told(&self, product: i64, people: i64) -> usize {
        let expected: BTreeSet<i64> = (1..=people).collect();
        let starts = self.starts(product);
        let wrong: Vec<_> = expected.difference(&starts.keys().copied().collect()).copied().collect();
        assert!(wrong.is_empty(), "product {product}: users {wrong:?} were not told");
        let recorded = self.recorded(product).await;
        let wrong: Vec<_> = expected.symmetric_difference(&recorded).collect();
        assert!(wrong.is_empty(), "product {product}: MySQL differs at users {wrong:?}");
        assert_eq!(starts.len(), expected.len(), "product {product}: somebody was told who was not in line");
        let firsts: Vec<(UserId, i64)> = starts.iter().map(|(user, starts)| (UserId(*user), starts[0])).collect();
        for pair in firsts.windows(2) {
            assert!(pair[0].1 <= pair[1].1, "product {product}: {:?} started before {:?}", pair[1], pair[0]);
        }
        starts.values().filter(|starts| starts.len() > 1).count()
    }
}
