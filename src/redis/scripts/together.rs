//! Calls of several lanes that come at the same time, made as one: a call costs Redis more than most of what a call does.
//!
//! While one is under way, the next gather: until that is answered, or until they are as many as one may have. Who comes alone waits for none but those
//! who can ask at the same moment. Each is answered for itself; those of one partition and channel are sent in the order in which they came. A failure of the
//! call is a failure of each in it, and each may be made again.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use fred::{
    error::{Error, ErrorKind},
    interfaces::ClientLike,
};
use tokio::sync::oneshot;

use super::{
    Redis, RedisError, Reply, Script,
    joint::{Arguments, BETWEEN, Joint, Shape},
};
use crate::redis::keys::LaneKeys;

/// The most calls made as one: Redis serves nobody else meanwhile.
const CALLS_MAX: usize = 32;
/// About the most bytes of arguments in one, unless a call has more by itself.
const BYTES_MAX: usize = 64 * 1024;
/// The most of one queue under way at once, the second only when it is full: so that Redis need not wait while a worker reads
/// what it answered.
const MAKERS_MAX: usize = 2;
/// Before what a call raised.
const RAISED: &str = "raised|";

/// A call that waits to be made.
struct Waiting {
    keys: Arc<LaneKeys>,
    own: String,
    answer: oneshot::Sender<Result<Vec<String>, Error>>,
}

/// Calls of one script that can go as one: they have the same arguments but for their own and, on a cluster, the same hash tag.
struct Queue {
    script: &'static str,
    tag: String,
    common: Arguments,
    waiting: Vec<Waiting>,
    /// Tasks that make its calls, one after the other each.
    makers: usize,
}

impl Queue {
    fn is_of(&self, script: &'static str, tag: &str, common: &Arguments) -> bool {
        self.script == script && self.tag == tag && self.common == *common
    }

    /// Whether one more maker would find enough to do.
    fn wants_maker(&self) -> bool {
        self.makers == 0 || (self.makers < MAKERS_MAX && self.waiting.len() >= CALLS_MAX)
    }

    /// The next calls to make as one.
    fn take(&mut self) -> Vec<Waiting> {
        let mut bytes = 0;
        let fits = |call: &&Waiting| {
            bytes += call.own.len();
            bytes <= BYTES_MAX
        };
        let count = self.waiting.iter().take(CALLS_MAX).take_while(fits).count().max(1);
        if count >= self.waiting.len() {
            return mem::take(&mut self.waiting);
        }
        self.waiting.drain(..count).collect()
    }
}

/// Where calls gather, for all users of one connection. A queue is there while it has a maker.
#[derive(Clone, Default)]
pub(in crate::redis) struct Together(Arc<Mutex<Vec<Queue>>>);

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Together")
    }
}

impl Together {
    /// Adds a call; true when whoever asks is to become a maker of its queue.
    fn push(&self, script: &'static str, tag: &str, common: &Arguments, waiting: Waiting) -> bool {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = queues.iter().position(|queue| queue.is_of(script, tag, common)).unwrap_or_else(|| {
            queues.push(Queue { script, tag: tag.to_owned(), common: common.clone(), waiting: Vec::new(), makers: 0 });
            queues.len() - 1
        });
        let queue = &mut queues[at];
        queue.waiting.push(waiting);
        let wanted = queue.wants_maker();
        queue.makers += usize::from(wanted);
        wanted
    }

    /// The next calls to make as one. Where there are none the maker who asks has ended, and the queue with its last maker.
    fn take(&self, script: &'static str, tag: &str, common: &Arguments) -> Vec<Waiting> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = queues.iter().position(|queue| queue.is_of(script, tag, common)) else { return Vec::new() };
        let taken = queues[at].take();
        if taken.is_empty() {
            queues[at].makers -= 1;
            if queues[at].makers == 0 {
                queues.swap_remove(at);
            }
        }
        taken
    }
}

impl Redis {
    /// Makes a call of a script that is [shared](Script::shared).
    pub(super) async fn run_together(&self, script: &'static Script, call: Joint) -> Result<Reply, RedisError> {
        let Joint { keys, own, common } = call;
        let Some(shape) = script.shared else {
            return Err(Error::new(ErrorKind::InvalidArgument, "not a script that several calls share").into());
        };
        debug_assert_eq!((own.count(), common.count()), (shape.own, shape.common), "{}.lua", script.name);
        // Keys of several hash tags may stand in one call where all are on one server.
        let tag = if self.client.is_clustered() { tag(&keys.lane) } else { "" }.to_owned();
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { keys, own: own.into_text(), answer };
        if self.together.push(script.name, &tag, &common, waiting) {
            // In a task of its own, because whoever asked may go away while others wait.
            tokio::spawn(make_all(self.clone(), script, shape, tag, common));
        }
        let words = answered.await.map_err(|_| Error::new(ErrorKind::Canceled, "the process ends"))??;
        Reply::of(script, words)
    }
}

/// What stands between the braces of a key: keys of one tag may be named in one call.
fn tag(key: &str) -> &str {
    key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or(key, |(tag, _)| tag)
}

/// Makes calls until none waits.
async fn make_all(redis: Redis, script: &'static Script, shape: Shape, tag: String, common: Arguments) {
    loop {
        // Lanes that were answered together are about to ask together: those that can, do so first.
        tokio::task::yield_now().await;
        let calls = redis.together.take(script.name, &tag, &common);
        if calls.is_empty() {
            return;
        }
        let (keys, args, answers) = one_of(shape, calls, &common);
        let replies: Result<Vec<String>, Error> = redis.eval(script, keys, args).await;
        // Whoever asked may have gone away.
        match replies {
            Ok(replies) => {
                answers.into_iter().zip(replies).for_each(|(answer, reply)| drop(answer.send(judged(&reply))))
            }
            Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
        }
    }
}

type Answers = Vec<oneshot::Sender<Result<Vec<String>, Error>>>;

/// The KEYS and ARGV of one call for all of these, as `lua/shared/each.lua` lists them, and who is answered in that order.
fn one_of(shape: Shape, calls: Vec<Waiting>, common: &Arguments) -> (Vec<String>, Vec<String>, Answers) {
    // By what is around their lanes: few, and in the order in which they came.
    let mut groups: Vec<Vec<Waiting>> = Vec::new();
    for call in calls {
        match groups.iter_mut().find(|group| Arc::ptr_eq(&group[0].keys.around, &call.keys.around)) {
            Some(group) => group.push(call),
            None => groups.push(vec![call]),
        }
    }
    let sizes: Vec<String> = groups.iter().map(|group| group.len().to_string()).collect();
    let (mut keys, mut args, mut answers) = (Vec::new(), vec![sizes.join(",")], Vec::new());
    for group in groups {
        keys.extend(group[0].keys.around.shared().into_iter().take(shape.around).cloned());
        for Waiting { keys: own_keys, own, answer } in group {
            keys.extend([own_keys.lane.clone(), own_keys.product.clone()]);
            args.push(own);
            answers.push(answer);
        }
    }
    args.extend(common.as_str().split(BETWEEN).map(str::to_owned));
    (keys, args, answers)
}

/// The words of a reply, or what the call raised.
fn judged(reply: &str) -> Result<Vec<String>, Error> {
    match reply.strip_prefix(RAISED) {
        Some(what) => Err(Error::new(ErrorKind::Unknown, what.to_owned())),
        None => Ok(reply.split(BETWEEN).map(str::to_owned).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{Channel, LaneId, Namespace, Partition, ProductId},
        redis::keys::Keys,
    };

    const SCRIPT: &str = "begin";

    /// Adds as many calls; says for each whether it called for a maker.
    fn push(together: &Together, calls: usize) -> Vec<bool> {
        let channel: Channel = "push".parse().expect("a channel");
        let lane = LaneId { product: ProductId(1), channel };
        let keys =
            Arc::new(Keys::new("restock".parse::<Namespace>().expect("a namespace")).of_lane(Partition(0), &lane));
        let call = |_| {
            let waiting = Waiting { keys: keys.clone(), own: "own".to_owned(), answer: oneshot::channel().0 };
            together.push(SCRIPT, "", &Arguments::default(), waiting)
        };
        (0..calls).map(call).collect()
    }

    fn take(together: &Together) -> usize {
        together.take(SCRIPT, "", &Arguments::default()).len()
    }

    #[test]
    fn a_second_maker_comes_with_a_full_call_and_a_third_never() {
        let together = Together::default();
        let makers = push(&together, 3 * CALLS_MAX);
        let wanted: Vec<usize> = (0..makers.len()).filter(|call| makers[*call]).collect();
        assert_eq!(wanted, [0, CALLS_MAX - 1]);
    }

    #[test]
    fn a_queue_ends_with_its_last_maker_and_begins_again() {
        let together = Together::default();
        push(&together, 2 * CALLS_MAX + 1);
        assert_eq!([take(&together), take(&together), take(&together)], [CALLS_MAX, CALLS_MAX, 1]);
        assert_eq!(take(&together), 0, "the first maker ends");
        assert_eq!(push(&together, 1), [false], "the second one still makes calls");
        assert_eq!([take(&together), take(&together)], [1, 0], "which then ends too");
        assert_eq!(push(&together, 2), [true, false]);
    }
}
