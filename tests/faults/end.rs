//! The end of a run, whole: what the receiver saw, what MySQL and Redis hold, what was done.

use std::collections::BTreeMap;

use restock::{
    demo::receiver::Recording,
    ids::{Place, ProductId, Round},
    mysql::history,
    outcome::Outcome,
    redis::{
        inspect::{ProductView, job_streams},
        lane::LaneView,
    },
    round::{RoundState, Stamp},
    verify::{Kind as Finding, Patience, Scope, Verifier},
};
use serde::Serialize;

use super::{
    failed::{self, Failed},
    ledger::{Act, Promise, Sale, Struck},
    moods::Moods,
    stage::{Stage, lane, webhook},
    watch::Seen,
};

/// A request that the receiver got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Attempt {
    pub(crate) product: i64,
    pub(crate) round: u32,
    pub(crate) user: i64,
    pub(crate) started_us: i64,
    /// Whether the person is told.
    pub(crate) is_accepted: bool,
    /// Whether the answer came too late for whoever asked.
    pub(crate) is_unanswered: bool,
}

/// Somebody in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InLine {
    pub(crate) place: Place,
    pub(crate) user: i64,
}

/// What MySQL says became of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) place: Place,
    pub(crate) user: i64,
    pub(crate) outcome: Outcome,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: i64,
    pub(crate) product: i64,
    pub(crate) state: String,
    pub(crate) round: Option<u32>,
}

/// A product in MySQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) stock: i64,
    pub(crate) round: u32,
    pub(crate) stamp: Stamp,
}

/// What Redis holds when everything is at rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct InRedis {
    pub(crate) products: BTreeMap<i64, ProductView>,
    pub(crate) lanes: BTreeMap<i64, LaneView>,
    /// Streams of jobs and logs, with their entries and what is pending.
    pub(crate) streams: Vec<(String, u64, u64)>,
}

/// The bounds of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) rate: usize,
    pub(crate) window: usize,
}

/// Everything that the checkers look at.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) bounds: Bounds,
    /// By product, in line order.
    pub(crate) lines: BTreeMap<i64, Vec<InLine>>,
    /// By their start.
    pub(crate) attempts: Vec<Attempt>,
    /// By the logs of the workers.
    pub(crate) failed: Vec<Failed>,
    /// By product and number.
    pub(crate) rounds: BTreeMap<(i64, u32), RoundState>,
    /// By product and round, in line order.
    pub(crate) outcomes: BTreeMap<(i64, u32), Vec<Told>>,
    pub(crate) requests: Vec<Request>,
    pub(crate) stored: BTreeMap<i64, Stored>,
    pub(crate) redis: InRedis,
    pub(crate) sightings: Vec<super::watch::Sighting>,
    pub(crate) log_max: u64,
    pub(crate) worker_peak_kib: u64,
    pub(crate) struck: Vec<Struck>,
    pub(crate) sales: Vec<Sale>,
    pub(crate) acts: Vec<Act>,
    pub(crate) promises: Vec<Promise>,
    /// Rows that MySQL refused, but for the entries that were poisoned.
    pub(crate) refused: Vec<String>,
    /// What `verify` says of the stores.
    pub(crate) findings: Vec<String>,
    /// What must not have happened during the run.
    pub(crate) complaints: Vec<String>,
}

/// Reads the end of a run that has come to rest.
pub(crate) async fn gather(stage: &Stage, seen: Seen) -> End {
    let ledger = &stage.ledger;
    End {
        bounds: Bounds { rate: stage.form.rate as usize, window: stage.form.window as usize },
        lines: lines(stage).await,
        attempts: attempts(&stage.receiver.recording(), &stage.moods),
        failed: failed::read(&stage.folder),
        rounds: rounds(stage).await,
        outcomes: outcomes(stage).await,
        requests: requests(stage).await,
        stored: stored(stage).await,
        redis: in_redis(stage).await,
        sightings: seen.sightings,
        log_max: seen.log_max,
        worker_peak_kib: stage.crew.peak_kib(),
        struck: ledger.struck(),
        sales: ledger.sales(),
        acts: ledger.acts(),
        promises: ledger.promises(),
        refused: refused(stage).await,
        findings: findings(stage).await,
        complaints: ledger.complaints(),
    }
}

fn attempts(recording: &Recording, moods: &Moods) -> Vec<Attempt> {
    let attempt = |delivery: &restock::demo::receiver::Delivery| Attempt {
        product: delivery.key.lane.product.0,
        round: delivery.key.round.0,
        user: delivery.key.user.0,
        started_us: delivery.started_us,
        is_accepted: delivery.is_accepted(),
        is_unanswered: moods.is_late(delivery),
    };
    let mut attempts: Vec<Attempt> = recording.deliveries().iter().map(attempt).collect();
    attempts.sort_by_key(|attempt| attempt.started_us);
    attempts
}

async fn lines(stage: &Stage) -> BTreeMap<i64, Vec<InLine>> {
    let rows: Vec<(i64, chrono::NaiveDateTime, i64)> = sqlx::query_as(
        "SELECT product_id, created_at, user_id FROM product_user_notification WHERE is_active
         ORDER BY product_id, created_at",
    )
    .fetch_all(&stage.stores.mysql)
    .await
    .expect("MySQL answers");
    let mut lines: BTreeMap<i64, Vec<InLine>> = BTreeMap::new();
    for (product, at, user) in rows {
        lines.entry(product).or_default().push(InLine { place: Place::from_datetime(at), user });
    }
    lines
}

async fn rounds(stage: &Stage) -> BTreeMap<(i64, u32), RoundState> {
    let numbers: Vec<(i64, u32)> = sqlx::query_as("SELECT product_id, restock_round FROM product_notification_history")
        .fetch_all(&stage.stores.mysql)
        .await
        .expect("MySQL answers");
    let mut rounds = BTreeMap::new();
    for (product, round) in numbers {
        let row = history::round_of(&stage.stores.mysql, &lane(product), Round(round)).await.expect("MySQL answers");
        rounds.extend(row.map(|row| ((product, round), row.state)));
    }
    rounds
}

async fn outcomes(stage: &Stage) -> BTreeMap<(i64, u32), Vec<Told>> {
    let rows: Vec<(i64, u32, chrono::NaiveDateTime, i64, String)> = sqlx::query_as(
        "SELECT product_id, restock_round, place, user_id, CAST(outcome AS CHAR)
         FROM product_user_notification_history ORDER BY product_id, restock_round, place",
    )
    .fetch_all(&stage.stores.mysql)
    .await
    .expect("MySQL answers");
    let mut outcomes: BTreeMap<(i64, u32), Vec<Told>> = BTreeMap::new();
    for (product, round, at, user, outcome) in rows {
        let outcome = outcome.parse().expect("an outcome");
        outcomes.entry((product, round)).or_default().push(Told { place: Place::from_datetime(at), user, outcome });
    }
    outcomes
}

async fn requests(stage: &Stage) -> Vec<Request> {
    let rows: Vec<(i64, i64, String, Option<u32>)> =
        sqlx::query_as("SELECT id, product_id, CAST(state AS CHAR), restock_round FROM restock_request ORDER BY id")
            .fetch_all(&stage.stores.mysql)
            .await
            .expect("MySQL answers");
    rows.into_iter().map(|(id, product, state, round)| Request { id, product, state, round }).collect()
}

async fn stored(stage: &Stage) -> BTreeMap<i64, Stored> {
    let rows: Vec<(i64, i64, u32, u64, u64)> =
        sqlx::query_as("SELECT id, stock, restock_round, epoch, version FROM product")
            .fetch_all(&stage.stores.mysql)
            .await
            .expect("MySQL answers");
    rows.into_iter()
        .map(|(id, stock, round, epoch, version)| (id, Stored { stock, round, stamp: Stamp { epoch, version } }))
        .collect()
}

async fn in_redis(stage: &Stage) -> InRedis {
    let (redis, mut found) = (&stage.stores.redis, InRedis::default());
    for product in stage.products() {
        let partition = stage.stores.partition_of(ProductId(product));
        let view = redis.read_product(partition, ProductId(product)).await.expect("Redis answers");
        found.products.extend(view.map(|view| (product, view)));
        let view = redis.read_lanes(partition, &[lane(product)]).await.expect("Redis answers").remove(0);
        found.lanes.extend(view.map(|view| (product, view)));
    }
    for partition in stage.stores.partitions() {
        let log = redis.log_head(partition).await.expect("Redis answers");
        found.streams.push((redis.keys().log(partition), log.entries, 0));
        for stream in job_streams(partition, &webhook()) {
            let entries = redis.stream_len(&stream).await.expect("Redis answers");
            let group = redis.read_group(&stream).await.expect("Redis answers");
            found.streams.push((redis.stream_key(&stream), entries, group.map_or(0, |group| group.pending)));
        }
    }
    found
}

async fn refused(stage: &Stage) -> Vec<String> {
    sqlx::query_scalar("SELECT CONCAT(name, ': ', message) FROM log_dead WHERE mended_at IS NULL AND kind <> 'entry'")
        .fetch_all(&stage.stores.mysql)
        .await
        .expect("MySQL answers")
}

/// What `verify` finds; rows that were refused are looked at one by one. Killed workers stay in their groups for a while, and who was resumed seems to have overtaken:
/// the order is judged by the receiver's own record.
async fn findings(stage: &Stage) -> Vec<String> {
    let patience = Patience { request_ms: 5_000, ..Patience::default() };
    let verifier = Verifier::new(stage.stores.clone()).patience(patience).window_max(stage.form.window as usize);
    let report = verifier.run(Scope::All).await.expect("both stores answer");
    let counts = |finding: &&restock::verify::Finding| {
        !matches!(finding.kind, Finding::ConsumerDead | Finding::OrderBroken | Finding::RowRefused)
    };
    let text = |finding: &restock::verify::Finding| {
        format!("{}: {}: {}", finding.kind.as_str(), finding.subject, finding.detail)
    };
    report.findings.iter().filter(counts).map(text).collect()
}
