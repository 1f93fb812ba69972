//! Which fault strikes when, and on whom: all of it from the seed.

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::form::Form;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $text:literal, $track:ident, $short:literal, $long:literal;)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub(crate) enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// As the report names it.
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whom it strikes: one fault of a track at a time, tracks beside one another.
            pub(crate) fn track(self) -> Track {
                match self { $(Self::$name => Track::$track,)* }
            }

            pub(crate) fn count_short(self) -> usize {
                match self { $(Self::$name => $short,)* }
            }

            pub(crate) fn count_long(self) -> usize {
                match self { $(Self::$name => $long,)* }
            }
        }
    };
}

kinds! {
    WorkerKill, "worker: kill -9", Worker, 5, 170;
    WorkerFreeze, "worker: SIGSTOP, SIGCONT", Worker, 3, 80;
    WorkerRestart, "worker: SIGTERM, another in its place", Worker, 1, 20;
    WorkerDiskFull, "worker: SIGTERM, another with its log on a full disk", Worker, 1, 8;
    FlusherKill, "flusher: kill -9", Flusher, 2, 40;
    FlusherFreeze, "flusher: SIGSTOP, SIGCONT", Flusher, 1, 25;
    FlusherRestart, "flusher: SIGTERM, another in its place", Flusher, 0, 10;
    FlusherDiskFull, "flusher: SIGTERM, another with its log on a full disk", Flusher, 1, 5;
    RedisKill, "redis: kill -9, restart with its AOF", Redis, 1, 30;
    RedisRestart, "redis: SIGTERM, restart with its AOF", Redis, 1, 20;
    RedisTailLost, "redis: restart without the end of its AOF", Redis, 1, 12;
    RedisEmptied, "redis: FLUSHALL", Redis, 1, 32;
    RedisAsleep, "redis: answers nothing for a while", Redis, 1, 12;
    RedisCut, "redis: CLIENT KILL of everybody", Redis, 1, 15;
    RedisScripts, "redis: SCRIPT FLUSH", Redis, 1, 10;
    RedisGroup, "redis: the workers' groups destroyed", Redis, 1, 12;
    RedisFull, "redis: maxmemory reached, noeviction", Redis, 0, 10;
    RedisAway, "producer: enqueue while Redis is down", Redis, 0, 4;
    MySqlKill, "mysql: kill -9, restart", MySql, 1, 10;
    MySqlAway, "mysql: down for seconds", MySql, 0, 12;
    MySqlAsleep, "mysql: answers nothing for a while", MySql, 0, 5;
    MySqlLocked, "mysql: somebody holds the lock of a product", MySql, 1, 10;
    MySqlDeadlock, "mysql: locks taken the other way round", MySql, 1, 10;
    MySqlReadOnly, "mysql: read-only", MySql, 1, 8;
    MySqlCrowded, "mysql: too many connections", MySql, 0, 6;
    WireSlow, "wire: latency", Wire, 1, 25;
    WireCut, "wire: connections cut", Wire, 3, 80;
    WireDead, "wire: connections open and dead", Wire, 1, 20;
    ReceiverDown, "receiver: 503 for most", Receiver, 1, 12;
    ReceiverLimit, "receiver: 429 with Retry-After", Receiver, 1, 8;
    ReceiverSilent, "receiver: no answer", Receiver, 0, 8;
    ReceiverLate, "receiver: answers after the timeout", Receiver, 1, 8;
    ReceiverReset, "receiver: connections reset", Receiver, 1, 25;
    ReceiverPoisoned, "receiver: one person cannot be told", Receiver, 0, 6;
    ReceiverWrong, "receiver: 404 for everybody", Receiver, 1, 6;
    OneKey, "producers: one key from ten processes", Producer, 1, 12;
    Race, "producers: resume, enqueue and cancel at once", Producer, 3, 60;
    PoisonedJob, "poison: an entry of the jobs that nobody can read", Producer, 1, 10;
    PoisonedLog, "poison: an entry of the log that MySQL cannot take", Producer, 1, 10;
}

/// Faults of one track wait for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Track {
    Worker,
    Flusher,
    Redis,
    MySql,
    Wire,
    Receiver,
    Producer,
}

/// A fault that is to strike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    /// From the start of the storm.
    pub(crate) at: Duration,
    /// Which of the victims; they take it modulo their number.
    pub(crate) victim: usize,
    /// From 0 to 1: how long or how hard, as the kind has it.
    pub(crate) force: f64,
}

/// The schedule of a seed: by track, in order of time. Even in time but for the jitter, the kinds shuffled.
pub(crate) fn deal(form: &Form, seed: u64) -> BTreeMap<Track, Vec<Planned>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut tracks: BTreeMap<Track, Vec<Kind>> = BTreeMap::new();
    for (kind, count) in &form.counts {
        tracks.entry(kind.track()).or_default().extend(std::iter::repeat_n(*kind, *count));
    }
    let mut dealt = BTreeMap::new();
    for (track, mut kinds) in tracks {
        kinds.shuffle(&mut random);
        let step = form.storm.as_secs_f64() / kinds.len().max(1) as f64;
        let plan = |(at, kind)| Planned {
            kind,
            at: Duration::from_secs_f64(step * (at as f64 + random.random_range(0.0..0.9))),
            victim: random.random_range(0..1000),
            force: random.random_range(0.0..1.0),
        };
        dealt.insert(track, kinds.into_iter().enumerate().map(plan).collect());
    }
    dealt
}

#[test]
fn a_seed_always_deals_the_same_schedule_and_another_one_another() {
    let form = Form::asked();
    assert_eq!(deal(&form, 7), deal(&form, 7));
    assert_ne!(deal(&form, 7), deal(&form, 8));
    for planned in deal(&form, 7).values() {
        assert!(planned.is_sorted_by_key(|fault| fault.at) && planned.iter().all(|fault| fault.at < form.storm));
    }
}
