//! `reclaim.lua`: take a lane away from a silent owner.

use std::sync::LazyLock;

use super::{Arity, Redis, Script, call_name, text};
use crate::{
    ids::{LaneId, Partition, Round},
    redis::RedisError,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/reclaim.lua");
    let replies = &["reclaimed", "alive", "waiting", "closed", "absent"];
    Script::new("reclaim", source, Arity::exactly(6), Arity::exactly(3), replies)
});

/// The least silence of who was given an entry and began nothing, unless the caller says otherwise, in ms.
const UNBEGUN_IDLE_MS: u64 = 15_000;

/// How long an owner must have been silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// So long that a living one would have renewed its lease: half of it, or 15 s before it began.
    Suspicious,
    /// At least so many ms; 0 takes the lane from anybody.
    AtLeast(u64),
}

/// What `reclaim` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reclaimed {
    /// It was taken away: any worker takes over.
    Taken(Silent),
    /// Its owner has not been silent for that long.
    Alive(Silent),
    /// Nobody has it, and any worker takes it.
    Waiting(Round),
    /// No round is open, or it stands still.
    Closed,
    /// Redis does not hold the lane.
    Absent,
}

/// Who has a lane, and for how long they have said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// Which round.
    pub round: Round,
    /// The consumer; none when its entry was lost.
    pub owner: Option<String>,
    /// In ms.
    pub silent_ms: u64,
}

impl Redis {
    /// Takes a lane away from an owner that is silent; with `dry_run` it only says whether it would.
    ///
    /// # Errors
    /// As any call.
    pub async fn reclaim(
        &self,
        partition: Partition,
        lane: &LaneId,
        silence: Silence,
        dry_run: bool,
    ) -> Result<Reclaimed, RedisError> {
        let k = self.keys().of_lane(partition, lane);
        let call = self.keys().call(partition, &call_name());
        let least_ms = match silence {
            Silence::Suspicious => None,
            Silence::AtLeast(ms) => Some(ms),
        };
        let args = vec![text(least_ms), UNBEGUN_IDLE_MS.to_string(), u8::from(dry_run).to_string()];
        let around = &k.around;
        let keys =
            [&k.lane, &around.jobs, &around.again, &around.signal, &call, &around.log].map(Clone::clone).to_vec();
        let reply = self.run(&SCRIPT, keys, args).await?;
        let silent = || {
            Ok::<_, RedisError>(Silent {
                round: reply.parse(1)?,
                owner: reply.optional(2)?,
                silent_ms: reply.parse(3)?,
            })
        };
        Ok(match reply.verdict() {
            "reclaimed" => Reclaimed::Taken(silent()?),
            "alive" => Reclaimed::Alive(silent()?),
            "waiting" => Reclaimed::Waiting(reply.parse(1)?),
            "closed" => Reclaimed::Closed,
            "absent" => Reclaimed::Absent,
            _ => return Err(reply.unknown()),
        })
    }
}
