//! Checks both stores against each other and against the invariants, beside running rounds.
//!
//! | module | checks |
//! |---|---|
//! | `partition` | the log and its position, what is mirrored, held and stuck requests, refused rows |
//! | `streams` | groups, entries, what is pending, consumers |
//! | `live`, `compare` | what Redis holds against MySQL, and each lane against its entry, its owner, its product |
//! | `rounds` | the rounds of MySQL: none missing, each where the one before stopped |
//! | `people`, `order`, `last_user` | who has an outcome in a round: holes, repeats, order, counts, the last one |
//! | [`mend`] | repairs, through the same scripts that the processes use |
//!
//! Nothing is stopped for it. What looks wrong is looked at again, after the log was flushed up to what was seen, and
//! only what is wrong both times is reported. Memory is bounded: everything is read in steps, at most
//! [`FINDINGS_MAX`] findings are kept, and people are counted, with the first of them named.

mod compare;
mod finding;
mod kind;
mod last_user;
mod live;
pub mod mend;
mod order;
mod partition;
mod people;
mod record;
mod rounds;
mod streams;

use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;

use crate::{
    ids::{Partition, ProductId},
    redis::entry_id::EntryId,
    stores::{StoreError, Stores},
};

pub use finding::{Checked, FINDINGS_MAX, Finding, Report, Subject};
pub use kind::Kind;
pub use mend::Mend;

/// The pause before something suspicious is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(150);
/// How often the position is read while waiting for the flusher.
const POLL: Duration = Duration::from_millis(50);
/// Products read at once.
const PAGE_PRODUCTS: u32 = 200;

/// How long something may last before it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// An entry of the log that is not flushed, ms.
    pub log_ms: u64,
    /// A request of the outbox that is not relayed, ms.
    pub request_ms: u64,
    /// A consumer without a sign of life, ms.
    pub consumer_ms: u64,
    /// A lane whose lease has run out, ms.
    pub lease_ms: u64,
    /// A round that has ended and was not counted, ms.
    pub total_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { log_ms: 10_000, request_ms: 30_000, consumer_ms: 60_000, lease_ms: 60_000, total_ms: 60_000 }
    }
}

impl Patience {
    /// The same for everything.
    #[must_use]
    pub fn of(ms: u64) -> Self {
        Self { log_ms: ms, request_ms: ms, consumer_ms: ms, lease_ms: ms, total_ms: ms }
    }
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// One product, with the log of its partition.
    Product(ProductId),
}

/// Checks a deployment.
#[derive(Debug)]
pub struct Verifier {
    stores: Stores,
    patience: Patience,
    /// The largest window of any worker: how far people may overtake one who is not settled.
    window_max: usize,
    bar: ProgressBar,
    /// Partitions whose log did not move while somebody waited for it.
    stuck: Mutex<BTreeSet<Partition>>,
}

impl Verifier {
    /// A checker of these stores, without a progress bar.
    #[must_use]
    pub fn new(stores: Stores) -> Self {
        Self {
            stores,
            patience: Patience::default(),
            window_max: crate::limit::WINDOW_MAX as usize,
            bar: ProgressBar::hidden(),
            stuck: Mutex::default(),
        }
    }

    /// As given: how long something may last.
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The largest window that a worker has, people; by default the largest that one can have.
    #[must_use]
    pub fn window_max(self, window_max: usize) -> Self {
        Self { window_max, ..self }
    }

    /// Where the progress is shown: a step per round of MySQL.
    #[must_use]
    pub fn bar(self, bar: ProgressBar) -> Self {
        Self { bar, ..self }
    }

    /// What it checks.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Looks at everything in the scope.
    ///
    /// # Errors
    /// When a store fails; there is no report then.
    pub async fn run(&self, scope: Scope) -> Result<Report, StoreError> {
        let mut report = Report::default();
        self.with_stuck(BTreeSet::clear);
        match scope {
            Scope::All => {
                self.bar.set_message("streams");
                for partition in self.stores.partitions() {
                    self.check_partition(partition, &mut report).await?;
                    self.check_streams(partition, &mut report).await?;
                }
                self.check_consumers(&mut report).await?;
                self.bar.set_message("lanes");
                for partition in self.stores.partitions() {
                    self.check_lanes_of(partition, &mut report).await?;
                }
                self.bar.set_message("history");
                self.check_history(&mut report).await?;
            }
            Scope::Product(product) => {
                self.check_log(self.stores.partition_of(product), &mut report).await?;
                self.check_requests(self.stores.partition_of(product), Some(product), &mut report).await?;
                self.check_refused(Some(product), &mut report).await?;
                self.check_live(product, &mut report).await?;
                self.check_rounds(product, &mut report).await?;
            }
        }
        Ok(report)
    }

    /// Looks again at what a report is about, to see whether it was mended.
    ///
    /// # Errors
    /// As [`Verifier::run`].
    pub async fn run_again(&self, scope: Scope, before: &Report) -> Result<Report, StoreError> {
        if !before.more.is_empty() || matches!(scope, Scope::Product(_)) {
            return self.run(scope).await;
        }
        let mut report = Report::default();
        self.with_stuck(BTreeSet::clear);
        for partition in self.stores.partitions() {
            self.check_partition(partition, &mut report).await?;
            self.check_streams(partition, &mut report).await?;
        }
        self.check_consumers(&mut report).await?;
        let products: BTreeSet<ProductId> =
            before.findings.iter().filter_map(|finding| finding.subject.product()).collect();
        for product in products {
            self.check_live(product, &mut report).await?;
            self.check_rounds(product, &mut report).await?;
        }
        Ok(Report { checked: before.checked, ..report })
    }

    fn with_stuck<T>(&self, work: impl FnOnce(&mut BTreeSet<Partition>) -> T) -> T {
        work(&mut self.stuck.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Looks, and where something seems wrong looks again: what is wrong both times.
    async fn confirmed<Fut>(&self, look: impl Fn() -> Fut) -> Result<Vec<Finding>, StoreError>
    where
        Fut: Future<Output = Result<Vec<Finding>, StoreError>>,
    {
        let first = look().await?;
        if first.is_empty() {
            return Ok(first);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        let again = look().await?;
        Ok(again.into_iter().filter(|finding| first.iter().any(|before| before.is_same(finding))).collect())
    }

    /// Waits until MySQL has what the log holds now. False when it does not get it in time; then it is not waited for
    /// again.
    async fn flushed(&self, partition: Partition) -> Result<bool, StoreError> {
        if self.with_stuck(|stuck| stuck.contains(&partition)) {
            return Ok(false);
        }
        let head = self.stores.redis.log_head(partition).await?;
        let Ok(target) = head.last_id.parse::<EntryId>() else { return Ok(false) };
        let start = Instant::now();
        loop {
            // Entries are deleted after the commit.
            if self.stores.redis.oldest_in_log(partition).await?.is_none_or(|oldest| oldest > target) {
                return Ok(true);
            }
            if start.elapsed() >= Duration::from_millis(self.patience.log_ms) {
                self.with_stuck(|stuck| stuck.insert(partition));
                return Ok(false);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
