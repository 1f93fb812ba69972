//! Calls of several lanes that come at the same time, made as one: a call costs Redis more than most of what a call does.
//!
//! While one is under way, the next gather; who comes alone waits for none but those who can ask at the same moment. Each is answered for itself, in the order
//! in which they came. A failure of the call is a failure of each in it, and each may be made again.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use fred::{
    error::{Error, ErrorKind},
    interfaces::ClientLike,
};
use tokio::sync::oneshot;

use super::{Redis, Script};

/// The most calls made as one: Redis serves nobody else meanwhile.
const CALLS_MAX: usize = 32;
/// About the most bytes of arguments in one, unless a call has more by itself.
const BYTES_MAX: usize = 64 * 1024;
/// The first word of a reply that says what a call raised.
const RAISED: &str = "raised";

/// A call that waits to be made.
struct Waiting {
    keys: Vec<String>,
    args: Vec<String>,
    answer: oneshot::Sender<Result<Vec<String>, Error>>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.args.iter().map(String::len).sum()
    }
}

/// By script and hash tag: what gathers while a call is under way. Nothing is under way where there is no entry.
type Queues = HashMap<(&'static str, String), Vec<Waiting>>;

/// Where calls gather, for all users of one connection.
#[derive(Clone, Default)]
pub(in crate::redis) struct Together(Arc<Mutex<Queues>>);

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Together")
    }
}

impl Together {
    /// Adds a call; true when nobody makes the calls of this queue yet.
    fn push(&self, queue: &(&'static str, String), waiting: Waiting) -> bool {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !queues.contains_key(queue);
        queues.entry(queue.clone()).or_default().push(waiting);
        is_first
    }

    /// The next calls to make as one; the queue ends when there are none.
    fn take(&self, queue: &(&'static str, String)) -> Vec<Waiting> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = queues.get_mut(queue) else { return Vec::new() };
        let mut bytes = 0;
        let fits = |call: &&Waiting| {
            bytes += call.bytes();
            bytes <= BYTES_MAX
        };
        let count = waiting.iter().take(CALLS_MAX).take_while(fits).count().max(1).min(waiting.len());
        let taken = waiting.drain(..count).collect::<Vec<_>>();
        if taken.is_empty() {
            queues.remove(queue);
        }
        taken
    }
}

impl Redis {
    /// Makes a call of a script that is [shared](Script::shared).
    pub(super) async fn run_together(
        &self,
        script: &'static Script,
        keys: Vec<String>,
        args: Vec<String>,
    ) -> Result<Vec<String>, Error> {
        // Keys of several hash tags may stand in one call where all are on one server.
        let tag = if self.client.is_clustered() { tag(&keys[0]).to_owned() } else { String::new() };
        let queue = (script.name, tag);
        let (answer, answered) = oneshot::channel();
        if self.together.push(&queue, Waiting { keys, args, answer }) {
            // In a task of its own, because whoever asked may go away while others wait.
            tokio::spawn(make_all(self.clone(), script, queue));
        }
        answered.await.map_err(|_| Error::new(ErrorKind::Canceled, "the process ends"))?
    }
}

/// What stands between the braces of a key: keys of one tag may be named in one call.
fn tag(key: &str) -> &str {
    key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or(key, |(tag, _)| tag)
}

/// Makes calls until none waits.
async fn make_all(redis: Redis, script: &'static Script, queue: (&'static str, String)) {
    loop {
        // Lanes that were answered together are about to ask together: those that can, do so first.
        tokio::task::yield_now().await;
        let calls = redis.together.take(&queue);
        if calls.is_empty() {
            return;
        }
        let (mut keys, mut args, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for call in calls {
            keys.extend(call.keys);
            args.extend(call.args);
            answers.push(call.answer);
        }
        let replies: Result<Vec<Vec<String>>, Error> = redis.eval(script, keys, args).await;
        // Whoever asked may have gone away.
        match replies {
            Ok(replies) => {
                answers.into_iter().zip(replies).for_each(|(answer, words)| drop(answer.send(judged(words))))
            }
            Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
        }
    }
}

fn judged(mut words: Vec<String>) -> Result<Vec<String>, Error> {
    match words.first() {
        Some(word) if word == RAISED => Err(Error::new(ErrorKind::Unknown, words.pop().unwrap_or_default())),
        _ => Ok(words),
    }
}
