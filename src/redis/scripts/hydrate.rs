//! `hydrate.lua`: install MySQL's state.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{Arity, Redis, Script, flag, text};
use crate::{
    ids::{Channel, LaneId, Partition, ProductId, Round},
    redis::RedisError,
    round::{RoundState, Stamp, encode_places},
};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/hydrate.lua");
    let (keys, args) = (Arity::exactly(3).and_each(3), Arity::exactly(7).and_each(2));
    Script::new("hydrate", source, keys, args, &["done", "newer"])
});

/// A lane as MySQL knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRecord {
    /// Its channel.
    pub channel: Channel,
    /// Its current or last round; `None` when it never had one.
    pub current: Option<RoundState>,
    /// A newer round that waits, and when it was queued, in µs since the epoch.
    pub waiting: Option<(Round, i64)>,
    /// The newest stamp over all its rows.
    pub stamp: Stamp,
}

/// One `hydrate` call: a product as MySQL has it.
#[derive(Debug, Clone)]
pub struct Hydrate {
    /// Where the product lies.
    pub partition: Partition,
    /// Which product.
    pub product: ProductId,
    /// Units in stock.
    pub stock: i64,
    /// Its last round, 0 before the first.
    pub round: u32,
    /// Whether it stands still.
    pub paused: bool,
    /// The stamp of this state: the epoch under which it was written, not the one reserved now.
    pub stamp: Stamp,
    /// The new epoch, reserved and committed in MySQL.
    pub epoch: u64,
    /// Its lanes: all enabled channels, and those with rows.
    pub lanes: Vec<LaneRecord>,
}

/// What `hydrate` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hydrated {
    /// So many lanes were installed; the others were as new.
    Done(u64),
    /// Redis is at this epoch already, which is the same or later: reserve one above it.
    Newer(u64),
}

impl Redis {
    /// Installs what Redis lacks.
    ///
    /// # Errors
    /// As any call; it may be made again.
    pub async fn hydrate(&self, hydrate: &Hydrate) -> Result<Hydrated, RedisError> {
        let Hydrate { partition, product, .. } = *hydrate;
        let k = self.keys();
        let mut keys = vec![k.product(partition, product), k.products(partition), k.log(partition)];
        let mut args = vec![
            product.to_string(),
            hydrate.stock.to_string(),
            hydrate.round.to_string(),
            hydrate.stamp.version.to_string(),
            hydrate.epoch.to_string(),
            hydrate.stamp.epoch.to_string(),
            flag(hydrate.paused),
        ];
        for record in &hydrate.lanes {
            let lane = LaneId { product, channel: record.channel.clone() };
            keys.extend([
                k.lane(partition, &lane),
                k.jobs(partition, &record.channel),
                k.again(partition, &record.channel),
            ]);
            args.extend([record.channel.to_string(), fields(record)]);
        }
        let reply = self.run(&SCRIPT, keys, args).await?;
        match reply.verdict() {
            "done" => Ok(Hydrated::Done(reply.parse(1)?)),
            "newer" => Ok(Hydrated::Newer(reply.parse(1)?)),
            _ => Err(reply.unknown()),
        }
    }
}

/// The lane as a JSON object of the fields of its hash, or empty.
fn fields(record: &LaneRecord) -> String {
    let Some(state) = &record.current else { return String::new() };
    let counts = state.counts;
    let fields = BTreeMap::from([
        ("round", state.round.to_string()),
        ("status", state.status.to_string()),
        ("from", text(state.from)),
        ("cursor", text(state.cursor)),
        ("upto", text(state.upto)),
        ("ahead", encode_places(&state.ahead)),
        ("last_user", text(state.last_user)),
        ("blocked_user", text(state.blocked_user)),
        ("sent", counts.sent.to_string()),
        ("skipped", counts.skipped.to_string()),
        ("failed", counts.failed.to_string()),
        ("unknown", counts.unknown.to_string()),
        ("retry_of", text(state.retry_of)),
        ("retry_cursor", String::new()),
        ("reason", text(state.reason.as_ref())),
        ("queued_at", text(state.queued_us)),
        ("started_at", text(state.started_us)),
        ("ended_at", text(state.ended_us)),
        ("waiting", text(record.waiting.map(|(round, _)| round))),
        ("waiting_at", text(record.waiting.map(|(_, at)| at))),
        ("epoch", record.stamp.epoch.to_string()),
        ("version", record.stamp.version.to_string()),
        ("attempts", "0".to_owned()),
        ("tries", "0".to_owned()),
        ("tried_at", String::new()),
        ("stopping", String::new()),
        ("cancel", String::new()),
    ]);
    serde_json::to_string(&fields).unwrap_or_default()
}
