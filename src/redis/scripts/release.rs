//! `release.lua`: hand a lane back.

use std::sync::LazyLock;

use super::{Arity, Hold, Script, Settlement};
use crate::redis::RedisError;

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/release.lua");
    let replies = &["released", "canceled", "paused", "lost"];
    Script::new("release", source, Arity::exactly(4), Arity::exactly(13), replies)
});

/// What `release` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Any worker may begin it.
    Queued,
    /// It was to be canceled, and is.
    Canceled,
    /// It was to be paused, and is.
    Paused,
    /// It was somebody else's.
    Lost,
}

impl Hold {
    /// Hands the lane back; nothing may be in flight any more.
    ///
    /// # Errors
    /// As any call.
    pub async fn release(&mut self, settlement: &Settlement) -> Result<Released, RedisError> {
        let reply = self.settle_last(&SCRIPT, settlement, []).await?;
        match reply.verdict() {
            "released" => Ok(Released::Queued),
            "canceled" => Ok(Released::Canceled),
            "paused" => Ok(Released::Paused),
            "lost" => Ok(Released::Lost),
            _ => Err(reply.unknown()),
        }
    }
}
