//! `reserve_pace.lua`: reserve moments of the shared pace, give unused ones back.

use std::{collections::HashMap, sync::LazyLock};

use fred::interfaces::HashesInterface;

use super::{Arity, Redis, Script, call_name, flag};
use crate::{
    ids::{Channel, Partition},
    limit::Limit,
    redis::RedisError,
};

/// The name of the pace of all channels together.
pub const TOTAL: &str = "total";
/// The script counts moments by cells of this length, in µs.
const CELL_US: i64 = 10_000;

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/reserve_pace.lua");
    let replies = &["granted", "wait", "unlimited", "paused"];
    Script::new("reserve_pace", source, Arity::exactly(3), Arity::exactly(8), replies)
});

/// One `reserve_pace` call.
#[derive(Debug, Clone, Copy)]
pub struct Reserve<'a> {
    /// For attempts on this channel.
    pub channel: &'a Channel,
    /// How many moments.
    pub wanted: u32,
    /// How far ahead they may lie, in µs.
    pub horizon_us: u64,
    /// The least time from now to the first, in µs.
    pub lead_us: u64,
    /// What the caller knows of MySQL's settings; Redis keeps the newest that it was given.
    pub limit: Limit,
    /// Moments at which nobody started after all, and how many of each.
    pub unused: &'a [(i64, u32)],
}

/// What `reserve_pace` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// Moments on Redis' clock.
    Granted {
        /// Redis' clock as it answered, µs since the epoch.
        now_us: i64,
        /// Moments in µs since the epoch, each with how many may start then; in order.
        moments: Vec<(i64, u32)>,
    },
    /// Ask again in so many µs.
    Wait(u64),
    /// There is no pace.
    Unlimited,
    /// Nobody may start.
    Paused,
}

/// The use of a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceUse {
    /// The rate that Redis goes by, starts a second; `None` before the first ask.
    pub rate: Option<i64>,
    /// Moments used, or given out and not yet back, in the last second of Redis' clock.
    pub last_second: i64,
}

impl Redis {
    /// Installs a limit that is newer than what Redis has.
    ///
    /// # Errors
    /// As any call; it may be made again.
    pub async fn set_limit(&self, channel: &Channel, limit: Limit) -> Result<(), RedisError> {
        let ask = Reserve { channel, wanted: 0, horizon_us: 0, lead_us: 0, limit, unused: &[] };
        self.reserve_pace(&ask).await.map(drop)
    }

    /// How much of a pace was used lately: [`TOTAL`], or a channel's.
    ///
    /// # Errors
    /// As any call.
    pub async fn pace_use(&self, name: &str) -> Result<PaceUse, RedisError> {
        let pace: HashMap<String, String> = self.client.hgetall(self.keys().pace(name)).await?;
        let number = |field: &str| pace.get(field).and_then(|text| text.parse::<i64>().ok());
        let current = self.now_ms(Partition(0)).await? * 1000 / CELL_US;
        let base = number("base").unwrap_or(0);
        let counts = pace.get("cells").map_or("", String::as_str).split(',');
        let second = current - 1_000_000 / CELL_US..current;
        let by_cell = (base..).zip(counts).filter(|(cell, _)| second.contains(cell));
        let last_second = by_cell.filter_map(|(_, count)| count.parse::<i64>().ok()).sum();
        Ok(PaceUse { rate: number("rate"), last_second })
    }

    /// Reserves moments.
    ///
    /// # Errors
    /// As any call; moments whose answer is lost are lost, and so are those that it was to give back.
    pub async fn reserve_pace(&self, reserve: &Reserve<'_>) -> Result<Reserved, RedisError> {
        let keys = self.keys();
        let keys = vec![keys.pace(TOTAL), keys.pace(reserve.channel.as_str()), keys.pace_call(&call_name())];
        let unused: Vec<String> = reserve.unused.iter().map(|(moment, count)| format!("{moment},{count}")).collect();
        let args = vec![
            reserve.wanted.to_string(),
            reserve.horizon_us.to_string(),
            reserve.lead_us.to_string(),
            reserve.limit.rate.to_string(),
            reserve.limit.channel_rate.to_string(),
            flag(reserve.limit.paused),
            reserve.limit.revision.to_string(),
            unused.join(";"),
        ];
        let reply = self.run(&SCRIPT, keys, args).await?;
        Ok(match reply.verdict() {
            "granted" => {
                let pairs = (2..reply.words.len()).step_by(2);
                let moments: Result<_, RedisError> =
                    pairs.map(|at| Ok((reply.parse(at)?, reply.parse(at + 1)?))).collect();
                Reserved::Granted { now_us: reply.parse(1)?, moments: moments? }
            }
            "wait" => Reserved::Wait(reply.parse(1)?),
            "unlimited" => Reserved::Unlimited,
            "paused" => Reserved::Paused,
            _ => return Err(reply.unknown()),
        })
    }
}
