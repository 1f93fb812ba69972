//! Answers that many ask for at once are made once: a shop's pages all ask how the same round stands.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;

/// How old an answer may be.
const AGE_MAX: Duration = Duration::from_millis(100);
/// Answers that are kept; beyond that each is made for who asks.
const KEPT_MAX: usize = 1_024;

/// An answer, and when what it says was looked up. Whoever makes it holds the lock, so that the others wait for it.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Bytes)>>>;

/// Answers by what they are about.
#[derive(Debug)]
pub(super) struct Fresh<K>(Mutex<HashMap<K, Slot>>);

impl<K: Eq + Hash> Default for Fresh<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Fresh<K> {
    /// The answer, as it was at most [`AGE_MAX`] ago. One that cannot be made is not kept.
    pub(super) async fn get<E>(&self, key: K, make: impl Future<Output = Result<Bytes, E>>) -> Result<Bytes, E> {
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if let Some((at, answer)) = &*kept
            && at.elapsed() < AGE_MAX
        {
            return Ok(answer.clone());
        }
        let at = Instant::now();
        let answer = make.await?;
        *kept = Some((at, answer.clone()));
        Ok(answer)
    }

    fn slot(&self, key: K) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT_MAX && !slots.contains_key(&key) {
            let is_fresh = |slot: &Slot| {
                slot.try_lock().map_or(true, |kept| kept.as_ref().is_some_and(|(at, _)| at.elapsed() < AGE_MAX))
            };
            slots.retain(|_, slot| is_fresh(slot));
            if slots.len() >= KEPT_MAX {
                return Slot::default();
            }
        }
        slots.entry(key).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn who_asks_at_once_shares_an_answer_and_nobody_gets_an_old_one() {
        let (fresh, made) = (Fresh::default(), AtomicUsize::new(0));
        let ask = async |key: u32| {
            let make = async {
                sleep(Duration::from_millis(5)).await;
                Ok::<_, ()>(Bytes::from((made.fetch_add(1, Ordering::Relaxed) + 1).to_string()))
            };
            fresh.get(key, make).await.expect("an answer")
        };
        let start = Instant::now();
        let answers = join_all((0..50).map(|_| ask(1))).await;
        if start.elapsed() < AGE_MAX {
            assert!(answers.iter().all(|answer| answer == "1"), "{answers:?}");
        }
        sleep(AGE_MAX).await;
        let before = made.load(Ordering::Relaxed);
        ask(1).await;
        ask(2).await;
        assert_eq!(made.load(Ordering::Relaxed), before + 2);
        assert_eq!(fresh.get(3, async { Err::<Bytes, _>("gone") }).await, Err("gone"));
    }

    #[tokio::test]
    async fn no_more_are_kept_than_may_be() {
        let fresh = Fresh::default();
        for key in 0..KEPT_MAX * 2 {
            fresh.get(key, async { Ok::<_, ()>(Bytes::from_static(b"x")) }).await.expect("an answer");
        }
        assert!(fresh.0.lock().expect("a lock").len() <= KEPT_MAX);
    }
}
