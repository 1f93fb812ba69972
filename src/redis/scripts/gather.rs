//! Where calls gather until one is made of them: a call costs Redis more than most of what a call does.
//!
//! While one is under way, the next gather: until that is answered, or until they are as many as one may have. Who comes alone
//! waits for none but those who can ask at the same moment. They go in the order in which they came; two calls that are under way
//! may pass each other.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fred::error::Error;
use tokio::sync::oneshot;

use super::joint::Arguments;
use crate::redis::keys::LaneKeys;

/// The most calls made as one: Redis serves nobody else meanwhile.
const CALLS_MAX: usize = 32;
/// About the most bytes of arguments in one, unless a call has more by itself.
const BYTES_MAX: usize = 64 * 1024;
/// The most of one queue under way at once, the second only when it is full: so that Redis need not wait while a worker reads
/// what it answered.
const MAKERS_MAX: usize = 2;

/// What calls have that can go as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) script: &'static str,
    /// On a cluster, the hash tag of their keys.
    pub(super) tag: String,
    pub(super) common: Arguments,
}

/// A call that waits to be made.
pub(super) struct Waiting {
    pub(super) keys: Arc<LaneKeys>,
    pub(super) own: String,
    pub(super) answer: oneshot::Sender<Result<Vec<String>, Error>>,
}

/// Calls of one kind, in the order in which they came.
struct Queue {
    kind: Kind,
    waiting: Vec<Waiting>,
    /// Of their own arguments.
    bytes: usize,
    /// Tasks that make its calls, one after the other each.
    makers: usize,
}

impl Queue {
    /// Whether there are as many as one call may have.
    fn is_full(&self) -> bool {
        self.waiting.len() >= CALLS_MAX || self.bytes > BYTES_MAX
    }

    fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.own.len();
        self.waiting.push(waiting);
    }

    /// The next calls to make as one; none where they are to gather until the other maker is answered.
    fn take(&mut self) -> Vec<Waiting> {
        if self.makers > 1 && !self.is_full() {
            return Vec::new();
        }
        let mut bytes = 0;
        let fits = |call: &&Waiting| {
            bytes += call.own.len();
            bytes <= BYTES_MAX
        };
        let count = self.waiting.iter().take(CALLS_MAX).take_while(fits).count().max(1);
        let taken: Vec<Waiting> = if count >= self.waiting.len() {
            mem::take(&mut self.waiting)
        } else {
            self.waiting.drain(..count).collect()
        };
        self.bytes -= taken.iter().map(|call| call.own.len()).sum::<usize>();
        taken
    }
}

/// The queues of one connection, for all its users. One is there while it has a maker.
#[derive(Clone, Default)]
pub(in crate::redis) struct Gathering(Arc<Mutex<Vec<Queue>>>);

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathering")
    }
}

impl Gathering {
    /// What a maker does: `make` makes one call of some, and answers each of them; until none waits, or the other maker is enough.
    /// In a task of its own, because whoever asked may go away while others wait.
    pub(super) async fn make_all<M, F>(self, kind: Kind, make: M)
    where
        M: Fn(Vec<Waiting>) -> F,
        F: Future<Output = ()>,
    {
        let mut maker = Maker { gathering: &self, kind: &kind, has_ended: false };
        loop {
            // Lanes that were answered together are about to ask together: those that can, do so first.
            tokio::task::yield_now().await;
            let calls = self.take(&kind);
            if calls.is_empty() {
                maker.has_ended = true;
                return;
            }
            make(calls).await;
        }
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call; true when one more maker may find enough to do: [`Gathering::make_all`] is to be called then.
    pub(super) fn push(&self, kind: &Kind, waiting: Waiting) -> bool {
        let mut queues = self.queues();
        let at = queues.iter().position(|queue| queue.kind == *kind).unwrap_or_else(|| {
            queues.push(Queue { kind: kind.clone(), waiting: Vec::new(), bytes: 0, makers: 0 });
            queues.len() - 1
        });
        let queue = &mut queues[at];
        queue.push(waiting);
        let wanted = queue.makers == 0 || (queue.makers < MAKERS_MAX && queue.is_full());
        queue.makers += usize::from(wanted);
        wanted
    }

    /// The next calls to make as one. Where there are none the maker who asks has ended, and the queue with its last maker.
    fn take(&self, kind: &Kind) -> Vec<Waiting> {
        let mut queues = self.queues();
        let Some(at) = queues.iter().position(|queue| queue.kind == *kind) else { return Vec::new() };
        let taken = queues[at].take();
        if taken.is_empty() {
            Self::end_maker(&mut queues, at);
        }
        taken
    }

    /// Whoever waits in a queue without a maker is told that the call was given up.
    fn end_maker(queues: &mut Vec<Queue>, at: usize) {
        queues[at].makers -= 1;
        if queues[at].makers == 0 {
            queues.swap_remove(at);
        }
    }
}

/// A maker at work: one that panics leaves no queue behind that waits for it.
struct Maker<'a> {
    gathering: &'a Gathering,
    kind: &'a Kind,
    has_ended: bool,
}

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        let mut queues = self.gathering.queues();
        if let Some(at) = queues.iter().position(|queue| queue.kind == *self.kind).filter(|_| !self.has_ended) {
            Gathering::end_maker(&mut queues, at);
        }
    }
}

#[cfg(test)]
mod tests;
