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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::{Semaphore, mpsc};

    use super::*;
    use crate::{
        ids::{Channel, LaneId, Namespace, Partition, ProductId},
        redis::keys::Keys,
    };

    fn kind() -> Kind {
        Kind { script: "begin", tag: String::new(), common: Arguments::default() }
    }

    fn call(bytes: usize) -> Waiting {
        let channel: Channel = "push".parse().expect("a channel");
        let lane = LaneId { product: ProductId(1), channel };
        let keys = Keys::new("restock".parse::<Namespace>().expect("a namespace")).of_lane(Partition(0), &lane);
        Waiting { keys: Arc::new(keys), own: "o".repeat(bytes), answer: oneshot::channel().0 }
    }

    /// Adds as many calls; says which of them asked for a maker.
    fn push(gathering: &Gathering, calls: usize, bytes: usize) -> Vec<usize> {
        (0..calls).filter(|_| gathering.push(&kind(), call(bytes))).collect()
    }

    fn take(gathering: &Gathering) -> usize {
        gathering.take(&kind()).len()
    }

    #[test]
    fn a_second_maker_comes_with_a_full_call_and_a_third_never() {
        let gathering = Gathering::default();
        assert_eq!(push(&gathering, 3 * CALLS_MAX, 1), [0, CALLS_MAX - 1]);
    }

    #[test]
    fn few_that_are_large_are_a_full_call_too() {
        let gathering = Gathering::default();
        let fit = 5;
        let wanted = push(&gathering, 2 * fit + 1, BYTES_MAX / fit);
        assert_eq!(wanted, [0, fit]);
        assert_eq!([take(&gathering), take(&gathering), take(&gathering)], [fit, fit, 0], "the second maker ends");
        assert_eq!([take(&gathering), take(&gathering)], [1, 0]);
        push(&gathering, 1, 2 * BYTES_MAX);
        assert_eq!(take(&gathering), 1, "one that is too large by itself");
    }

    #[test]
    fn what_is_no_full_call_waits_for_the_other_maker() {
        let gathering = Gathering::default();
        push(&gathering, 2 * CALLS_MAX + 1, 1);
        assert_eq!([take(&gathering), take(&gathering)], [CALLS_MAX, CALLS_MAX]);
        assert_eq!(take(&gathering), 0, "one maker ends");
        assert!(push(&gathering, 1, 1).is_empty(), "the other one takes it");
        assert_eq!([take(&gathering), take(&gathering)], [2, 0], "and then ends too");
        assert_eq!(push(&gathering, 2, 1), [0], "the queue begins again");
    }

    #[tokio::test]
    async fn two_full_calls_are_under_way_at_once_and_never_three() {
        let (gathering, gate) = (Gathering::default(), Arc::new(Semaphore::new(0)));
        let (begun, mut begins) = mpsc::unbounded_channel();
        let under_way = Arc::new(AtomicUsize::new(0));
        let add = |calls: usize| {
            for _ in 0..calls {
                let (gate, begun, under_way) = (gate.clone(), begun.clone(), under_way.clone());
                let make = move |calls: Vec<Waiting>| {
                    let (gate, begun, under_way) = (gate.clone(), begun.clone(), under_way.clone());
                    async move {
                        let at_once = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                        begun.send((calls.len(), at_once)).expect("the test listens");
                        gate.acquire().await.expect("it is not closed").forget();
                        under_way.fetch_sub(1, Ordering::SeqCst);
                    }
                };
                if gathering.push(&kind(), call(1)) {
                    tokio::spawn(gathering.clone().make_all(kind(), make));
                }
            }
        };
        add(1);
        assert_eq!(begins.recv().await, Some((1, 1)));
        add(CALLS_MAX - 1);
        assert_eq!(gathering.queues()[0].makers, 1, "they are not a full call");
        add(1);
        assert_eq!(begins.recv().await, Some((CALLS_MAX, 2)));
        add(CALLS_MAX + 5);
        assert_eq!(gathering.queues()[0].makers, 2, "two are under way");
        gate.add_permits(1);
        assert_eq!(begins.recv().await, Some((CALLS_MAX, 2)));
        gate.add_permits(2);
        assert_eq!(begins.recv().await, Some((5, 1)), "what is left goes when none is under way");
    }

    #[tokio::test]
    async fn a_maker_that_panics_leaves_nobody_waiting() {
        let gathering = Gathering::default();
        let (answer, answered) = oneshot::channel();
        assert!(gathering.push(&kind(), call(1)));
        let (queues, late) = (gathering.clone(), Mutex::new(Some(Waiting { answer, ..call(1) })));
        let make = move |_| {
            let late = late.lock().expect("nobody else has it").take().expect("one call is made");
            assert!(!queues.push(&kind(), late), "it gathers for the maker that there is");
            async { panic!("as the client might") }
        };
        tokio::spawn(gathering.clone().make_all(kind(), make)).await.expect_err("it panics");
        let told =
            tokio::time::timeout(std::time::Duration::from_secs(5), answered).await.expect("nobody waits for ever");
        assert!(told.is_err(), "who gathered meanwhile is told that the call was given up");
        assert_eq!(push(&gathering, 1, 1), [0], "the next one gets a maker");
    }
}
