//! `reserve_pace.lua`: reserve moments of the shared pace.

use std::{collections::HashMap, sync::LazyLock};

use fred::interfaces::HashesInterface;

use super::{Arity, Redis, Script, flag};
use crate::{ids::Partition, limit::Limit, redis::RedisError};

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/reserve_pace.lua");
    let replies = &["granted", "wait", "unlimited", "paused"];
    Script::new("reserve_pace", source, Arity::exactly(1), Arity::exactly(6), replies)
});

/// One `reserve_pace` call.
#[derive(Debug, Clone, Copy)]
pub struct Reserve<'a> {
    /// Whose pace: `total`, or a channel.
    pub name: &'a str,
    /// How many moments.
    pub wanted: u32,
    /// How far ahead they may lie, in µs.
    pub horizon_us: u64,
    /// The least time from now to the first, in µs.
    pub lead_us: u64,
    /// What the caller knows of MySQL's setting; Redis keeps the newest that it was given.
    pub limit: Limit,
}

/// What `reserve_pace` answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// Moments on Redis' clock.
    Granted {
        /// How many.
        count: u32,
        /// The first, µs since the epoch.
        first_us: i64,
        /// From one to the next, µs.
        interval_us: i64,
        /// Redis' clock as it answered, µs since the epoch.
        now_us: i64,
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
    /// Moments given out in the last whole second of Redis' clock.
    pub last_second: i64,
}

impl Redis {
    /// Installs a limit that is newer than what Redis has.
    ///
    /// # Errors
    /// As any call; it may be made again.
    pub async fn set_limit(&self, name: &str, limit: Limit) -> Result<(), RedisError> {
        self.reserve_pace(&Reserve { name, wanted: 0, horizon_us: 0, lead_us: 0, limit }).await.map(drop)
    }

    /// How much of the pace was used lately.
    ///
    /// # Errors
    /// As any call.
    pub async fn pace_use(&self, name: &str) -> Result<PaceUse, RedisError> {
        let pace: HashMap<String, String> = self.client.hgetall(self.keys().pace(name)).await?;
        let number = |field: &str| pace.get(field).and_then(|text| text.parse::<i64>().ok());
        let now_s = self.now_ms(Partition(0)).await? / 1000;
        let second = number("second").unwrap_or(0);
        let (given, before) = (number("given").unwrap_or(0), number("before").unwrap_or(0));
        let last_second = match now_s.saturating_sub(second) {
            0 => before,
            1 => given,
            _ => 0,
        };
        Ok(PaceUse { rate: number("rate"), last_second })
    }

    /// Reserves moments.
    ///
    /// # Errors
    /// As any call; moments whose answer is lost are lost.
    pub async fn reserve_pace(&self, reserve: &Reserve<'_>) -> Result<Reserved, RedisError> {
        let args = vec![
            reserve.wanted.to_string(),
            reserve.horizon_us.to_string(),
            reserve.lead_us.to_string(),
            reserve.limit.rate.to_string(),
            flag(reserve.limit.paused),
            reserve.limit.revision.to_string(),
        ];
        let reply = self.run(&SCRIPT, vec![self.keys().pace(reserve.name)], args).await?;
        Ok(match reply.verdict() {
            "granted" => Reserved::Granted {
                count: reply.parse(1)?,
                first_us: reply.parse(2)?,
                interval_us: reply.parse(3)?,
                now_us: reply.parse(4)?,
            },
            "wait" => Reserved::Wait(reply.parse(1)?),
            "unlimited" => Reserved::Unlimited,
            "paused" => Reserved::Paused,
            _ => return Err(reply.unknown()),
        })
    }
}
