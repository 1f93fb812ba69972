//! `drop_consumer.lua`: take a consumer without a process out of the group.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::redis::{RedisError, inspect::JobStream};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/drop_consumer.lua");
    Script::new("drop_consumer", source, Arity::exactly(1), Arity::exactly(2), &["dropped", "kept"])
});

impl Redis {
    /// Takes a consumer out of the group, if nothing is pending for it and it has been silent for `idle_ms`; whether it
    /// was.
    ///
    /// # Errors
    /// As any call.
    pub async fn drop_consumer(&self, stream: &JobStream, name: &str, idle_ms: u64) -> Result<bool, RedisError> {
        let args = vec![name.to_owned(), idle_ms.to_string()];
        let reply = self.run(&SCRIPT, vec![self.stream_key(stream)], args).await?;
        match reply.verdict() {
            "dropped" => Ok(true),
            "kept" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
