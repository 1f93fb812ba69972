//! One product on a real Redis, in a namespace of its own, driven through the typed wrappers.

use std::time::{Duration, Instant};

use restock::{
    ids::{Channel, LaneId, Namespace, Partition, Place, ProductId, Round, UserId},
    local::fresh_namespace,
    outcome::{Outcome, Settled},
    redis::{
        Patience, Redis,
        jobs::{Entry, Jobs},
        lane::LaneView,
        scripts::{
            Advance, Advanced, Begin, BeginReply, Begun, Enqueue, Enqueued, FirstLook, Hydrate, Hydrated, LaneRecord,
            Places, Settlement, random_hex,
        },
    },
    round::Stamp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::servers::servers;

pub(crate) const P0: Partition = Partition(0);
pub(crate) const PRODUCT: ProductId = ProductId(42);

pub(crate) fn webhook() -> Channel {
    "webhook".parse().expect("a channel")
}

pub(crate) fn lane() -> LaneId {
    LaneId { product: PRODUCT, channel: webhook() }
}

/// The place of the n-th person; 16 digits, as real ones.
pub(crate) fn place(n: i64) -> Place {
    Place(1_700_000_000_123_456 + n)
}

/// These people as told.
pub(crate) fn told(people: impl IntoIterator<Item = i64>) -> Vec<Settled> {
    let one = |n| Settled { place: place(n), user: UserId(n), outcome: Outcome::Sent, at_us: n, tries: 1 };
    people.into_iter().map(one).collect()
}

/// What is settled up to the last of `people`.
pub(crate) fn up_to(people: Vec<Settled>) -> Settlement {
    let last = people.last().copied();
    Settlement { cursor: last.map(|p| p.place), last_user: last.map(|p| p.user), people, ..Settlement::default() }
}

pub(crate) fn advance_of(settlement: Settlement) -> Advance {
    Advance { settlement, outstanding: 0, exhausted: false, claim_idle_ms: 60_000, backlog_max: 1_000_000 }
}

pub(crate) struct Bench {
    pub(crate) redis: Redis,
    pub(crate) namespace: Namespace,
    url: String,
}

impl Bench {
    pub(crate) async fn open() -> Self {
        let url = servers().await.redis.clone();
        let namespace = fresh_namespace();
        let redis = Redis::connect(&url.clone().into(), &namespace, Patience::Short).await;
        Self { redis: redis.expect("Redis answers"), namespace, url }
    }

    /// With the product installed, with this stock.
    pub(crate) async fn with_stock(stock: i64) -> Self {
        let bench = Self::open().await;
        assert_eq!(bench.hydrate(stock, 1).await, Hydrated::Done(0));
        bench
    }

    /// With a round in progress, up to person 100, held.
    pub(crate) async fn held() -> (Self, Box<Begun>) {
        let bench = Self::with_stock(10).await;
        assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(1)));
        let begun = bench.take(60_000).await;
        (bench, begun)
    }

    pub(crate) async fn hydrate(&self, stock: i64, epoch: u64) -> Hydrated {
        let record = LaneRecord { channel: webhook(), current: None, waiting: None, stamp: Stamp::default() };
        self.hydrate_with(stock, epoch, record).await
    }

    pub(crate) async fn hydrate_with(&self, stock: i64, epoch: u64, record: LaneRecord) -> Hydrated {
        let hydrate = Hydrate {
            partition: P0,
            product: PRODUCT,
            stock,
            round: 0,
            paused: false,
            stamp: Stamp::default(),
            epoch,
            lanes: vec![record],
        };
        self.redis.hydrate(&hydrate).await.expect("Redis answers")
    }

    /// Where Redis listens.
    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("redis://").to_owned()
    }

    /// Sends one command as it is.
    pub(crate) async fn raw(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.expect("Redis answers");
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.expect("Redis answers");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.expect("Redis answers");
        let reply = String::from_utf8_lossy(&reply).into_owned();
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        reply
    }

    pub(crate) async fn set(&self, key: &str, field: &str, value: &str) {
        self.raw(&format!("HSET {key} {field} {value}")).await;
    }

    /// Makes Redis look as if it had been restarted since the product was checked.
    pub(crate) async fn age(&self) {
        self.set(&self.redis.keys().product(P0, PRODUCT), "run", "another").await;
    }

    pub(crate) async fn enqueue(&self, quantity: u32) -> Enqueued {
        self.enqueue_with(quantity, None, 1_000_000).await
    }

    pub(crate) async fn enqueue_with(&self, quantity: u32, key: Option<&str>, backlog_max: u64) -> Enqueued {
        let enqueue = Enqueue {
            partition: P0,
            product: PRODUCT,
            quantity,
            key,
            request: None,
            backlog_max,
            channels: &[webhook()],
        };
        self.redis.enqueue(&enqueue).await.expect("Redis answers")
    }

    pub(crate) fn jobs(&self) -> Jobs {
        Jobs::new(self.redis.clone(), P0, webhook(), "tester".to_owned())
    }

    /// The next entry on either stream.
    pub(crate) async fn entry(&self) -> Entry {
        let jobs = self.jobs();
        jobs.ensure_groups().await.expect("Redis answers");
        jobs.take(Places::any(1)).await.expect("Redis answers").pop().expect("an entry")
    }

    pub(crate) async fn begin(&self, entry: &Entry, claim_idle_ms: u64, look: FirstLook) -> BeginReply {
        let token = random_hex();
        let begin = Begin {
            entry,
            token: &token,
            consumer: "tester",
            claim_idle_ms,
            attempts_max: 1,
            look,
            backlog_max: 100_000,
        };
        self.redis.begin(&begin).await.expect("Redis answers")
    }

    /// Takes the lane whose entry is next.
    pub(crate) async fn take(&self, claim_idle_ms: u64) -> Box<Begun> {
        let entry = self.entry().await;
        self.take_by(&entry, claim_idle_ms).await
    }

    /// Takes the lane by this entry, as soon as nobody else's lease is in the way.
    pub(crate) async fn take_by(&self, entry: &Entry, claim_idle_ms: u64) -> Box<Begun> {
        match self.begin_when_free(entry, claim_idle_ms).await {
            BeginReply::Go(begun) => begun,
            other => panic!("{other:?}"),
        }
    }

    /// Begins as soon as nobody else's lease is in the way.
    pub(crate) async fn begin_when_free(&self, entry: &Entry, claim_idle_ms: u64) -> BeginReply {
        let start = Instant::now();
        let mut look = FirstLook { newest: Some(place(100)), ..FirstLook::default() };
        loop {
            match self.begin(entry, claim_idle_ms, look).await {
                BeginReply::Look { from, .. } => look.after = Some(from),
                BeginReply::Busy(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                done => return done,
            }
            assert!(start.elapsed() < Duration::from_secs(10), "the lease does not run out");
        }
    }

    pub(crate) async fn view(&self) -> LaneView {
        let mut lanes = self.redis.read_lanes(P0, &[lane()]).await.expect("Redis answers");
        lanes.remove(0).expect("the lane is there")
    }

    /// Entries on both streams of the channel.
    pub(crate) async fn entries(&self) -> u64 {
        let keys = self.redis.keys();
        let mut entries = 0;
        for key in [keys.jobs(P0, &webhook()), keys.again(P0, &webhook())] {
            let reply = self.raw(&format!("XLEN {key}")).await;
            entries += reply.lines().next().and_then(|line| line[1..].trim().parse::<u64>().ok()).expect("a number");
        }
        entries
    }
}

pub(crate) async fn advance(begun: &mut Begun, settlement: Settlement) -> Advanced {
    begun.hold.advance(&advance_of(settlement)).call().await.expect("Redis answers")
}
