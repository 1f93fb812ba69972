//! Faults, one file for each kind of victim.

mod flusher;
mod mysql;
mod producer;
mod receiver;
mod redis;
mod wire;
mod worker;

use std::{sync::Arc, time::Duration};

use restock::clock::wall_us;
use tokio::time::{Instant, sleep_until};

use super::{
    crew::Disk,
    deck::{Kind, Planned},
    ledger::{Cost, Struck},
    moods::Mood,
    stage::Stage,
};

/// Lets the faults of one track strike, each in its time, or as soon as the one before is over. A track that is late is cut
/// short, so that a run has an end: the report shows what did not strike.
pub(crate) async fn storm(stage: Arc<Stage>, start: Instant, planned: Vec<Planned>) {
    let end = start + stage.form.storm + stage.form.storm / 8;
    for fault in planned {
        sleep_until(start + fault.at).await;
        if Instant::now() > end {
            return;
        }
        let from_us = wall_us();
        let cost = strike(&stage, fault).await;
        stage.ledger.strike(Struck { kind: fault.kind, from_us, until_us: wall_us(), cost });
    }
}

async fn strike(stage: &Stage, fault: Planned) -> Cost {
    match fault.kind {
        Kind::WorkerKill => worker::kill(stage, fault).await,
        Kind::WorkerFreeze => worker::freeze(stage, fault).await,
        Kind::WorkerRestart => worker::restart(stage, fault, Disk::Free).await,
        Kind::WorkerDiskFull => worker::restart(stage, fault, Disk::Full).await,
        Kind::FlusherKill => flusher::kill(stage, fault).await,
        Kind::FlusherFreeze => flusher::freeze(stage, fault).await,
        Kind::FlusherRestart => flusher::restart(stage, fault, Disk::Free).await,
        Kind::FlusherDiskFull => flusher::restart(stage, fault, Disk::Full).await,
        Kind::RedisKill => redis::kill(stage, fault).await,
        Kind::RedisRestart => redis::restart(stage, fault).await,
        Kind::RedisTailLost => redis::lose_tail(stage, fault).await,
        Kind::RedisEmptied => redis::empty(stage).await,
        Kind::RedisAsleep => redis::sleep_for(stage, fault).await,
        Kind::RedisCut => redis::command(stage, "CLIENT KILL TYPE normal SKIPME yes").await,
        Kind::RedisScripts => redis::command(stage, "SCRIPT FLUSH").await,
        Kind::RedisGroup => redis::destroy_groups(stage).await,
        Kind::RedisFull => redis::fill(stage, fault).await,
        Kind::RedisAway => producer::enqueue_without_redis(stage, fault).await,
        Kind::MySqlKill => mysql::kill(stage, Duration::ZERO).await,
        Kind::MySqlAway => mysql::kill(stage, Duration::from_secs_f64(1.0 + 5.0 * fault.force)).await,
        Kind::MySqlAsleep => mysql::sleep_for(stage, fault).await,
        Kind::MySqlLocked => mysql::lock(stage, fault).await,
        Kind::MySqlDeadlock => mysql::cross(stage, fault).await,
        Kind::MySqlReadOnly => mysql::forbid_writing(stage, fault).await,
        Kind::MySqlCrowded => mysql::crowd(stage, fault).await,
        Kind::WireSlow => wire::slow(stage, fault).await,
        Kind::WireCut => wire::cut(stage, fault),
        Kind::WireDead => wire::mute(stage, fault).await,
        Kind::ReceiverDown => receiver::be(stage, Mood::Down, fault).await,
        Kind::ReceiverLimit => receiver::be(stage, Mood::Limit, fault).await,
        Kind::ReceiverSilent => receiver::be(stage, Mood::Silent, fault).await,
        Kind::ReceiverLate => receiver::be(stage, Mood::Late(stage.form.send_timeout), fault).await,
        Kind::ReceiverReset => receiver::reset(stage),
        Kind::ReceiverPoisoned => receiver::poison(stage, fault).await,
        Kind::ReceiverWrong => receiver::be(stage, Mood::Wrong, fault).await,
        Kind::OneKey => producer::ten_with_one_key(stage, fault).await,
        Kind::Race => producer::race(stage, fault).await,
        Kind::PoisonedJob => producer::poison_jobs(stage).await,
        Kind::PoisonedLog => producer::poison_log(stage).await,
    }
}
