//! The Redis server: distance, version, role, persistence, memory.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::sheet::{Level, Sheet};
use crate::{
    ids::Partition,
    pace::START_WITHIN_US,
    redis::{Redis, RedisError, server::ServerFacts},
};

/// Calls of which the fastest counts.
const PINGS: usize = 5;
/// A distance at which a lane with a window of one cannot tell a hundred people a second.
const FAR: Duration = Duration::from_millis(10);
/// A distance at which no start can be put into the pace.
const TOO_FAR: Duration = Duration::from_micros(START_WITHIN_US.unsigned_abs());
/// The part of its memory that a server may use before somebody should know.
const MEMORY_PERCENT_MAX: u64 = 80;

pub(super) async fn examine(redis: &Redis, sheet: &mut Sheet) -> Result<(), RedisError> {
    let mut fastest = Duration::MAX;
    for _ in 0..PINGS {
        let start = Instant::now();
        redis.now_ms(Partition(0)).await?;
        fastest = fastest.min(start.elapsed());
    }
    let level = match fastest {
        fastest if fastest >= TOO_FAR => Level::Fail,
        fastest if fastest > FAR => Level::Warn,
        _ => Level::Ok,
    };
    let detail = format!("a round trip takes {:.1} ms", fastest.as_secs_f64() * 1000.0);
    let advice = if level == Level::Fail {
        "run the workers nearer to Redis: from 20 ms on nobody is told while there is a pace"
    } else {
        "run the workers nearer to Redis: each step of a lane is a round trip"
    };
    sheet.judge("redis", level, detail, advice);
    for ServerFacts { node, info, config } in
        redis.servers(&["appendfsync", "maxmemory-policy", "min-replicas-to-write"]).await?
    {
        let mut of_node = Sheet::default();
        examine_version(&info, &mut of_node);
        examine_role(&info, &config, &mut of_node);
        examine_persistence(&info, &config, &mut of_node);
        examine_memory(&info, &config, &mut of_node);
        sheet.add(of_node, node.as_deref());
    }
    Ok(())
}

fn text<'a>(fields: &'a HashMap<String, String>, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

fn number(fields: &HashMap<String, String>, name: &str) -> u64 {
    text(fields, name).parse().unwrap_or(0)
}

/// The first two numbers of a version.
pub(super) fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn examine_version(info: &HashMap<String, String>, sheet: &mut Sheet) {
    let valkey = text(info, "valkey_version");
    let (name, found, oldest) =
        if valkey.is_empty() { ("Redis", text(info, "redis_version"), (7, 0)) } else { ("Valkey", valkey, (8, 0)) };
    let level = if version(found) < oldest { Level::Fail } else { Level::Ok };
    sheet.judge("redis_version", level, format!("{name} {found}"), "use Redis 7.0 or Valkey 8.0, or a newer one");
}

fn examine_role(info: &HashMap<String, String>, config: &HashMap<String, String>, sheet: &mut Sheet) {
    let (replicas, needed) = (number(info, "connected_slaves"), text(config, "min-replicas-to-write"));
    if text(info, "role") == "slave" {
        let advice = "give the address of the primary: a replica refuses to write";
        return sheet.fail("redis_replicas", "this server is a replica", advice);
    }
    let detail = format!("a primary with {replicas} replicas, min-replicas-to-write {needed}");
    if replicas == 0 {
        let advice = "a second server would take over what is not yet in MySQL; without one, AOF alone keeps it";
        return sheet.warn("redis_replicas", detail, advice);
    }
    let level = if needed == "0" { Level::Warn } else { Level::Ok };
    let advice = "set min-replicas-to-write 1: a primary that is cut off must not accept what its replicas never get";
    sheet.judge("redis_replicas", level, detail, advice);
}

fn examine_persistence(info: &HashMap<String, String>, config: &HashMap<String, String>, sheet: &mut Sheet) {
    let (enabled, fsync) = (text(info, "aof_enabled") == "1", text(config, "appendfsync"));
    if enabled && text(info, "aof_last_write_status") == "err" {
        let advice = "see the log of Redis: its disk is full or broken";
        return sheet.fail("redis_persistence", "the last write of the append-only file failed", advice);
    }
    let (level, detail) = match (enabled, fsync) {
        (false, _) => (Level::Warn, "appendonly no: what is not yet in MySQL is lost with the process".to_owned()),
        (true, "no") => {
            (Level::Warn, "appendonly yes, appendfsync no: up to 30 s are lost with the machine".to_owned())
        }
        (true, fsync) => (Level::Ok, format!("appendonly yes, appendfsync {fsync}")),
    };
    sheet.judge("redis_persistence", level, detail, "set appendonly yes and appendfsync everysec, or always");
}

fn examine_memory(info: &HashMap<String, String>, config: &HashMap<String, String>, sheet: &mut Sheet) {
    let policy = match text(config, "maxmemory-policy") {
        "" => text(info, "maxmemory_policy"),
        policy => policy,
    };
    let (used, most) = (number(info, "used_memory"), number(info, "maxmemory"));
    let percent = (used * 100).checked_div(most);
    let detail = format!(
        "maxmemory-policy {policy}, {} MB used{}",
        used / 1_000_000,
        percent.map_or_else(|| ", no maxmemory".to_owned(), |percent| format!(", {percent} % of maxmemory"))
    );
    match (policy, percent) {
        ("noeviction", Some(percent)) if percent >= MEMORY_PERCENT_MAX => {
            sheet.warn(
                "redis_memory",
                detail,
                "raise maxmemory: when it is full, nothing is sent until the log is flushed",
            );
        }
        ("noeviction", _) => sheet.ok("redis_memory", detail),
        (_, None) => sheet.warn("redis_memory", detail, "set maxmemory-policy noeviction before you set maxmemory"),
        _ => sheet.fail("redis_memory", detail, "set maxmemory-policy noeviction: Redis may drop lanes and their work"),
    }
}
