//! Faults of Redis.

use std::time::Duration;

use tokio::time::sleep;

use super::{Cost, Planned, Stage};
use crate::ledger::Lanes;

fn away(fault: Planned) -> Duration {
    Duration::from_secs_f64(2.0 * fault.force * fault.force)
}

/// SIGKILL; it comes back with what the operating system had of its AOF.
pub(crate) async fn kill(stage: &Stage, fault: Planned) -> Cost {
    let recorded = stage.recorded().await;
    stage.servers.redis.kill().await.expect("it is killed");
    let cost = Cost::Unrecorded(stage.unrecorded(recorded));
    sleep(away(fault)).await;
    stage.servers.redis.start_again().await.expect("Redis starts again");
    cost
}

/// SIGTERM; it comes back with all that it had.
pub(crate) async fn restart(stage: &Stage, fault: Planned) -> Cost {
    stage.servers.redis.stop().await.expect("it stops");
    sleep(away(fault)).await;
    stage.servers.redis.start_again().await.expect("Redis starts again");
    Cost::Windows(Lanes::All)
}
