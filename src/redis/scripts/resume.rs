//! `resume.lua`: queue a round that has ended again.

use std::sync::LazyLock;

use super::{Arity, Redis, Script, call_name, flag, text};
use crate::{
    ids::{LaneId, Partition, Place, Round, UserId},
    outcome::Outcome,
    redis::RedisError,
    round::Status,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/resume.lua");
    let replies = &["queued", "not_canceled", "nobody_failed", "no_stock", "moved", "absent", "aged"];
    Script::new("resume", source, Arity::exactly(7), Arity::exactly(6), replies)
});

/// The person to give up, as the caller found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// The cursor before them.
    pub cursor: Option<Place>,
    /// Their place.
    pub place: Place,
    /// Who.
    pub user: UserId,
    /// [`Outcome::Failed`], or [`Outcome::Unknown`] when their last attempt got no answer.
    pub outcome: Outcome,
}

/// What goes before the round goes on after the last person settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// This person is given up.
    Skip(Skip),
    /// Those who FAILED in the round are told again, also when it was completed; then nobody else is told in it.
    RetryFailed,
}

/// What `resume` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumed {
    /// The round goes on.
    Queued(Round),
    /// Nothing to resume: the lane's round is this, or it has none.
    NotCanceled(Option<Status>),
    /// Nobody FAILED in this round.
    NobodyFailed(Round),
    /// There is nothing to announce.
    NoStock(i64),
    /// The round stands here now, blocked by this person: look again.
    Moved(Option<Place>, Option<UserId>),
    /// Check the product against MySQL and call again.
    Unchecked,
}

impl Redis {
    /// Queues a round that has ended again.
    ///
    /// # Errors
    /// As any call.
    pub async fn resume(&self, partition: Partition, lane: &LaneId, before: Before) -> Result<Resumed, RedisError> {
        let skip = match before {
            Before::Skip(skip) => Some(skip),
            Before::Nothing | Before::RetryFailed => None,
        };
        let k = self.keys().of_lane(partition, lane);
        let call = self.keys().call(partition, &call_name());
        let around = &k.around;
        let keys = [&k.lane, &k.product, &around.log, &around.jobs, &around.again, &around.products, &call]
            .map(Clone::clone)
            .to_vec();
        let args = vec![
            u8::from(skip.is_some()).to_string(),
            text(skip.and_then(|skip| skip.cursor)),
            text(skip.map(|skip| skip.place)),
            text(skip.map(|skip| skip.user)),
            text(skip.map(|skip| skip.outcome.letter())),
            flag(before == Before::RetryFailed),
        ];
        let reply = self.run(&SCRIPT, keys, args).await?;
        Ok(match reply.verdict() {
            "queued" => Resumed::Queued(reply.parse(1)?),
            "not_canceled" => Resumed::NotCanceled(reply.optional(1)?),
            "nobody_failed" => Resumed::NobodyFailed(reply.parse(1)?),
            "no_stock" => Resumed::NoStock(reply.parse(1)?),
            "moved" => Resumed::Moved(reply.optional(1)?, reply.optional(2)?),
            "absent" | "aged" => Resumed::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }
}
