//! The hint that the inbox has new messages: a sharded channel whose messages say nothing. It only makes readers look sooner
//! than they would: what is lost here is found in MySQL.

use fred::interfaces::PubsubInterface;
use tokio::sync::mpsc;

use super::{Redis, RedisError, signal};

impl Redis {
    /// Tells everybody who listens that there are new messages.
    ///
    /// # Errors
    /// As any call.
    pub async fn hint_inbox(&self) -> Result<(), RedisError> {
        Ok(self.client.spublish(self.keys.inbox_hint(), "").await?)
    }
}

/// Listens on a connection of its own, without end. Hints that nobody takes are dropped; after a lost connection it gives
/// one, since some may have been missed.
///
/// # Errors
/// When the first connection cannot be made.
pub async fn listen(redis: &Redis) -> Result<mpsc::Receiver<()>, RedisError> {
    signal::listen_on(redis, vec![redis.keys().inbox_hint()], |_| Some(()), ()).await
}
