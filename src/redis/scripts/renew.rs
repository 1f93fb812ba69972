//! `renew.lua`: keep a hold alive.

use std::sync::LazyLock;

use super::{Arity, Hold, Redis, Script, text};
use crate::redis::RedisError;

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/renew.lua");
    Script::new("renew", source, Arity::exactly(4), Arity::exactly(7), &["ok", "lost"])
});

/// One `renew` call.
#[derive(Debug, Clone, Copy)]
pub struct Renew<'a> {
    /// Length of the lease, in ms.
    pub claim_idle_ms: u64,
    /// For whom the entry is to be pending.
    pub consumer: &'a str,
    /// Attempts already made for the next person.
    pub tries: u32,
    /// When the first of them started, µs since the epoch.
    pub tried_us: Option<i64>,
}

impl Hold {
    /// Prolongs the lease.
    #[must_use]
    pub fn renew(&mut self, renew: &Renew<'_>) -> PendingRenew {
        let mut args = self.next_call().to_vec();
        args.extend([
            renew.claim_idle_ms.to_string(),
            renew.consumer.to_owned(),
            renew.tries.to_string(),
            text(renew.tried_us),
        ]);
        let k = &self.keys;
        let keys = [&k.lane, &k.around.jobs, &k.around.again, &k.around.log].map(Clone::clone).to_vec();
        PendingRenew { redis: self.redis.clone(), keys, args }
    }
}

/// A `renew` call with its arguments fixed, so that sending it twice does no harm.
#[derive(Debug)]
pub struct PendingRenew {
    redis: Redis,
    keys: Vec<String>,
    args: Vec<String>,
}

impl PendingRenew {
    /// Makes the call; it may be made again when it failed. `false` when the lane was lost.
    ///
    /// # Errors
    /// As any call.
    pub async fn call(&self) -> Result<bool, RedisError> {
        let reply = self.redis.run(&SCRIPT, self.keys.clone(), self.args.clone()).await?;
        match reply.verdict() {
            "ok" => Ok(true),
            "lost" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
