//! Answers that many ask for at once are made once: a shop's pages all ask how the same round stands.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;

use super::problem::Problem;

/// How old an answer may be when somebody asks.
const AGE_MAX: Duration = Duration::from_millis(100);
/// Answers that are kept; beyond that each is made for who asks.
const KEPT_MAX: usize = 1_024;

/// What was answered: that something is not there costs as much to find out as what is.
type Answer = Result<Bytes, Problem>;

/// An answer, and when its making began. Whoever makes it holds the lock, so that the others wait for it.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Answer)>>>;

/// Answers by what they are about.
#[derive(Debug)]
pub(super) struct Fresh<K>(Mutex<HashMap<K, Slot>>);

impl<K: Eq + Hash> Default for Fresh<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Fresh<K> {
    /// The answer, as it was at most [`AGE_MAX`] before it was asked for.
    pub(super) async fn get(&self, key: K, make: impl Future<Output = Answer>) -> Answer {
        self.get_by(Instant::now, key, make).await
    }

    async fn get_by(&self, now: impl Fn() -> Instant, key: K, make: impl Future<Output = Answer>) -> Answer {
        // Not when it is their turn: while an answer takes long, all who wait would make one of their own, each in turn.
        let arrived = now();
        let slot = self.slot(key, arrived);
        let mut kept = slot.lock().await;
        if let Some((begun, answer)) = &*kept
            && is_fresh(*begun, arrived)
        {
            return answer.clone();
        }
        let begun = now();
        let answer = make.await;
        *kept = Some((begun, answer.clone()));
        answer
    }

    fn slot(&self, key: K, arrived: Instant) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT_MAX && !slots.contains_key(&key) {
            let is_wanted = |slot: &Slot| {
                slot.try_lock().map_or(true, |kept| kept.as_ref().is_some_and(|(begun, _)| is_fresh(*begun, arrived)))
            };
            slots.retain(|_, slot| is_wanted(slot));
            if slots.len() >= KEPT_MAX {
                return Slot::default();
            }
        }
        slots.entry(key).or_default().clone()
    }
}

/// Whether what was looked up from `begun` on is good for who asked at `arrived`.
fn is_fresh(begun: Instant, arrived: Instant) -> bool {
    arrived.saturating_duration_since(begun) < AGE_MAX
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;
    use crate::api::problem::Kind;

    /// A time that passes only when it is told to, and answers that are numbered.
    struct Scene {
        fresh: Fresh<u32>,
        now: Cell<Instant>,
        made: Cell<u32>,
    }

    impl Scene {
        fn new() -> Self {
            Self { fresh: Fresh::default(), now: Cell::new(Instant::now()), made: Cell::new(0) }
        }

        fn pass(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        /// Asks for something that takes so long to look up.
        async fn ask(&self, takes: Duration) -> u32 {
            let make = async {
                // Whoever else asks at this moment does so now.
                yield_now().await;
                self.pass(takes);
                self.made.set(self.made.get() + 1);
                Ok(Bytes::from(self.made.get().to_string()))
            };
            let answer = self.fresh.get_by(|| self.now.get(), 1, make).await.expect("an answer");
            String::from_utf8_lossy(&answer).parse().expect("a number")
        }
    }

    #[tokio::test]
    async fn who_asks_at_once_shares_an_answer_however_long_it_takes() {
        for takes in [Duration::ZERO, AGE_MAX, AGE_MAX * 30] {
            let scene = Scene::new();
            assert_eq!(join_all((0..20).map(|_| scene.ask(takes))).await, [1; 20], "{takes:?}");
        }
    }

    #[tokio::test]
    async fn nobody_gets_an_answer_that_was_old_when_they_asked() {
        let scene = Scene::new();
        assert_eq!(scene.ask(Duration::ZERO).await, 1);
        scene.pass(AGE_MAX / 2);
        assert_eq!(scene.ask(Duration::ZERO).await, 1);
        scene.pass(AGE_MAX / 2);
        assert_eq!(scene.ask(AGE_MAX).await, 2);
        assert_eq!(scene.ask(Duration::ZERO).await, 3, "what it says was looked up too long ago");
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
            scene.fresh.get_by(|| scene.now.get(), 1, make)
        };
        let answers = join_all((0..20).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|problem| problem.detail() == "gone")));
        assert_eq!(scene.made.get(), 1);
    }

    #[tokio::test]
    async fn no_more_are_kept_than_may_be() {
        let fresh = Fresh::default();
        for key in 0..KEPT_MAX * 2 {
            fresh.get(key, async { Ok(Bytes::from_static(b"x")) }).await.expect("an answer");
        }
        assert!(fresh.0.lock().expect("a lock").len() <= KEPT_MAX);
    }
}
