//! `evict.lua`: forget a product that MySQL knows in full.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId},
    redis::RedisError,
    round::Stamp,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/evict.lua");
    let (keys, args) = (Arity::exactly(2).and_each(1), Arity::exactly(2).and_each(1));
    Script::new("evict", source, keys, args, &["evicted", "kept"])
});

/// One `evict` call: a product as MySQL has it.
#[derive(Debug, Clone)]
pub struct Evict<'a> {
    /// Where the product lies.
    pub partition: Partition,
    /// Which product.
    pub product: ProductId,
    /// Its stamp in MySQL.
    pub stamp: Stamp,
    /// Per lane the newest stamp in MySQL, over all its rounds. Every channel that was ever enabled must be here.
    pub lanes: &'a [(Channel, Option<Stamp>)],
}

/// What `evict` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evicted {
    /// Redis has forgotten it.
    Gone,
    /// It is being worked on, or MySQL does not have all of it.
    Kept,
}

impl Redis {
    /// Forgets a product, if nothing is lost by it.
    ///
    /// # Errors
    /// As any call.
    pub async fn evict(&self, evict: &Evict<'_>) -> Result<Evicted, RedisError> {
        let stamp = |stamp: &Stamp| format!("{}:{}", stamp.epoch, stamp.version);
        let mut keys = vec![self.keys().product(evict.partition, evict.product), self.keys().products(evict.partition)];
        let mut args = vec![evict.product.to_string(), stamp(&evict.stamp)];
        for (channel, newest) in evict.lanes {
            let lane = LaneId { product: evict.product, channel: channel.clone() };
            keys.push(self.keys().lane(evict.partition, &lane));
            args.push(newest.as_ref().map(stamp).unwrap_or_default());
        }
        let reply = self.run(&SCRIPT, keys, args).await?;
        match reply.verdict() {
            "evicted" => Ok(Evicted::Gone),
            "kept" => Ok(Evicted::Kept),
            _ => Err(reply.unknown()),
        }
    }
}
