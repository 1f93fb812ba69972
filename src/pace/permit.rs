//! The right to start one attempt, which goes back when it is not used.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::clock::BootTime;

/// The span in which a start falls within [`super::START_WITHIN_US`] after its moment, whatever Redis' clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub earliest: BootTime,
    /// Not after.
    pub latest: BootTime,
}

impl Span {
    /// Whether no start can fall into it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.latest < self.earliest
    }
}

/// The right to start one attempt. Dropped without [`Permit::spend`], whatever the reason, it is given back to Redis.
#[derive(Debug)]
pub struct Permit {
    span: Span,
    moment_us: i64,
    unused: Option<Arc<Unused>>,
}

impl Permit {
    pub(super) fn new(span: Span, moment_us: i64, unused: Arc<Unused>) -> Self {
        Self { span, moment_us, unused: Some(unused) }
    }

    /// When it may be used.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// An attempt starts now. Must come after the last check of the clock, and before the attempt.
    pub fn spend(mut self) {
        self.unused = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(unused) = self.unused.take() {
            unused.put(self.moment_us);
        }
    }
}

/// Moments of this process at which nobody started, on their way back. Bounded by what was given out.
#[derive(Debug, Default)]
pub(super) struct Unused {
    moments: Mutex<BTreeMap<i64, u32>>,
    /// Wakes who gives them back.
    pub(super) appeared: Notify,
}

impl Unused {
    fn moments(&self) -> MutexGuard<'_, BTreeMap<i64, u32>> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, moment_us: i64) {
        *self.moments().entry(moment_us).or_default() += 1;
        self.appeared.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.moments().is_empty()
    }

    /// Takes all, for one call that carries them.
    pub(super) fn take(&self) -> Vec<(i64, u32)> {
        std::mem::take(&mut *self.moments()).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_spent_goes_back() {
        let unused = Arc::new(Unused::default());
        let span = Span { earliest: BootTime(0), latest: BootTime(1) };
        let permit = |moment_us| Permit::new(span, moment_us, unused.clone());
        permit(10).spend();
        drop(vec![permit(20), permit(20), permit(30)]);
        assert_eq!(unused.take(), [(20, 2), (30, 1)]);
        assert_eq!(unused.take(), []);
    }
}
