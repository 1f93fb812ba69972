//! How the receiver answers at the moment, and what it has taken so far.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::demo::receiver::{Delivery, DeliveryKey, Reaction};

/// A way of answering.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    /// 200, after a moment.
    Kind,
    /// 503 for most.
    Down,
    /// 429 for half of them, to be asked again in a second.
    Limit,
    /// No answer for a third of them.
    Silent,
    /// Some are taken, and are answered when nobody waits any more.
    Late(Duration),
    /// Everybody who stands at this place modulo 100 gets this status.
    Poisoned(i64, u16),
    /// 404.
    Wrong,
}

/// The receiver's mind.
#[derive(Debug)]
pub(crate) struct Moods(Mutex<Mind>);

#[derive(Debug)]
struct Mind {
    mood: Mood,
    random: StdRng,
    /// Who was told, by product and round.
    accepted: BTreeMap<(i64, u32), HashSet<i64>>,
    /// Attempts that were taken and whose answer comes too late.
    late: HashSet<(DeliveryKey, i64)>,
}

impl Moods {
    pub(crate) fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self(Mutex::new(Mind { mood: Mood::Kind, random, accepted: BTreeMap::new(), late: HashSet::new() }))
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.mind().mood = mood;
    }

    pub(crate) fn react(&self, delivery: &Delivery) -> Reaction {
        let mut mind = self.mind();
        let (share, moment) = (mind.random.random_range(0.0..1.0), mind.random.random_range(0..30));
        let kind = Reaction::accept().after(Duration::from_millis(moment));
        let reaction = match mind.mood {
            Mood::Down if share < 0.7 => Reaction::status(503),
            Mood::Limit if share < 0.5 => {
                Reaction { retry_after: Some(Duration::from_secs(1)), ..Reaction::status(429) }
            }
            Mood::Silent if share < 0.3 => Reaction::hang(),
            Mood::Late(send_timeout) if share < 0.2 => {
                mind.late.insert((delivery.key.clone(), delivery.started_us));
                Reaction::accept().after(send_timeout + Duration::from_millis(500))
            }
            Mood::Poisoned(person, status) if delivery.key.user.0 % 100 == person => Reaction::status(status),
            Mood::Wrong => Reaction::status(404),
            _ => kind,
        };
        if !reaction.hang && (200..300).contains(&reaction.status) {
            let key = &delivery.key;
            mind.accepted.entry((key.lane.product.0, key.round.0)).or_default().insert(key.user.0);
        }
        reaction
    }

    /// How many different people were told, by product and round.
    pub(crate) fn accepted(&self) -> BTreeMap<(i64, u32), usize> {
        self.mind().accepted.iter().map(|(of, users)| (*of, users.len())).collect()
    }

    /// Whether an attempt was taken and its answer came too late.
    pub(crate) fn is_late(&self, delivery: &Delivery) -> bool {
        self.mind().late.contains(&(delivery.key.clone(), delivery.started_us))
    }
}
