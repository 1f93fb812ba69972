//! `take.lua`: entries for the places that a worker has free.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::{
    ids::{Channel, Partition},
    redis::{RedisError, jobs::Line},
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/take.lua");
    Script::new("take", source, Arity::exactly(2), Arity::exactly(4), &["given"])
});

/// How many words of a reply are one entry.
const WORDS: usize = 4;

/// What a worker has free, and whose turn it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// So many.
    pub count: u64,
    /// So many of them go to lanes that were handed back first.
    pub again_first: u64,
    /// So many of them go to the newest rounds, out of turn.
    pub newest: u64,
}

impl Places {
    /// For whoever is next.
    #[must_use]
    pub fn any(count: u64) -> Self {
        Self { count, ..Self::default() }
    }
}

/// An entry as it was given; what cannot be read of it is empty.
#[derive(Debug)]
pub(in crate::redis) struct Given {
    pub(in crate::redis) line: Line,
    pub(in crate::redis) id: String,
    pub(in crate::redis) product: String,
    pub(in crate::redis) traceparent: String,
}

impl Redis {
    /// Entries that no worker was given yet, without waiting.
    pub(in crate::redis) async fn take(
        &self,
        partition: Partition,
        channel: &Channel,
        consumer: &str,
        places: Places,
    ) -> Result<Vec<Given>, RedisError> {
        let keys = vec![self.keys().jobs(partition, channel), self.keys().again(partition, channel)];
        let Places { count, again_first, newest } = places;
        let args = vec![consumer.to_owned(), count.to_string(), again_first.to_string(), newest.to_string()];
        let reply = self.run(&SCRIPT, keys, args).await?;
        let mut given = Vec::with_capacity(reply.words.len() / WORDS);
        for entry in reply.words[1..].chunks(WORDS) {
            let [line, id, product, traceparent] = entry else { return Err(reply.unknown()) };
            let line = match line.as_str() {
                "j" => Line::Fresh,
                "a" => Line::Again,
                _ => return Err(reply.unknown()),
            };
            let [id, product, traceparent] = [id, product, traceparent].map(String::clone);
            given.push(Given { line, id, product, traceparent });
        }
        Ok(given)
    }
}
