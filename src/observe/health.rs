//! Whether a process can do its job now.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};

use super::{Inner, Sight};
use crate::{
    ids::Partition,
    meter::Role,
    mysql::schema::{self, SchemaError},
    redis::RedisError,
    sync, worker,
};

const REDIS: &str = "redis";
const MYSQL: &str = "mysql";
/// A store that takes longer to answer does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// An answer is good for so long, so that asking often costs the stores nothing.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// The answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether all is well that the role cannot do without.
    pub ready: bool,
    /// What the process is.
    pub role: &'static str,
    /// Each thing that it needs.
    pub checks: Vec<Check>,
}

/// One thing that a process needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong; null when it is well.
    pub why: Option<String>,
}

impl Check {
    fn of(name: &'static str, result: Result<(), String>) -> Self {
        Self { name, ok: result.is_ok(), why: result.err() }
    }
}

/// Keeps the last answer for a moment; who asks meanwhile waits for the same look.
#[derive(Default)]
pub(super) struct Checkup(Mutex<Option<(Instant, Arc<Health>)>>);

impl Checkup {
    pub(super) async fn health(&self, of: &Inner) -> Health {
        let mut last = self.0.lock().await;
        if let Some((at, health)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return Health::clone(health);
        }
        let health = look(of).await;
        *last = Some((Instant::now(), Arc::new(health.clone())));
        health
    }
}

async fn look(of: &Inner) -> Health {
    let mut checks = match of.sight.get() {
        Some(sight) => {
            let (redis, mysql) = tokio::join!(redis(sight), mysql(sight));
            vec![Check::of(REDIS, redis), Check::of(MYSQL, mysql)]
        }
        None => vec![Check::of("stores", Err("not both have answered since the start".to_owned()))],
    };
    let mut part = |part| checks.push(Check::of(part, of.vitals.check(part)));
    if matches!(of.role, Role::Worker | Role::Up) {
        part(worker::READING);
    }
    if matches!(of.role, Role::Flusher | Role::Up) {
        part(sync::FLUSHING);
    }
    if of.stop.is_cancelled() {
        checks.push(Check::of("running", Err("the process is stopping".to_owned())));
    }
    let ready = checks.iter().all(|check| check.ok || !is_needed(of.role, check.name));
    Health { ready, role: of.role.as_str(), checks }
}

/// An API whose stores are away answers all the same: from the outbox, or that it cannot. Were it not ready, all of them
/// would be taken away at once, and callers would get no answer at all.
fn is_needed(role: Role, check: &str) -> bool {
    role != Role::Api || !matches!(check, REDIS | MYSQL)
}

async fn redis(sight: &Sight) -> Result<(), String> {
    match timeout(ANSWER_MAX, sight.redis.now_ms(Partition(0))).await {
        Ok(Ok(_)) => Ok(()),
        Err(_) | Ok(Err(RedisError::Unreachable(_))) => Err(no_answer()),
        Ok(Err(_)) => Err("refuses to answer".to_owned()),
    }
}

/// Reachable, and with the schema of this version or a newer one: whoever runs goes on while others are upgraded.
/// Errors of the server itself are not shown: they may name addresses.
async fn mysql(sight: &Sight) -> Result<(), String> {
    match timeout(ANSWER_MAX, schema::check(&sight.mysql)).await {
        Ok(Ok(()) | Err(SchemaError::Newer { .. })) => Ok(()),
        Err(_) | Ok(Err(SchemaError::Sql(_))) => Err(no_answer()),
        Ok(Err(error)) => Err(error.to_string()),
    }
}

fn no_answer() -> String {
    format!("does not answer within {} ms", ANSWER_MAX.as_millis())
}
