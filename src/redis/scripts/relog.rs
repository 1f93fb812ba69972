//! `relog.lua`: log a product's state again.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    redis::RedisError,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/relog.lua");
    Script::new("relog", source, Arity::exactly(3).and_each(1), Arity::exactly(1), &["logged", "absent"])
});

/// What `relog` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relogged {
    /// Everything is in the log again.
    Logged,
    /// Redis does not hold the product.
    Absent,
}

impl Redis {
    /// Logs the absolute state of a product and its lanes again.
    ///
    /// # Errors
    /// As any call.
    pub async fn relog(
        &self,
        partition: Partition,
        product: ProductId,
        channels: &[Channel],
    ) -> Result<Relogged, RedisError> {
        let k = self.keys();
        let mut keys = vec![k.product(partition, product), k.products(partition), k.log(partition)];
        keys.extend(channels.iter().map(|channel| k.lane(partition, &LaneId { product, channel: channel.clone() })));
        let reply = self.run(&SCRIPT, keys, vec![product.to_string()]).await?;
        match reply.verdict() {
            "logged" => Ok(Relogged::Logged),
            "absent" => Ok(Relogged::Absent),
            _ => Err(reply.unknown()),
        }
    }
}
