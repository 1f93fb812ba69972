//! Whether anybody works a channel: the signs of life of those in its groups.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::{Channel, Partition},
    redis::{
        Redis, RedisError,
        inspect::{JobStream, job_streams},
    },
};

/// A live worker gives a sign of life every few seconds, ms.
const ALIVE_MS: u64 = 60_000;

/// The workers of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signs {
    /// Those that gave a sign of life in the last minute, on any stream.
    pub alive: usize,
    /// Those that did not.
    pub gone: usize,
}

/// The workers of a channel, as these partitions know them.
///
/// # Errors
/// As any call to Redis.
pub async fn signs(
    redis: &Redis,
    channel: &Channel,
    partitions: impl Iterator<Item = Partition>,
) -> Result<Signs, RedisError> {
    let mut idle_ms: BTreeMap<String, u64> = BTreeMap::new();
    for stream in partitions.flat_map(|partition| -> [JobStream; 2] { job_streams(partition, channel) }) {
        for consumer in redis.read_consumers(&stream).await? {
            let least = idle_ms.entry(consumer.name).or_insert(u64::MAX);
            *least = (*least).min(consumer.idle_ms);
        }
    }
    let alive = idle_ms.values().filter(|ms| **ms < ALIVE_MS).count();
    Ok(Signs { alive, gone: idle_ms.len() - alive })
}

/// The channels of these lanes that nobody works: in none of the partitions named did anybody give a sign of life. One
/// that does ends the search.
///
/// # Errors
/// As any call to Redis.
pub async fn unworked(
    redis: &Redis,
    lanes: impl Iterator<Item = (Channel, Partition)>,
) -> Result<Vec<Channel>, RedisError> {
    let mut places: BTreeMap<Channel, BTreeSet<Partition>> = BTreeMap::new();
    for (channel, partition) in lanes {
        places.entry(channel).or_default().insert(partition);
    }
    let mut silent = Vec::new();
    'channels: for (channel, partitions) in places {
        for partition in partitions {
            if signs(redis, &channel, std::iter::once(partition)).await?.alive > 0 {
                continue 'channels;
            }
        }
        silent.push(channel);
    }
    Ok(silent)
}
