//! `begin.lua`: take a lane.

use std::sync::{Arc, LazyLock};

use super::{
    Hold, Redis, Script,
    joint::{Arguments, Joint, Shape},
};
use crate::{
    ids::{Place, Round},
    redis::{RedisError, jobs::Entry},
    round::{Stamp, Status, decode_places},
    trace::Traceparent,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let replies = &["go", "look", "busy", "stale", "canceled", "paused", "buried", "absent", "aged"];
    let source = include_str!("../../../lua/begin.lua");
    Script::shared("begin", source, Shape { around: 4, own: 5, common: 4 }, replies)
});

/// What the caller saw of the line after it received the entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstLook {
    /// The newest place of somebody who waits.
    pub newest: Option<Place>,
    /// After which place it looked for people.
    pub after: Option<Place>,
    /// Whether nobody waits there.
    pub nobody: bool,
}

/// One `begin` call.
#[derive(Debug, Clone)]
pub struct Begin<'a> {
    /// The entry that was received.
    pub entry: &'a Entry,
    /// A fresh random token; the same when the call is made again because its answer was lost.
    pub token: &'a str,
    /// Who takes the lane.
    pub consumer: &'a str,
    /// Length of the lease, in ms.
    pub claim_idle_ms: u64,
    /// Expired leases in a row, nobody settled, after which the round is given up.
    pub attempts_max: u32,
    /// The line, as the caller sees it.
    pub look: FirstLook,
    /// Entries in the log at which nobody is authorised.
    pub backlog_max: u64,
}

/// A lane that is held now.
#[derive(Debug)]
pub struct Begun {
    /// The right to settle it.
    pub hold: Hold,
    /// Which round.
    pub round: Round,
    /// Where the round starts.
    pub from: Option<Place>,
    /// The last person settled; of those who are told again, while there is a `retry_of`.
    pub cursor: Option<Place>,
    /// The last place of the round; `None` when nobody was in line as it began.
    pub upto: Option<Place>,
    /// Places settled beyond the cursor.
    pub ahead: Vec<Place>,
    /// Attempts already made for the next person.
    pub tries: u32,
    /// When the first of them started, µs since the epoch.
    pub tried_us: Option<i64>,
    /// Those who FAILED are told again: the status that the round had before.
    pub retry_of: Option<Status>,
    /// How new the state of the lane is.
    pub stamp: Stamp,
    /// The first people may start, as after [`super::Advanced::Go`].
    pub may_start: bool,
    /// Who follows the round. Not the entry's: that may have been made for a round overtaken since.
    pub traceparent: Option<Traceparent>,
}

/// What `begin` answered.
#[derive(Debug)]
pub enum BeginReply {
    /// The lane is held.
    Go(Box<Begun>),
    /// The first begin of a round that goes on: look after `from` and begin again.
    Look {
        /// Where the round is to start.
        from: Place,
        /// Places there that were settled in the round before.
        ahead: Vec<Place>,
    },
    /// Somebody's lease runs this many ms longer.
    Busy(u64),
    /// The entry stood for nothing any more and is gone.
    Stale,
    /// The round has ended as canceled.
    Canceled,
    /// The lane stands still.
    Paused,
    /// The round was given up.
    Buried,
    /// Check the product against MySQL and begin again.
    Unchecked,
}

impl Redis {
    /// Takes the lane that an entry stands for.
    ///
    /// # Errors
    /// As any call; it may be made again with the same token.
    pub async fn begin(&self, begin: &Begin<'_>) -> Result<BeginReply, RedisError> {
        let Entry { partition, lane, .. } = begin.entry;
        let keys = Arc::new(self.keys().of_lane(*partition, lane));
        let own = Arguments::default()
            .with(begin.token)
            .with_optional(begin.look.newest)
            .with_optional(begin.look.after)
            .with(u8::from(begin.look.nobody))
            .with(begin.entry.name());
        let common = Arguments::default()
            .with(begin.consumer)
            .with(begin.claim_idle_ms)
            .with(begin.attempts_max)
            .with(begin.backlog_max);
        let reply = self.run_together(&SCRIPT, Joint { keys: keys.clone(), own, common }).await?;
        Ok(match reply.verdict() {
            "go" => {
                let cursor = reply.optional(3)?;
                BeginReply::Go(Box::new(Begun {
                    hold: Hold::new(self.clone(), keys, begin.token.to_owned(), cursor),
                    round: reply.parse(1)?,
                    from: reply.optional(2)?,
                    cursor,
                    upto: reply.optional(4)?,
                    ahead: reply.with(decode_places, 5)?,
                    tries: reply.optional(6)?.unwrap_or(0),
                    tried_us: reply.optional(7)?,
                    retry_of: reply.optional(8)?,
                    stamp: Stamp { epoch: reply.parse(9)?, version: reply.parse(10)? },
                    may_start: reply.word(11) == "1",
                    traceparent: Traceparent::parse(reply.word(12)),
                }))
            }
            "look" => BeginReply::Look { from: reply.parse(1)?, ahead: reply.with(decode_places, 2)? },
            "busy" => BeginReply::Busy(reply.parse(1)?),
            "stale" => BeginReply::Stale,
            "canceled" => BeginReply::Canceled,
            "paused" => BeginReply::Paused,
            "buried" => BeginReply::Buried,
            "absent" | "aged" => BeginReply::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }
}
