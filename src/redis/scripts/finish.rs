//! `finish.lua`: end a round that cannot go on.

use std::sync::LazyLock;

use super::{Arity, Hold, Script, Settlement, text};
use crate::{ids::UserId, redis::RedisError, round::Status};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/finish.lua");
    Script::new("finish", source, Arity::exactly(4), Arity::exactly(16), &["finished", "lost"])
});

/// One `finish` call.
#[derive(Debug, Clone)]
pub struct Finish {
    /// What is finished; nothing may be in flight any more.
    pub settlement: Settlement,
    /// [`Status::CanceledByError`] or [`Status::CanceledByAdmin`].
    pub status: Status,
    /// Why, for people.
    pub reason: String,
    /// Who could not be told.
    pub blocked_user: Option<UserId>,
}

impl Hold {
    /// Ends the round. `false` when the lane was lost.
    ///
    /// # Errors
    /// As any call.
    pub async fn finish(&mut self, finish: &Finish) -> Result<bool, RedisError> {
        let more = [finish.status.to_string(), finish.reason.clone(), text(finish.blocked_user)];
        let reply = self.settle_last(&SCRIPT, &finish.settlement, more).await?;
        match reply.verdict() {
            "finished" => Ok(true),
            "lost" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
