//! `advance.lua`: settle what is finished, and ask whether the next people may start.

use std::sync::LazyLock;

use super::{
    Hold, Reply, Script, Settlement,
    joint::{Arguments, Joint, Shape},
};
use crate::redis::RedisError;

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let replies = &["go", "full", "drain", "sold_out", "canceled", "paused", "completed", "retried", "lost"];
    let source = include_str!("../../../lua/advance.lua");
    Script::shared("advance", source, Shape { around: 3, own: 15, common: 2 }, replies)
});

/// One `advance` call.
#[derive(Debug, Clone)]
pub struct Advance {
    /// What is finished.
    pub settlement: Settlement,
    /// People started or settled whom this call does not carry. While there are any, a round that must stop
    /// answers [`Advanced::Drain`] and ends at the call that carries the last of them.
    pub outstanding: usize,
    /// Nobody is left up to `upto`, or none of the FAILED who are told again.
    pub exhausted: bool,
    /// Length of the lease, in ms.
    pub claim_idle_ms: u64,
    /// Entries in the log at which nobody is authorised.
    pub backlog_max: u64,
}

/// Why a round stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Stock was gone when `advance` looked.
    SoldOut,
    /// Somebody canceled it.
    Canceled,
    /// Somebody paused the lane.
    Paused,
}

/// What `advance` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advanced {
    /// Start the next; all authorisations of the hold are fresh.
    Go,
    /// Start nobody for now: MySQL is behind.
    Full,
    /// Start nobody, settle what is in flight and call again.
    Drain(Stop),
    /// The round has ended, or the lane stands still.
    Stopped(Stop),
    /// The round has ended: everybody is settled.
    Completed,
    /// The FAILED are told again, and the round goes on by an entry of its own.
    Retried,
    /// Somebody else holds the lane, or it is gone.
    Lost,
}

impl Hold {
    /// Settles and asks. The returned future owns all it needs and may be retried only by its own loop: see
    /// [`PendingAdvance::call`].
    #[must_use]
    pub fn advance(&mut self, advance: &Advance) -> PendingAdvance {
        let settlement = &advance.settlement;
        let mut own = Arguments::default();
        self.next_settling_call(settlement).into_iter().for_each(|argument| own.push(argument));
        let own = own.with(advance.outstanding).with(u8::from(advance.exhausted)).with(settlement.people());
        let common = Arguments::default().with(advance.claim_idle_ms).with(advance.backlog_max);
        PendingAdvance { redis: self.redis.clone(), call: Joint { keys: self.keys.clone(), own, common } }
    }
}

/// An `advance` call with its arguments fixed, so that sending it twice does no harm.
#[derive(Debug)]
pub struct PendingAdvance {
    redis: super::Redis,
    call: Joint,
}

impl PendingAdvance {
    /// Makes the call; it may be made again when it failed.
    ///
    /// # Errors
    /// As any call.
    pub async fn call(&self) -> Result<Advanced, RedisError> {
        parse(&self.redis.run_together(&SCRIPT, self.call.clone()).await?)
    }
}

fn parse(reply: &Reply) -> Result<Advanced, RedisError> {
    Ok(match reply.verdict() {
        "go" => Advanced::Go,
        "full" => Advanced::Full,
        "drain" => Advanced::Drain(stop(reply.word(1)).ok_or_else(|| reply.unknown())?),
        "completed" => Advanced::Completed,
        "retried" => Advanced::Retried,
        "lost" => Advanced::Lost,
        other => Advanced::Stopped(stop(other).ok_or_else(|| reply.unknown())?),
    })
}

fn stop(word: &str) -> Option<Stop> {
    match word {
        "sold_out" => Some(Stop::SoldOut),
        "canceled" => Some(Stop::Canceled),
        "paused" => Some(Stop::Paused),
        _ => None,
    }
}
