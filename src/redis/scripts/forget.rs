//! `forget.lua`: take a person out of a product's lanes.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId, UserId},
    redis::RedisError,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/forget.lua");
    Script::new("forget", source, Arity::exactly(0).and_each(1), Arity::exactly(1), &["forgotten", "unknown"])
});

impl Redis {
    /// Takes a user out of these lanes of a product, as the last one settled and as the one who blocks the round; whether
    /// one of them named the user.
    ///
    /// # Errors
    /// As any call.
    pub async fn forget(
        &self,
        partition: Partition,
        product: ProductId,
        channels: &[Channel],
        user: UserId,
    ) -> Result<bool, RedisError> {
        let lane = |channel: &Channel| self.keys().lane(partition, &LaneId { product, channel: channel.clone() });
        let reply = self.run(&SCRIPT, channels.iter().map(lane).collect(), vec![user.to_string()]).await?;
        match reply.verdict() {
            "forgotten" => Ok(true),
            "unknown" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
