//! `cancel.lua`: end a round by somebody's wish.

use std::sync::LazyLock;

use super::{Arity, Redis, Script, call_name};
use crate::{
    ids::{LaneId, Partition, Round},
    redis::RedisError,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/cancel.lua");
    let replies = &["canceled", "told", "nothing", "absent", "aged"];
    Script::new("cancel", source, Arity::exactly(7), Arity::exactly(1), replies)
});

/// What `cancel` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canceled {
    /// The round has ended.
    Ended(Round),
    /// Its owner ends it when what is in flight is settled.
    Told(Round),
    /// No round is open.
    Nothing,
    /// Check the product against MySQL and call again.
    Unchecked,
}

impl Redis {
    /// Ends the open round of a lane, and the one that waits behind it. `reason` is for people and not empty.
    ///
    /// # Errors
    /// As any call.
    pub async fn cancel(&self, partition: Partition, lane: &LaneId, reason: &str) -> Result<Canceled, RedisError> {
        let k = self.keys().of_lane(partition, lane);
        let call = self.keys().call(partition, &call_name());
        let around = &k.around;
        let keys = [&k.lane, &around.log, &around.jobs, &around.again, &around.signal, &call, &k.product]
            .map(Clone::clone)
            .to_vec();
        let reply = self.run(&SCRIPT, keys, vec![reason.to_owned()]).await?;
        Ok(match reply.verdict() {
            "canceled" => Canceled::Ended(reply.parse(1)?),
            "told" => Canceled::Told(reply.parse(1)?),
            "nothing" => Canceled::Nothing,
            "absent" | "aged" => Canceled::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }
}
