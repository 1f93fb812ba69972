//! Answers that many ask for at once are made once: a shop's pages all ask how the same round stands.
//!
//! They are known by their age alone, since what they are about is changed by other processes too; see [`Fresh::forget`] for
//! what this one changes.

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

use super::problem::Problem;

/// How old an answer may be when somebody asks about what is under way. A problem is never older.
pub(super) const SOON: Duration = Duration::from_millis(100);

/// What was made.
#[derive(Debug, Clone)]
pub(super) struct Made<V> {
    pub(super) value: V,
    /// How old it may be when somebody asks.
    pub(super) age_max: Duration,
}

/// An answer and when its making began. That something is not there costs as much to find out as what is.
#[derive(Debug)]
struct Kept<V> {
    begun: Instant,
    age_max: Duration,
    answer: Result<V, Problem>,
}

/// Whoever makes the answer holds the lock, so that the others wait for it.
type Slot<V> = Arc<tokio::sync::Mutex<Option<Kept<V>>>>;

/// Answers by what they are about; of more than may be kept, those that are asked for least are made each time.
pub(super) struct Fresh<K, V>(Cache<K, Slot<V>>);

impl<K: Eq + Hash + Clone, V: Clone> Fresh<K, V> {
    /// Keeps so many.
    pub(super) fn new(kept_max: usize) -> Self {
        Self(Cache::new(kept_max))
    }

    /// The answer, as it was at most the age it may have before it was asked for.
    pub(super) async fn get(
        &self,
        key: &K,
        make: impl Future<Output = Result<Made<V>, Problem>>,
    ) -> Result<V, Problem> {
        self.get_by(Instant::now, key, make).await
    }

    async fn get_by(
        &self,
        now: impl Fn() -> Instant,
        key: &K,
        make: impl Future<Output = Result<Made<V>, Problem>>,
    ) -> Result<V, Problem> {
        // Not when it is their turn: while an answer takes long, all who wait would make one of their own, each in turn.
        let arrived = now();
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if let Some(kept) = &*kept
            && kept.is_good_at(arrived)
        {
            return kept.answer.clone();
        }
        let begun = now();
        let (answer, age_max) = match make.await {
            Ok(Made { value, age_max }) => (Ok(value), age_max),
            Err(problem) => (Err(problem), SOON),
        };
        *kept = Some(Kept { begun, age_max, answer: answer.clone() });
        answer
    }

    /// Who asks from now on gets an answer that was begun after this call.
    pub(super) fn forget(&self, key: &K) {
        self.0.remove(key);
    }

    fn slot(&self, key: &K) -> Slot<V> {
        let made = self.0.get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Slot::default()));
        made.unwrap_or_default()
    }
}

impl<V> Kept<V> {
    /// Whether it is good for who asked at that moment.
    fn is_good_at(&self, arrived: Instant) -> bool {
        arrived.saturating_duration_since(self.begun) < self.age_max
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;
    use crate::api::problem::Kind;

    const KEPT_MAX: usize = 100;
    const LONG: Duration = Duration::from_secs(2);

    /// A time that passes only when it is told to, and answers that are numbered.
    struct Scene {
        fresh: Fresh<u32, u32>,
        now: Cell<Instant>,
        made: Cell<u32>,
    }

    impl Scene {
        fn new() -> Self {
            Self { fresh: Fresh::new(KEPT_MAX), now: Cell::new(Instant::now()), made: Cell::new(0) }
        }

        fn pass(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        /// Asks for something that takes so long to look up, and may be so old.
        async fn ask(&self, takes: Duration, age_max: Duration) -> u32 {
            let make = async {
                // Whoever else asks at this moment does so now.
                yield_now().await;
                self.pass(takes);
                self.made.set(self.made.get() + 1);
                Ok(Made { value: self.made.get(), age_max })
            };
            self.fresh.get_by(|| self.now.get(), &1, make).await.expect("an answer")
        }
    }

    #[tokio::test]
    async fn who_asks_at_once_shares_an_answer_however_long_it_takes() {
        for takes in [Duration::ZERO, SOON, SOON * 30] {
            let scene = Scene::new();
            assert_eq!(join_all((0..20).map(|_| scene.ask(takes, SOON))).await, [1; 20], "{takes:?}");
        }
    }

    #[tokio::test]
    async fn nobody_gets_an_answer_that_was_old_when_they_asked() {
        for age_max in [SOON, LONG] {
            let scene = Scene::new();
            assert_eq!(scene.ask(Duration::ZERO, age_max).await, 1);
            scene.pass(age_max / 2);
            assert_eq!(scene.ask(Duration::ZERO, age_max).await, 1);
            scene.pass(age_max / 2);
            assert_eq!(scene.ask(age_max, age_max).await, 2);
            assert_eq!(scene.ask(Duration::ZERO, age_max).await, 3, "what it says was looked up too long ago");
        }
    }

    #[tokio::test]
    async fn what_was_forgotten_is_not_answered_not_even_what_was_being_made() {
        let scene = Scene::new();
        assert_eq!(scene.ask(Duration::ZERO, LONG).await, 1);
        scene.fresh.forget(&1);
        let during = async {
            scene.fresh.forget(&1);
            scene.ask(Duration::ZERO, LONG).await
        };
        let (before, after) = tokio::join!(scene.ask(Duration::ZERO, LONG), during);
        assert_eq!(before + after, 2 + 3, "each was made");
        assert_eq!(scene.ask(Duration::ZERO, LONG).await, after);
    }

    #[tokio::test]
    async fn that_something_is_not_there_is_shared_too() {
        let scene = Scene::new();
        let ask = || {
            let make = async {
                yield_now().await;
                scene.made.set(scene.made.get() + 1);
                Err(Problem::new(Kind::NotFound, "gone"))
            };
            scene.fresh.get_by(|| scene.now.get(), &1, make)
        };
        let answers = join_all((0..20).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|problem| problem.detail() == "gone")));
        assert_eq!(scene.made.get(), 1);
        scene.pass(SOON);
        assert_eq!(scene.ask(Duration::ZERO, LONG).await, 2);
    }

    #[tokio::test]
    async fn no_more_are_kept_than_may_be() {
        let scene = Scene::new();
        for key in 0..10 * u32::try_from(KEPT_MAX).expect("a number") {
            let made = async { Ok(Made { value: key, age_max: LONG }) };
            assert_eq!(scene.fresh.get(&key, made).await.expect("an answer"), key);
        }
        assert!(scene.fresh.0.len() <= KEPT_MAX as _);
    }
}
