//! `bury.lua`: set an unreadable entry aside.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::{
    ids::{Channel, Partition},
    redis::{RedisError, jobs::Line},
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/bury.lua");
    Script::new("bury", source, Arity::exactly(2), Arity::exactly(2), &["buried", "gone"])
});

/// Which entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable<'a> {
    /// Where it lies.
    pub partition: Partition,
    /// On whose streams.
    pub channel: &'a Channel,
    /// On which of them.
    pub line: Line,
    /// Its id there.
    pub id: &'a str,
    /// Why it cannot be read, for people.
    pub reason: &'a str,
}

impl Redis {
    /// Moves an entry to the dead stream; `false` when it is gone already.
    ///
    /// # Errors
    /// As any call.
    pub async fn bury(&self, entry: &Unreadable<'_>) -> Result<bool, RedisError> {
        let Unreadable { partition, channel, line, id, reason } = *entry;
        let keys = vec![self.keys().stream(partition, channel, line), self.keys().dead(partition, channel)];
        let reply = self.run(&SCRIPT, keys, vec![id.to_owned(), reason.to_owned()]).await?;
        match reply.verdict() {
            "buried" => Ok(true),
            "gone" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
