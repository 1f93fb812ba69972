//! Faults, one file for each kind of victim.

mod redis;
mod worker;

use std::sync::Arc;

use restock::clock::wall_us;
use tokio::time::{Instant, sleep_until};

use super::{
    deck::{Kind, Planned},
    ledger::{Cost, Struck},
    stage::Stage,
};

/// Lets the faults of one track strike, each in its time, or as soon as the one before is over.
pub(crate) async fn storm(stage: Arc<Stage>, start: Instant, planned: Vec<Planned>) {
    for fault in planned {
        sleep_until(start + fault.at).await;
        let from_us = wall_us();
        let cost = strike(&stage, fault).await;
        stage.ledger.strike(Struck { kind: fault.kind, from_us, until_us: wall_us(), cost });
    }
}

async fn strike(stage: &Stage, fault: Planned) -> Cost {
    match fault.kind {
        Kind::WorkerKill => worker::kill(stage, fault).await,
        Kind::WorkerFreeze => worker::freeze(stage, fault).await,
        Kind::RedisKill => redis::kill(stage, fault).await,
        Kind::RedisRestart => redis::restart(stage, fault).await,
    }
}
