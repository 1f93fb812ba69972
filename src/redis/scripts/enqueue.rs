//! `enqueue.lua`: accept one restock.

use std::sync::LazyLock;

use super::{Arity, Redis, Script, call_name, text};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId, Round},
    limit::STOCK_MAX,
    redis::RedisError,
    trace,
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let replies = &["queued", "known", "no_stock", "above", "conflict", "full", "channels", "absent", "aged"];
    let source = include_str!("../../../lua/enqueue.lua");
    Script::new("enqueue", source, Arity::exactly(5).and_each(3), Arity::exactly(8), replies)
});

/// One `enqueue` call.
#[derive(Debug, Clone, Copy)]
pub struct Enqueue<'a> {
    /// Where the product lies.
    pub partition: Partition,
    /// What is restocked.
    pub product: ProductId,
    /// Units that came in.
    pub quantity: u32,
    /// The producer's key, or `#<request>`; without one every call counts.
    pub key: Option<&'a str>,
    /// The row in `restock_request`, if there is one.
    pub request: Option<i64>,
    /// Entries in the log at which nothing is accepted.
    pub backlog_max: u64,
    /// The enabled channels.
    pub channels: &'a [Channel],
}

/// What `enqueue` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// Accepted as this round.
    Queued(Round),
    /// Accepted before, under the same key, as this round.
    Known(Round),
    /// Refused: there is nothing to announce; the stock it would have had.
    NoStock(i64),
    /// Refused: the stock would be above this, the most that a product can have.
    Above(i64),
    /// Refused: the key was used with this other quantity.
    Conflict(u32),
    /// Nothing was written: MySQL is behind.
    Full,
    /// Nothing was written: these are the enabled channels.
    Channels(String),
    /// Nothing was written: check the product against MySQL and call again.
    Unchecked,
}

impl Redis {
    /// Accepts one restock.
    ///
    /// # Errors
    /// As any call. Whether it was accepted is then not known, unless it had a key.
    pub async fn enqueue(&self, enqueue: &Enqueue<'_>) -> Result<Enqueued, RedisError> {
        let Enqueue { partition, product, .. } = *enqueue;
        let k = self.keys();
        let memory = match enqueue.key {
            Some(key) => k.seen(partition, product, key),
            None => k.call(partition, &call_name()),
        };
        let mut keys =
            vec![k.product(partition, product), k.meta(partition), k.log(partition), k.products(partition), memory];
        for channel in enqueue.channels {
            let lane = LaneId { product, channel: channel.clone() };
            keys.extend([k.lane(partition, &lane), k.jobs(partition, channel), k.again(partition, channel)]);
        }
        let args = vec![
            product.to_string(),
            enqueue.quantity.to_string(),
            text(enqueue.key),
            text(enqueue.request),
            enqueue.backlog_max.to_string(),
            channel_list(enqueue.channels),
            STOCK_MAX.to_string(),
            // Of the work under way, as a trace is: a caller has nothing to do with it.
            text(trace::current()),
        ];
        let reply = self.run(&SCRIPT, keys, args).await?;
        Ok(match reply.verdict() {
            "queued" => Enqueued::Queued(reply.parse(1)?),
            "known" => Enqueued::Known(reply.parse(1)?),
            "no_stock" => Enqueued::NoStock(reply.parse(1)?),
            "above" => Enqueued::Above(reply.parse(1)?),
            "conflict" => Enqueued::Conflict(reply.parse(1)?),
            "full" => Enqueued::Full,
            "channels" => Enqueued::Channels(reply.word(1).to_owned()),
            "absent" | "aged" => Enqueued::Unchecked,
            _ => return Err(reply.unknown()),
        })
    }
}

/// Channels as the partitions' meta hashes mirror them: `name,…`.
#[must_use]
pub fn channel_list(channels: &[Channel]) -> String {
    channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(",")
}
