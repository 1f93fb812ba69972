//! The state of the whole deployment as gauges. It is looked at when somebody asks for metrics, at most every few
//! seconds, and only what is cheap: lengths, summaries, counts by an index.

use std::time::{Duration, Instant};

use metrics::Gauge;
use tokio::{sync::Mutex, time::timeout};

use super::Sight;
use crate::{
    ids::{Channel, Partition},
    meter::catalogue as the,
    mysql::{
        census::{self, COUNTED, Census},
        request::{self, Outbox},
        setting::Settings,
    },
    redis::{Redis, RedisError, census::JobsCount, scripts::TOTAL},
    stores::StoreError,
};

/// A survey is good for so long: several who scrape cost the stores no more than one.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// A survey that takes longer has failed.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Looks, and remembers when it did.
#[derive(Default)]
pub(super) struct Surveyor(Mutex<State>);

#[derive(Default)]
struct State {
    looked: Option<Instant>,
    gauges: Vec<Gauge>,
    ok: Option<Gauge>,
}

struct Survey {
    settings: Settings,
    jobs: Vec<(Channel, JobsCount)>,
    log_entries: u64,
    flush_lag_ms: i64,
    now_ms: i64,
    pace_used: i64,
    census: Census,
    outbox: Outbox,
}

impl Surveyor {
    /// Sets the gauges, unless that was done a moment ago. What cannot be seen is NaN, not what it was before.
    pub(super) async fn look(&self, sight: &Sight) {
        let mut state = self.0.lock().await;
        if state.looked.is_some_and(|at| at.elapsed() < GOOD_FOR) {
            return;
        }
        let found = timeout(TIME_MAX, survey(sight)).await;
        let is_ok = matches!(found, Ok(Ok(_)));
        // Whoever is there no more, such as a disabled channel, must not show its last value for ever.
        for gauge in &state.gauges {
            gauge.set(f64::NAN);
        }
        match found {
            Ok(Ok(survey)) => state.gauges = survey.show(),
            Ok(Err(error)) => tracing::debug!(%error, "the deployment cannot be surveyed"),
            Err(_) => tracing::debug!("a store does not answer; the deployment cannot be surveyed"),
        }
        state.ok.get_or_insert_with(|| the::SURVEY_OK.gauge([])).set(f64::from(u8::from(is_ok)));
        state.looked = Some(Instant::now());
    }
}

async fn survey(sight: &Sight) -> Result<Survey, StoreError> {
    let settings = sight.settings.borrow().clone();
    let engine = engine(&sight.redis, &settings);
    let record = async {
        let mut db = sight.mysql.acquire().await?;
        let census = census::take(&mut db).await?;
        Ok::<_, sqlx::Error>((census, request::outbox(&mut *db).await?))
    };
    let (engine, record) = tokio::join!(engine, record);
    let (Engine { jobs, log_entries, flush_lag_ms, now_ms, pace_used }, (census, outbox)) = (engine?, record?);
    Ok(Survey { settings, jobs, log_entries, flush_lag_ms, now_ms, pace_used, census, outbox })
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
    for partition in (0..settings.partitions).map(Partition) {
        for ((_, sum), here) in jobs.iter_mut().zip(redis.count_jobs(partition, &settings.channels).await?) {
            sum.waiting += here.waiting;
            sum.pending += here.pending;
            sum.dead += here.dead;
            sum.oldest_pending_ms = sum.oldest_pending_ms.into_iter().chain(here.oldest_pending_ms).min();
        }
        let (entries, oldest_ms) = redis.log_lag(partition).await?;
        log_entries += entries;
        flush_lag_ms = oldest_ms.max(flush_lag_ms);
    }
    let now_ms = redis.now_ms(Partition(0)).await?;
    Ok(Engine { jobs, log_entries, flush_lag_ms, now_ms, pace_used: redis.pace_use(TOTAL).await?.last_second })
}

impl Survey {
    /// Sets all gauges, and returns them.
    fn show(&self) -> Vec<Gauge> {
        let mut shown = Vec::new();
        let mut show = |gauge: Gauge, value: f64| {
            gauge.set(value);
            shown.push(gauge);
        };
        for (status, count) in COUNTED.iter().zip(self.census.rounds) {
            show(the::LANES.gauge([status.as_str()]), count as f64);
        }
        for (channel, count) in &self.jobs {
            let channel = channel.as_str();
            let age_ms = count.oldest_pending_ms.map_or(0, |at_ms| (self.now_ms - at_ms).max(0));
            show(the::JOBS_WAITING.gauge([channel]), count.waiting as f64);
            show(the::JOBS_PENDING.gauge([channel]), count.pending as f64);
            show(the::JOBS_OLDEST.gauge([channel]), seconds(age_ms));
            show(the::DEAD_LANES.gauge([channel]), count.dead as f64);
        }
        show(the::DEAD_ROWS.gauge([]), self.census.dead_rows as f64);
        show(the::LOG_ENTRIES.gauge([]), self.log_entries as f64);
        show(the::FLUSH_LAG.gauge([]), seconds(self.flush_lag_ms));
        show(the::OUTBOX_PENDING.gauge([]), self.outbox.pending as f64);
        show(the::OUTBOX_OLDEST.gauge([]), seconds(self.outbox.oldest_ms));
        show(the::PACE_LIMIT.gauge([]), f64::from(self.settings.rate));
        show(the::PACE_USED.gauge([]), self.pace_used as f64);
        show(the::SENDING_PAUSED.gauge([]), f64::from(u8::from(self.settings.paused)));
        shown
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
