//! The handles of each part, made once when it starts.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::catalogue as the;
use crate::{clock::wall_us, outcome::Outcome};

/// How a worker let go of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldEnd {
    /// Everybody was told, or told again.
    Completed,
    /// Stock was gone.
    SoldOut,
    /// Somebody ended the round.
    Admin,
    /// The channel could not go on.
    Error,
    /// The product stands still.
    Paused,
    /// For another worker to go on.
    HandedBack,
    /// It was somebody else's by then, or Redis did not answer any more.
    Lost,
}

const ENDINGS: [(HoldEnd, &str); 7] = [
    (HoldEnd::Completed, "completed"),
    (HoldEnd::SoldOut, "sold_out"),
    (HoldEnd::Admin, "admin"),
    (HoldEnd::Error, "error"),
    (HoldEnd::Paused, "paused"),
    (HoldEnd::HandedBack, "handed_back"),
    (HoldEnd::Lost, "lost"),
];

/// Counts how holds end.
#[derive(Debug, Clone)]
pub struct Endings([Counter; ENDINGS.len()]);

impl Endings {
    fn new(channel: &str) -> Self {
        Self(ENDINGS.map(|(_, name)| the::HOLDS_ENDED.counter([channel, name])))
    }

    /// One more.
    pub fn count(&self, end: HoldEnd) {
        self.0[end as usize].increment(1);
    }
}

/// What a worker counts of one channel.
#[derive(Debug, Clone)]
pub struct SendMeters {
    /// Attempts started.
    pub attempts: Counter,
    /// Attempts to be made again.
    pub retries: Counter,
    /// Lanes of silent owners.
    pub takeovers: Counter,
    /// How holds end.
    pub endings: Endings,
    /// Time of `advance`.
    pub advance_seconds: Histogram,
    held: Gauge,
    outcomes: [Counter; Outcome::ALL.len()],
    seconds: Histogram,
}

impl SendMeters {
    /// The handles of a channel.
    #[must_use]
    pub fn new(channel: &str) -> Self {
        Self {
            attempts: the::ATTEMPTS.counter([channel]),
            retries: the::RETRIES.counter([channel]),
            takeovers: the::TAKEOVERS.counter([channel]),
            endings: Endings::new(channel),
            advance_seconds: the::ADVANCE_SECONDS.histogram([]),
            held: the::LANES_HELD.gauge([channel]),
            outcomes: Outcome::ALL.map(|outcome| the::SENDS.counter([channel, &outcome.as_str().to_ascii_lowercase()])),
            seconds: the::SEND_SECONDS.histogram([channel]),
        }
    }

    /// An attempt was answered after so long.
    pub fn answered(&self, took_us: i64) {
        self.seconds.record(seconds(took_us));
    }

    /// It is settled what became of one person.
    pub fn settled(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].increment(1);
    }

    /// A lane is in hand until this is dropped.
    #[must_use]
    pub fn hold(&self) -> Held {
        Held::new(&self.held)
    }
}

/// Raises a gauge by one while it lives.
#[derive(Debug)]
pub struct Held(Gauge);

impl Held {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// What a pacer counts.
#[derive(Debug, Clone)]
pub struct PaceMeters {
    /// Permits that came from Redis.
    pub granted: Counter,
    /// Permits that went back.
    pub returned: Counter,
    wait: Histogram,
}

impl PaceMeters {
    /// The handles of a channel.
    #[must_use]
    pub fn new(channel: &str) -> Self {
        Self {
            granted: the::PERMITS_GRANTED.counter([channel]),
            returned: the::PERMITS_RETURNED.counter([channel]),
            wait: the::PERMIT_WAIT.histogram([channel]),
        }
    }

    /// Somebody waited so long for permits.
    pub fn waited(&self, us: i64) {
        self.wait.record(seconds(us));
    }
}

/// What a flusher counts.
#[derive(Debug, Clone)]
pub struct FlushMeters {
    /// Rows set aside.
    pub refused: Counter,
    /// Comparisons with MySQL.
    pub reconciles: Counter,
    /// Products checked.
    pub repairs: Counter,
    led: Gauge,
    entries: Counter,
    rows: Histogram,
    seconds: Histogram,
    success: Gauge,
}

impl Default for FlushMeters {
    fn default() -> Self {
        Self {
            refused: the::REFUSED_ROWS.counter([]),
            reconciles: the::RECONCILES.counter([]),
            repairs: the::REPAIRS.counter([]),
            led: the::PARTITIONS_LED.gauge([]),
            entries: the::FLUSH_ENTRIES.counter([]),
            rows: the::FLUSH_ROWS.histogram([]),
            seconds: the::FLUSH_SECONDS.histogram([]),
            success: the::FLUSH_SUCCESS.gauge([]),
        }
    }
}

impl FlushMeters {
    /// One transaction wrote so much.
    pub fn applied(&self, entries: usize, rows: usize, took: Duration) {
        self.entries.increment(entries as u64);
        self.rows.record(rows as f64);
        self.seconds.record(took.as_secs_f64());
    }

    /// MySQL has what the log held.
    pub fn went_well(&self) {
        self.success.set(seconds(wall_us()));
    }

    /// A partition is led until this is dropped.
    #[must_use]
    pub fn lead(&self) -> Held {
        Held::new(&self.led)
    }
}

/// What an API counts of one kind of streams.
#[derive(Debug, Clone)]
pub struct StreamMeters {
    /// Messages handed to a stream.
    pub messages: Counter,
    /// Streams whose clients did not keep up.
    pub dropped: Counter,
    open: Gauge,
}

impl StreamMeters {
    /// The handles of a kind.
    #[must_use]
    pub fn new(stream: &str) -> Self {
        let meters = Self {
            messages: the::STREAM_MESSAGES.counter([stream]),
            dropped: the::STREAMS_DROPPED.counter([stream]),
            open: the::STREAMS_OPEN.gauge([stream]),
        };
        // Shown before there is any.
        meters.messages.increment(0);
        meters.dropped.increment(0);
        meters.open.increment(0.0);
        meters
    }

    /// A stream is open until this is dropped.
    #[must_use]
    pub fn open(&self) -> Held {
        Held::new(&self.open)
    }
}

/// A call to Redis failed.
pub fn count_redis_error(is_unreachable: bool) {
    count_error("redis", is_unreachable);
}

/// A call to MySQL failed.
pub fn count_sql_error(is_unreachable: bool) {
    count_error("mysql", is_unreachable);
}

/// Failures are rare: their handles are looked up.
fn count_error(backend: &str, is_unreachable: bool) {
    let kind = if is_unreachable { "unreachable" } else { "refused" };
    the::BACKEND_ERRORS.counter([backend, kind]).increment(1);
}

fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_counts_under_its_own_name() {
        for (at, (end, _)) in ENDINGS.into_iter().enumerate() {
            assert_eq!(end as usize, at);
        }
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
    }
}
