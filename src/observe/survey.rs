//! The state of the whole deployment as gauges. It is looked at when somebody asks for metrics, at most every few
//! seconds, and only what is cheap: lengths, summaries, counts by an index.
//!
//! However many processes are asked, MySQL counts once in that time: whoever counted leaves the result in Redis.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use metrics::Gauge;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::Sight;
use crate::{
    ids::{Channel, Partition},
    meter::catalogue::{self as the, Metric},
    mysql::{
        census::{self, COUNTED, Census},
        setting::Settings,
    },
    redis::{Redis, RedisError, census::JobsCount, scripts::TOTAL},
};

/// A survey is good for so long, and so is what MySQL counted for another process.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// A store that takes longer has failed.
const TIME_MAX: Duration = Duration::from_secs(2);
/// A Redis that takes longer is not asked for what another process counted.
const SHARING_MAX: Duration = Duration::from_millis(500);
/// Another process that takes longer to count is not waited for.
const COUNTING_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether the other process has counted.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So many partitions are asked at once.
const PARTITIONS_AT_ONCE: usize = 32;

/// Looks, and remembers when it did.
#[derive(Default)]
pub(super) struct Surveyor(Mutex<State>);

#[derive(Default)]
struct State {
    looked: Option<Instant>,
    gauges: Vec<Gauge>,
}

impl Surveyor {
    /// Sets the gauges, unless that was done a moment ago. What cannot be seen is NaN, not what it was before; a store that
    /// does not answer hides nothing of what is in the other.
    pub(super) async fn look(&self, sight: &Sight) {
        let mut state = self.0.lock().await;
        if state.looked.is_some_and(|at| at.elapsed() < GOOD_FOR) {
            return;
        }
        let settings = sight.settings.borrow().clone();
        let (engine, record) =
            tokio::join!(within("Redis", engine(&sight.redis, &settings)), within("MySQL", record(sight)));
        // Whoever is there no more, such as a disabled channel, must not show its last value for ever.
        for gauge in &state.gauges {
            gauge.set(f64::NAN);
        }
        let mut shown = Shown::default();
        shown.settings(&settings);
        for (backend, is_ok) in [("redis", engine.is_some()), ("mysql", record.is_some())] {
            the::SURVEY_OK.gauge([backend]).set(f64::from(u8::from(is_ok)));
        }
        if let Some(engine) = engine {
            shown.engine(&engine);
        }
        if let Some(census) = record {
            shown.record(&census);
        }
        *state = State { looked: Some(Instant::now()), gauges: shown.gauges };
    }
}

/// What is found in time.
async fn within<T, E: Display>(store: &'static str, look: impl Future<Output = Result<T, E>>) -> Option<T> {
    match timeout(TIME_MAX, look).await {
        Ok(Ok(found)) => return Some(found),
        Ok(Err(error)) => tracing::debug!(store, %error, "the deployment cannot be surveyed"),
        Err(_) => tracing::debug!(store, "no answer in time; the deployment cannot be surveyed"),
    }
    None
}

/// What MySQL holds, counted here or by another process a moment ago. Without Redis each process counts for itself.
async fn record(sight: &Sight) -> sqlx::Result<Census> {
    let redis = &sight.redis;
    while let Ok(Ok(shared)) = timeout(SHARING_MAX, redis.shared_census()).await {
        // What another version left there says nothing.
        if let Some(census) = shared.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(census);
        }
        if !matches!(timeout(SHARING_MAX, redis.begin_census(COUNTING_MAX)).await, Ok(Ok(false))) {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let census = census::take(&mut *sight.mysql.acquire().await?).await?;
    if let Ok(text) = serde_json::to_string(&census) {
        // Where it cannot be left there the next one counts again.
        let _ = timeout(SHARING_MAX, redis.share_census(&text, GOOD_FOR)).await;
    }
    Ok(census)
}

struct Engine {
    jobs: Vec<(Channel, JobsCount)>,
    log_entries: u64,
    flush_lag_ms: i64,
    now_ms: i64,
    pace_used: i64,
}

async fn engine(redis: &Redis, settings: &Settings) -> Result<Engine, RedisError> {
    let mut jobs: Vec<(Channel, JobsCount)> =
        settings.channels.iter().map(|channel| (channel.clone(), JobsCount::default())).collect();
    let (mut log_entries, mut flush_lag_ms) = (0, 0);
    let look = |partition| async move {
        tokio::try_join!(redis.count_jobs(partition, &settings.channels), redis.log_lag(partition))
    };
    let mut looks =
        stream::iter((0..settings.partitions).map(Partition)).map(look).buffer_unordered(PARTITIONS_AT_ONCE);
    while let Some(seen) = looks.next().await {
        let (counts, (entries, oldest_ms)) = seen?;
        for ((_, sum), here) in jobs.iter_mut().zip(counts) {
            sum.waiting += here.waiting;
            sum.pending += here.pending;
            sum.dead += here.dead;
            sum.oldest_pending_ms = sum.oldest_pending_ms.into_iter().chain(here.oldest_pending_ms).min();
        }
        log_entries += entries;
        flush_lag_ms = oldest_ms.max(flush_lag_ms);
    }
    let (now_ms, pace) = tokio::try_join!(redis.now_ms(Partition(0)), redis.pace_use(TOTAL))?;
    Ok(Engine { jobs, log_entries, flush_lag_ms, now_ms, pace_used: pace.last_second })
}

/// The gauges that have a value now.
#[derive(Default)]
struct Shown {
    gauges: Vec<Gauge>,
}

impl Shown {
    fn show<const N: usize>(&mut self, metric: &Metric, labels: [&str; N], value: f64) {
        let gauge = metric.gauge(labels);
        gauge.set(value);
        self.gauges.push(gauge);
    }

    /// They stand while MySQL is away: everybody goes on by them.
    fn settings(&mut self, settings: &Settings) {
        self.show(&the::PACE_LIMIT, [], f64::from(settings.rate));
        self.show(&the::SENDING_PAUSED, [], f64::from(u8::from(settings.paused)));
    }

    fn engine(&mut self, engine: &Engine) {
        for (channel, count) in &engine.jobs {
            let channel = channel.as_str();
            let age_ms = count.oldest_pending_ms.map_or(0, |at_ms| (engine.now_ms - at_ms).max(0));
            self.show(&the::JOBS_WAITING, [channel], count.waiting as f64);
            self.show(&the::JOBS_PENDING, [channel], count.pending as f64);
            self.show(&the::JOBS_OLDEST, [channel], seconds(age_ms));
            self.show(&the::DEAD_LANES, [channel], count.dead as f64);
        }
        self.show(&the::LOG_ENTRIES, [], engine.log_entries as f64);
        self.show(&the::FLUSH_LAG, [], seconds(engine.flush_lag_ms));
        self.show(&the::PACE_USED, [], engine.pace_used as f64);
    }

    fn record(&mut self, census: &Census) {
        for (status, count) in COUNTED.iter().zip(census.rounds) {
            self.show(&the::LANES, [status.as_str()], count as f64);
        }
        self.show(&the::DEAD_ROWS, [], census.dead_rows as f64);
        self.show(&the::OUTBOX_PENDING, [], census.requests as f64);
        self.show(&the::OUTBOX_OLDEST, [], seconds(census.oldest_request_ms));
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
