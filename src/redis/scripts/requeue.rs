//! `requeue.lua`: put an entry back in line.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::redis::{RedisError, jobs::Entry};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/requeue.lua");
    Script::new("requeue", source, Arity::exactly(3), Arity::exactly(1), &["queued", "stale"])
});

/// What `requeue` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeued {
    /// Any worker may read it.
    Queued,
    /// It stood for nothing any more and is gone.
    Stale,
}

impl Redis {
    /// Puts an entry that this worker received, and does not work by, back in line.
    ///
    /// # Errors
    /// As any call; made twice it answers [`Requeued::Stale`].
    pub async fn requeue(&self, entry: &Entry) -> Result<Requeued, RedisError> {
        let k = self.keys().of_lane(entry.partition, &entry.lane);
        let keys = [&k.lane, &k.around.jobs, &k.around.again].map(Clone::clone).to_vec();
        let reply = self.run(&SCRIPT, keys, vec![entry.name()]).await?;
        match reply.verdict() {
            "queued" => Ok(Requeued::Queued),
            "stale" => Ok(Requeued::Stale),
            _ => Err(reply.unknown()),
        }
    }
}
