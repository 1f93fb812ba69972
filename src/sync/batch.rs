//! A batch of the log, folded: the newest state of each product and round, everybody settled, every answered request.

use std::collections::{BTreeMap, HashMap, btree_map::Entry as Slot};

use super::{
    dead::Mark,
    entry::{Answer, Change, ProductState, Subject, product_of, read, subject},
};
use crate::{
    ids::{Channel, ProductId, Round},
    outcome::Settled,
    redis::{entry_id::EntryId, log_entry::LogEntry},
    round::{RoundState, Stamp},
};

/// The most entries in one batch.
pub(super) const BATCH_ENTRIES: usize = 2_000;
/// The most people in one batch, unless a single entry has more: what one transaction writes.
pub(super) const BATCH_PEOPLE: usize = 10_000;
/// The most bytes of fields in one batch, unless a single entry has more: below what a server takes in one statement.
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// Entries of the same product that lie this far apart are not of the same script call.
const APART_MS: u64 = 20;

/// Something with the entry that said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said<T> {
    pub(super) entry: EntryId,
    pub(super) what: T,
}

/// One person of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) product: ProductId,
    pub(super) round: Round,
    pub(super) channel: Channel,
    pub(super) settled: Settled,
}

/// An entry that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) about: Subject,
    pub(super) fields: String,
    pub(super) error: String,
}

/// What a batch changes in MySQL.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) ids: Vec<EntryId>,
    pub(super) products: Vec<Said<ProductState>>,
    pub(super) rounds: Vec<Said<RoundState>>,
    pub(super) people: Vec<Said<Person>>,
    pub(super) answers: Vec<Said<Answer>>,
    pub(super) unreadable: Vec<Said<Unreadable>>,
    /// Of refused rows that are tried again.
    pub(super) marks: Vec<Mark>,
}

impl Batch {
    /// How many rows it writes.
    pub(super) fn rows(&self) -> usize {
        self.products.len() + self.rounds.len() + self.people.len() + self.answers.len()
    }

    /// The last entry in it; `None` when it is empty.
    pub(super) fn last(&self) -> Option<EntryId> {
        self.ids.last().copied()
    }

    /// Folds entries, which are in the order of the log.
    pub(super) fn fold(entries: &[(EntryId, LogEntry)]) -> Self {
        let mut batch = Self { ids: entries.iter().map(|(id, _)| *id).collect(), ..Self::default() };
        let mut products: BTreeMap<ProductId, Said<ProductState>> = BTreeMap::new();
        let mut rounds: BTreeMap<(ProductId, Round, Channel), Said<RoundState>> = BTreeMap::new();
        let mut answers: HashMap<i64, usize> = HashMap::new();
        for (entry, raw) in entries {
            let entry = *entry;
            batch.marks.extend(Mark::of(raw));
            match read(raw) {
                Ok(Change::Product(what)) => keep_newest(&mut products, what.product, Said { entry, what }),
                Ok(Change::Round(state, people)) => {
                    let (product, channel, round) = (state.lane.product, state.lane.channel.clone(), state.round);
                    batch.people.extend(people.into_iter().map(|settled| {
                        let what = Person { product, round, channel: channel.clone(), settled };
                        Said { entry, what }
                    }));
                    keep_newest(&mut rounds, (product, round, channel), Said { entry, what: *state });
                }
                Ok(Change::People(people)) => batch.people.extend(people.into_iter().map(|what| Said { entry, what })),
                Ok(Change::Request(what)) => {
                    let last = what.request.and_then(|id| answers.get(&id)).map(|at| &batch.answers[*at].what);
                    if last != Some(&what) {
                        answers.extend(what.request.map(|id| (id, batch.answers.len())));
                        batch.answers.push(Said { entry, what });
                    }
                }
                Err(error) => {
                    let fields = serde_json::to_string(&raw.fields).unwrap_or_default();
                    let what = Unreadable { about: subject(raw), fields, error: error.to_string() };
                    batch.unreadable.push(Said { entry, what });
                }
            }
        }
        batch.products = products.into_values().collect();
        batch.rounds = rounds.into_values().collect();
        batch
    }
}

trait Stamped {
    fn stamp(&self) -> Stamp;
}

impl Stamped for ProductState {
    fn stamp(&self) -> Stamp {
        self.stamp
    }
}

impl Stamped for RoundState {
    fn stamp(&self) -> Stamp {
        self.stamp
    }
}

fn keep_newest<K: Ord, T: Stamped>(rows: &mut BTreeMap<K, Said<T>>, key: K, said: Said<T>) {
    match rows.entry(key) {
        Slot::Vacant(slot) => {
            slot.insert(said);
        }
        Slot::Occupied(mut slot) => {
            if said.what.stamp() >= slot.get().what.stamp() {
                slot.insert(said);
            }
        }
    }
}

/// How many of these entries one transaction takes; `full` when there are more behind them.
pub(super) fn take(entries: &[(EntryId, LogEntry)], full: bool) -> usize {
    let fits = fitting(entries);
    if fits == entries.len() && !full {
        return fits;
    }
    cut(&entries[..entries.len().min(fits + 1)]).min(fits)
}

/// How many of the first entries keep the bounds of a batch; at least one.
fn fitting(entries: &[(EntryId, LogEntry)]) -> usize {
    let (mut people, mut bytes) = (0, 0);
    let fits = |(_, entry): &&(EntryId, LogEntry)| {
        people += entry.fields.get("people").map_or(0, |text| text.matches(';').count());
        bytes += entry.fields.bytes();
        people <= BATCH_PEOPLE && bytes <= BATCH_BYTES
    };
    entries.iter().take_while(fits).count().max(1).min(entries.len())
}

/// How many entries of a full batch to take, so that what one script call wrote stays together.
///
/// A call writes of one product only, so the cut is after an entry of another product than the next; or where much
/// time passed between two; or, of one product without a pause, where the millisecond changes. Within a call it may
/// change too: Redis 7.0 asks the clock for each XADD.
fn cut(entries: &[(EntryId, LogEntry)]) -> usize {
    let product = |at: usize| product_of(&entries[at].1);
    let boundary = |apart: &dyn Fn(usize) -> bool| (1..entries.len()).rev().find(|at| apart(*at));
    boundary(&|at| product(at) != product(at - 1) || entries[at].0.ms - entries[at - 1].0.ms >= APART_MS)
        .or_else(|| boundary(&|at| entries[at].0.ms != entries[at - 1].0.ms))
        .unwrap_or(entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ms: u64, product: &str) -> (EntryId, LogEntry) {
        let id = EntryId { ms, seq: 0 };
        let fields = [("p".to_owned(), product.to_owned())].into_iter().collect();
        (id, LogEntry { id: id.to_string(), fields, is_text: true })
    }

    #[test]
    fn a_batch_is_bounded_by_people_and_by_bytes() {
        let with = |field: &str, value: String| {
            let (id, mut entry) = entry(1, "7");
            entry.fields.extend([(field.to_owned(), value)]);
            (id, entry)
        };
        let crowd = |people: usize| with("people", "1,2,S,3;".repeat(people));
        let heavy = |bytes: usize| with("ahead", "x".repeat(bytes));
        assert_eq!(take(&[crowd(6_000), crowd(4_000), crowd(1)], false), 2);
        assert_eq!(take(&[crowd(50_000), crowd(1)], false), 1);
        assert_eq!(take(&[heavy(3 << 20), heavy(2 << 20)], false), 1);
        assert_eq!(take(&[crowd(1), heavy(1)], false), 2);
    }

    #[test]
    fn what_one_call_wrote_stays_together() {
        let cases: [(&[(u64, &str)], usize); 5] = [
            (&[(1, "7"), (2, "7"), (2, "8"), (3, "8")], 2),
            (&[(1, "7"), (1, "7"), (30, "7"), (31, "7")], 2),
            (&[(1, "7"), (2, "7"), (3, "7")], 2),
            (&[(1, "7"), (1, "7")], 2),
            (&[(1, "7")], 1),
        ];
        for (entries, expected) in cases {
            let entries: Vec<_> = entries.iter().map(|(ms, product)| entry(*ms, product)).collect();
            assert_eq!(cut(&entries), expected, "{entries:?}");
        }
    }

    #[test]
    fn an_answer_given_many_times_is_written_once() {
        let answer = |round: &str| {
            let (id, mut entry) = entry(1, "7");
            for (field, value) in [("k", "request"), ("id", "4"), ("key", "#4"), ("s", "ACCEPTED"), ("r", round)] {
                entry.fields.extend([(field.to_owned(), value.to_owned())]);
            }
            (id, entry)
        };
        let batch = Batch::fold(&["1", "1", "1", "2", "2", "1"].map(answer));
        let rounds: Vec<_> = batch.answers.iter().map(|said| said.what.round.as_ref().unwrap().0).collect();
        assert_eq!(rounds, [1, 2, 1]);
    }

    #[test]
    fn an_entry_that_cannot_be_read_does_not_hold_back_its_neighbours() {
        let (id, mut good) = entry(1, "7");
        for (field, value) in [("k", "product"), ("stock", "1"), ("r", "1"), ("e", "1"), ("v", "1")] {
            good.fields.extend([(field.to_owned(), value.to_owned())]);
        }
        let mut newer = good.clone();
        newer.fields.extend([("v".to_owned(), "2".to_owned())]);
        let batch = Batch::fold(&[entry(1, "7"), (id, newer), (id, good)]);
        assert_eq!((batch.unreadable.len(), batch.products.len(), batch.ids.len()), (1, 1, 3));
        assert_eq!(batch.products[0].what.stamp.version, 2);
    }
}
