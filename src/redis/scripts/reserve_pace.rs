//! `reserve_pace.lua`: reserve moments of the shared pace.

use std::sync::LazyLock;

use super::{Arity, Redis, Script};
use crate::redis::RedisError;

pub(super) static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let source = include_str!("../../../lua/reserve_pace.lua");
    Script::new("reserve_pace", source, Arity::exactly(1), Arity::exactly(4), &["granted", "wait", "unlimited"])
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
    /// The rate to install when Redis has lost it, messages a second; 0 is no pace.
    pub rate: u32,
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
}

impl Redis {
    /// Reserves moments.
    ///
    /// # Errors
    /// As any call; moments whose answer is lost are lost.
    pub async fn reserve_pace(&self, reserve: &Reserve<'_>) -> Result<Reserved, RedisError> {
        let args = vec![
            reserve.wanted.to_string(),
            reserve.horizon_us.to_string(),
            reserve.lead_us.to_string(),
            reserve.rate.to_string(),
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
            _ => return Err(reply.unknown()),
        })
    }
}
