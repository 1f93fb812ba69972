//! `pause.lua`: let all lanes of a product stand still, or go on.

use std::sync::LazyLock;

use super::{Arity, Redis, Script, flag};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    redis::RedisError,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/pause.lua");
    let replies = &["done", "same", "absent", "aged"];
    Script::new("pause", source, Arity::exactly(4).and_each(3), Arity::exactly(2), replies)
});

/// What `pause` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// It is so now.
    Done {
        /// Lanes with an open round.
        open: u32,
        /// Those among them that a worker holds and parks when what is in flight is settled.
        held: u32,
    },
    /// It was so before.
    Same,
    /// Check the product against MySQL and call again.
    Unchecked,
}

impl Redis {
    /// Pauses a product with all its lanes, or lets them go on.
    ///
    /// # Errors
    /// As any call; made twice it answers [`Paused::Same`].
    pub async fn pause(
        &self,
        partition: Partition,
        product: ProductId,
        channels: &[Channel],
        paused: bool,
    ) -> Result<Paused, RedisError> {
        let k = self.keys();
        let mut keys =
            vec![k.product(partition, product), k.log(partition), k.products(partition), k.signal(partition)];
        for channel in channels {
            let lane = LaneId { product, channel: channel.clone() };
            keys.extend([k.lane(partition, &lane), k.jobs(partition, channel), k.again(partition, channel)]);
        }
        let reply = self.run(&SCRIPT, keys, vec![product.to_string(), flag(paused)]).await?;
        Ok(match reply.verdict() {
            "done" => Paused::Done { open: reply.parse(1)?, held: reply.parse(2)? },
            "same" => Paused::Same,
            "absent" | "aged" => Paused::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }
}
