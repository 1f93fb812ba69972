//! How large a run is, and its seed.

use std::time::Duration;

use super::deck::Kind;

/// The storm of the long form.
const LONG_MINUTES: u32 = 15;

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
    /// The long form with `RESTOCK_FAULTS=long`, else the short one. `RESTOCK_FAULTS_MINUTES` makes the long one last as
    /// long, with as many faults in a minute.
    pub(crate) fn asked() -> Self {
        match (given("RESTOCK_FAULTS").as_deref(), given("RESTOCK_FAULTS_MINUTES")) {
            (Some("long"), None) => Self::long(LONG_MINUTES),
            (Some("long"), Some(text)) => Self::long(text.parse().expect("RESTOCK_FAULTS_MINUTES is a whole number")),
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

    fn long(minutes: u32) -> Self {
        let share = |count: usize| (count * minutes as usize).div_ceil(LONG_MINUTES as usize);
        Self {
            name: "long",
            storm: Duration::from_secs(u64::from(minutes) * 60),
            rest_within: Duration::from_secs(150),
            workers: 4,
            products: 5,
            people: 400,
            rate: 300,
            window: 32,
            claim_idle: Duration::from_millis(2000),
            counts: Kind::ALL.iter().map(|kind| (*kind, share(kind.count_long()))).collect(),
            ..Self::short()
        }
    }
}

/// The short form always deals the same schedule: whoever changes a line elsewhere must not meet a fault found by chance.
/// The long form looks for new ones.
const SEED_OF_SHORT: u64 = 11;

/// A variable that is set, and not to nothing.
fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}

/// `RESTOCK_FAULTS_SEED`, or one fit for the form; printed, so that a schedule can be had again.
pub(crate) fn seed(form: &Form) -> u64 {
    let own = || if form.name == "long" { rand::random() } else { SEED_OF_SHORT };
    let seed =
        given("RESTOCK_FAULTS_SEED").map_or_else(own, |text| text.parse().expect("RESTOCK_FAULTS_SEED is a number"));
    eprintln!("RESTOCK_FAULTS_SEED={seed}");
    seed
}
