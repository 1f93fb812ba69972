//! What was done during a run, as far as the checkers must know it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use super::deck::Kind;

/// So long a fault is felt by those who do not know of it yet: authorisations last 250 ms, and a connection is used for
/// a moment after it was cut.
const ECHO_US: i64 = 300_000;

/// A fault that struck.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Struck {
    pub(crate) kind: Kind,
    /// From when to when it lasted, µs since the epoch.
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// What it may cost, and nothing else may.
    pub(crate) cost: Cost,
}

/// What nothing can prevent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) enum Cost {
    /// Nobody is told twice for it.
    #[default]
    Nothing,
    /// A window of people in each of these lanes: their worker is gone, or taken for gone.
    Windows(Lanes),
    /// Whoever was not in MySQL yet, by product, and a window of people in every lane.
    Unrecorded(BTreeMap<i64, usize>),
}

/// Lanes, by product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum Lanes {
    These(BTreeSet<i64>),
    /// It could not be found out.
    All,
}

impl Struck {
    /// How many people of a lane may be told again for it.
    pub(crate) fn repeats(&self, product: i64, window: usize) -> usize {
        match &self.cost {
            Cost::Nothing => 0,
            Cost::Windows(Lanes::All) => window,
            Cost::Windows(Lanes::These(products)) => {
                if products.contains(&product) {
                    window
                } else {
                    0
                }
            }
            Cost::Unrecorded(by_product) => window + by_product.get(&product).copied().unwrap_or(0),
        }
    }

    /// The lanes that it surely hit.
    pub(crate) fn hit(&self) -> Vec<i64> {
        match &self.cost {
            Cost::Windows(Lanes::These(products)) => products.iter().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether Redis may have come back without what it had accepted.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self.cost, Cost::Unrecorded(_))
    }

    /// Whether what happened at two moments can differ because of it.
    pub(crate) fn is_between(&self, first_us: i64, second_us: i64) -> bool {
        first_us <= self.until_us + ECHO_US && self.from_us <= second_us
    }
}

/// A product without stock: nothing of it may start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sale {
    pub(crate) product: i64,
    /// When Redis had answered that nothing is left.
    pub(crate) gone_us: i64,
    /// When stock may have come in again.
    pub(crate) until_us: i64,
}

/// Something that a person did to a product, which may stop its lane or let it go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) product: i64,
    pub(crate) at_us: i64,
}

/// What a producer was told.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub(crate) product: i64,
    pub(crate) request: i64,
    pub(crate) round: Option<u32>,
    pub(crate) at_us: i64,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    struck: Mutex<Vec<Struck>>,
    sales: Mutex<Vec<Sale>>,
    acts: Mutex<Vec<Act>>,
    promises: Mutex<Vec<Promise>>,
    /// What must not have happened at all.
    complaints: Mutex<Vec<String>>,
}

/// Nobody panics with one of these locks held.
fn open<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(crate) fn strike(&self, struck: Struck) {
        open(&self.struck).push(struck);
    }

    pub(crate) fn sell(&self, sale: Sale) {
        open(&self.sales).push(sale);
    }

    pub(crate) fn act(&self, product: i64, at_us: i64) {
        open(&self.acts).push(Act { product, at_us });
    }

    pub(crate) fn promise(&self, promise: Promise) {
        open(&self.promises).push(promise);
    }

    pub(crate) fn complain(&self, complaint: String) {
        eprintln!("  ! {complaint}");
        open(&self.complaints).push(complaint);
    }

    pub(crate) fn struck(&self) -> Vec<Struck> {
        let mut struck = open(&self.struck).clone();
        struck.sort_by_key(|fault| fault.from_us);
        struck
    }

    pub(crate) fn sales(&self) -> Vec<Sale> {
        open(&self.sales).clone()
    }

    pub(crate) fn acts(&self) -> Vec<Act> {
        open(&self.acts).clone()
    }

    pub(crate) fn promises(&self) -> Vec<Promise> {
        open(&self.promises).clone()
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        open(&self.complaints).clone()
    }
}
