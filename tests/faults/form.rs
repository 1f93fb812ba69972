//! How large a run is, and its seed.

use std::time::Duration;

use super::deck::Kind;

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    /// How long faults strike.
    pub(crate) storm: Duration,
    /// After the storm everything must come to rest in this time.
    pub(crate) rest_within: Duration,
    pub(crate) workers: usize,
    /// Products that a shopkeeper looks after; one more is for producers that race.
    pub(crate) products: i64,
    pub(crate) people: i64,
    pub(crate) rate: u32,
    pub(crate) window: u32,
    pub(crate) claim_idle: Duration,
    pub(crate) send_timeout: Duration,
    /// How often each kind strikes.
    pub(crate) counts: Vec<(Kind, usize)>,
}

impl Form {
    /// The long form with `RESTOCK_FAULTS=long`, else the short one.
    pub(crate) fn asked() -> Self {
        match std::env::var("RESTOCK_FAULTS").as_deref() {
            Ok("long") => Self::long(),
            _ => Self::short(),
        }
    }

    fn short() -> Self {
        Self {
            name: "short",
            storm: Duration::from_secs(20),
            rest_within: Duration::from_secs(60),
            workers: 3,
            products: 3,
            people: 250,
            rate: 200,
            window: 16,
            claim_idle: Duration::from_millis(1500),
            send_timeout: Duration::from_millis(1500),
            counts: Kind::ALL.iter().map(|kind| (*kind, kind.count_short())).collect(),
        }
    }

    fn long() -> Self {
        Self {
            name: "long",
            storm: Duration::from_secs(15 * 60),
            rest_within: Duration::from_secs(150),
            workers: 4,
            products: 5,
            people: 400,
            rate: 300,
            window: 32,
            claim_idle: Duration::from_millis(2000),
            counts: Kind::ALL.iter().map(|kind| (*kind, kind.count_long())).collect(),
            ..Self::short()
        }
    }
}

/// `RESTOCK_FAULTS_SEED`, or a fresh one; printed, so that a schedule can be had again.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("RESTOCK_FAULTS_SEED").ok().filter(|text| !text.is_empty());
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("RESTOCK_FAULTS_SEED is a number"));
    eprintln!("RESTOCK_FAULTS_SEED={seed}");
    seed
}
