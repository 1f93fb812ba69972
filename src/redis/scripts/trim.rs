//! `trim.lua`: delete what MySQL has from the log.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::{
    ids::Partition,
    redis::{RedisError, entry_id::EntryId},
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/trim.lua");
    Script::new("trim", source, Arity::exactly(2), Arity::exactly(4), &["trimmed", "other"])
});

/// The most entries deleted by one command, where each is looked for.
const BY_ID_MAX: usize = 1000;

/// Where entries of a log were read.
#[derive(Debug, Clone, Copy)]
pub struct ReadFrom<'a> {
    /// The incarnation of the log.
    pub incarnation: &'a str,
    /// What [`Redis::run_id_of`] said before they were read.
    pub run_id: &'a str,
}

impl Redis {
    /// Deletes entries that MySQL has: those of this log from the first to the last of them, and no other.
    ///
    /// # Errors
    /// As any call; some of them may be deleted then.
    pub async fn delete_log(
        &self,
        partition: Partition,
        read: ReadFrom<'_>,
        entries: &[EntryId],
    ) -> Result<(), RedisError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let keys = vec![self.keys().log(partition), self.keys().meta(partition)];
        let args = vec![read.incarnation.to_owned(), read.run_id.to_owned(), first.to_string(), last.to_string()];
        let reply = self.run(&SCRIPT, keys, args).await?;
        match reply.verdict() {
            "trimmed" => return Ok(()),
            "other" => {}
            _ => return Err(reply.unknown()),
        }
        for chunk in entries.chunks(BY_ID_MAX) {
            self.delete_log_entries(partition, chunk.iter().map(EntryId::to_string).collect()).await?;
        }
        Ok(())
    }
}
