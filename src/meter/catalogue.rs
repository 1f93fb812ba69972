//! Every metric by name, with its labels and what it means. The recorder, the documentation and the tests go by this list.

use metrics::{Counter, Gauge, Histogram, Label};

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Goes up only, until the process starts anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in one sentence.
    pub help: &'static str,
}

/// Seconds of a call over a network: from a local Redis to the longest send timeout.
const CALL_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const ROWS: &[f64] = &[1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn seconds(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram(CALL_SECONDS), labels, help }
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $constant:ident = $metric:expr;)*) => {
        $($(#[$doc])* pub const $constant: Metric = $metric;)*
        /// All of them, in the order of the documentation.
        pub const CATALOGUE: &[Metric] = &[$($constant),*];
    };
}

catalogue! {
    /// Every role.
    BUILD_INFO = gauge("restock_build_info", &["version", "role"], "Always 1; the version and the role of the process.");
    /// Every role.
    BACKEND_ERRORS = counter("restock_backend_errors_total", &["backend", "kind"],
        "Calls to Redis or MySQL that failed: no answer (unreachable), or an error (refused).");

    /// Workers.
    LANES_HELD = gauge("restock_lanes_held", &["channel"], "Lanes in this worker's hands.");
    /// Workers.
    ATTEMPTS = counter("restock_attempts_total", &["channel"], "Attempts started, retries included; each costs a permit.");
    /// Workers.
    SENDS = counter("restock_sends_total", &["channel", "outcome"],
        "People of whom it is settled what became of them: sent, skipped, failed, unknown.");
    /// Workers.
    RETRIES = counter("restock_retries_total", &["channel"], "Attempts that are to be made again later.");
    /// Workers.
    SEND_SECONDS = seconds("restock_send_duration_seconds", &["channel"], "Time of an attempt until its answer.");
    /// Workers.
    PERMITS_GRANTED = counter("restock_permits_granted_total", &["channel"], "Permits of the pace given to this process.");
    /// Workers.
    PERMITS_RETURNED = counter("restock_permits_returned_total", &["channel"],
        "Permits given back unused; granted less returned is what was used.");
    /// Workers.
    PERMIT_WAIT = seconds("restock_permit_wait_duration_seconds", &["channel"],
        "Time that a lane waited for permits after it had asked.");
    /// Workers.
    ADVANCE_SECONDS = seconds("restock_advance_duration_seconds", &[],
        "Time of a call of advance.lua, waiting for a Redis that is away included.");
    /// Workers.
    TAKEOVERS = counter("restock_takeovers_total", &["channel"], "Lanes taken over from an owner who fell silent.");
    /// Workers.
    HOLDS_ENDED = counter("restock_holds_ended_total", &["channel", "ending"],
        "Lanes let go of: completed, sold_out, admin, error, paused, handed_back, lost.");

    /// Flushers.
    PARTITIONS_LED = gauge("restock_partitions_led", &[], "Partitions that this flusher leads.");
    /// Flushers.
    FLUSH_ENTRIES = counter("restock_flush_entries_total", &[], "Entries of the log applied to MySQL.");
    /// Flushers.
    FLUSH_ROWS = Metric { name: "restock_flush_batch_rows", kind: Kind::Histogram(ROWS), labels: &[],
        help: "Rows that one transaction wrote." };
    /// Flushers.
    FLUSH_SECONDS = seconds("restock_flush_duration_seconds", &[], "Time of one transaction that applies a batch.");
    /// Flushers.
    FLUSH_SUCCESS = gauge("restock_flush_last_success_timestamp_seconds", &[],
        "When this flusher last found a log flushed or flushed it, since the epoch; 0 before.");
    /// Flushers.
    REFUSED_ROWS = counter("restock_refused_rows_total", &[], "Rows that MySQL refused and that were set aside.");
    /// Flushers.
    RECONCILES = counter("restock_reconciles_total", &[], "Comparisons of a partition in Redis with MySQL that went through.");
    /// Flushers.
    REPAIRS = counter("restock_repairs_total", &[], "Products checked against MySQL because Redis lacked something.");

    /// Flushers and APIs: the deployment.
    SURVEY_OK = gauge("restock_survey_ok", &[],
        "Whether both stores answered when the deployment was last looked at; at 0 what was found there is NaN.");
    /// The deployment.
    LANES = gauge("restock_lanes", &["status"],
        "Rounds that MySQL knows as queued or in progress, and lanes whose last round ended by an error.");
    /// The deployment.
    JOBS_WAITING = gauge("restock_jobs_waiting", &["channel"], "Entries of the job streams that no worker has received.");
    /// The deployment.
    JOBS_PENDING = gauge("restock_jobs_pending", &["channel"], "Entries that a worker has received and not finished.");
    /// The deployment.
    JOBS_OLDEST = gauge("restock_jobs_oldest_pending_seconds", &["channel"],
        "Age of the oldest entry that was received and is not finished; 0 without any.");
    /// The deployment.
    DEAD_LANES = gauge("restock_dead_entries", &["channel"], "Entries on the dead stream: rounds given up, and what cannot be read.");
    /// The deployment.
    DEAD_ROWS = gauge("restock_dead_rows", &[], "Rows that MySQL refused and that nobody has dealt with.");
    /// The deployment.
    LOG_ENTRIES = gauge("restock_log_entries", &[], "Entries that are not flushed yet.");
    /// The deployment.
    FLUSH_LAG = gauge("restock_flush_lag_seconds", &[], "Age of the oldest entry that is not flushed yet; 0 without any.");
    /// The deployment.
    OUTBOX_PENDING = gauge("restock_outbox_requests", &[], "Requests without a round yet.");
    /// The deployment.
    OUTBOX_OLDEST = gauge("restock_outbox_oldest_seconds", &[], "Age of the oldest request without a round; 0 without any.");
    /// The deployment.
    PACE_LIMIT = gauge("restock_pace_limit", &[], "The most starts a second over all workers and channels; 0 without a pace.");
    /// The deployment.
    PACE_USED = gauge("restock_pace_used", &[], "Permits given out in the last whole second, over all workers.");
    /// The deployment.
    SENDING_PAUSED = gauge("restock_sending_paused", &[], "1 while all sending stands still by `restock-cli pause`.");

    /// APIs.
    HTTP_REQUESTS = counter("restock_http_requests_total", &["route", "method", "status"], "Requests answered.");
    /// APIs.
    HTTP_SECONDS = seconds("restock_http_request_duration_seconds", &["route"], "Time of a request until its answer began.");
    /// APIs.
    STREAMS_OPEN = gauge("restock_streams_open", &["stream"], "Open streams of events: notifications (of everybody), user, rounds.");
    /// APIs.
    STREAMS_DROPPED = counter("restock_streams_dropped_total", &["stream"], "Streams ended because their clients did not keep up.");
    /// APIs.
    STREAM_MESSAGES = counter("restock_stream_messages_total", &["stream"],
        "Messages handed to streams; of rounds, states and changes.");
}

impl Metric {
    fn labelled<const N: usize>(&self, values: [&str; N]) -> Vec<Label> {
        debug_assert_eq!(self.labels.len(), N, "{}", self.name);
        self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, value.to_owned())).collect()
    }

    /// A handle for these values of the labels, in their order.
    pub fn counter<const N: usize>(&self, values: [&str; N]) -> Counter {
        metrics::counter!(self.name, self.labelled(values))
    }

    /// A handle for these values of the labels, in their order.
    pub fn gauge<const N: usize>(&self, values: [&str; N]) -> Gauge {
        metrics::gauge!(self.name, self.labelled(values))
    }

    /// A handle for these values of the labels, in their order.
    pub fn histogram<const N: usize>(&self, values: [&str; N]) -> Histogram {
        metrics::histogram!(self.name, self.labelled(values))
    }
}
