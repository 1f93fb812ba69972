//! Faults of Redis.

use std::{path::PathBuf, time::Duration};

use restock::redis::inspect::job_streams;
use tokio::time::sleep;

use super::{Cost, Planned, Stage};
use crate::{ledger::Lanes, stage::webhook};

fn away(fault: Planned) -> Duration {
    Duration::from_secs_f64(2.0 * fault.force * fault.force)
}

/// What it costs that Redis answers nothing for so long: owners renew at every third of their leases.
fn of_silence(stage: &Stage, lasts: Duration) -> Cost {
    if lasts >= stage.form.claim_idle / 2 { Cost::Windows(Lanes::All) } else { Cost::Nothing }
}

/// Sends a command that Redis cannot refuse.
pub(crate) async fn command(stage: &Stage, command: &str) -> Cost {
    let reply = stage.redis_command(command).await;
    // CLIENT KILL may hit whoever asks for it.
    assert!(!reply.as_ref().is_ok_and(|reply| reply.starts_with('-')), "{command}: {reply:?}");
    Cost::Nothing
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

/// SIGTERM; it comes back with all that it had, and owners have their lanes again before others look for silent ones.
pub(crate) async fn restart(stage: &Stage, fault: Planned) -> Cost {
    stage.servers.redis.stop().await.expect("it stops");
    sleep(away(fault)).await;
    stage.servers.redis.start_again().await.expect("Redis starts again");
    Cost::Nothing
}

/// The part of the AOF to which it is appending.
async fn aof(stage: &Stage) -> Option<PathBuf> {
    let reply = stage.redis_command("CONFIG GET dir").await.ok()?;
    let folder = PathBuf::from(reply.lines().nth(4)?).join("appendonlydir");
    let files = std::fs::read_dir(folder).ok()?.filter_map(|file| Some(file.ok()?.path()));
    files.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).max()
}

/// SIGKILL, and the last second or less of its AOF is gone, as after a power cut.
pub(crate) async fn lose_tail(stage: &Stage, fault: Planned) -> Cost {
    // A container keeps its files to itself.
    if stage.servers.redis.pid().is_none() {
        return kill(stage, fault).await;
    }
    let aof = aof(stage).await.expect("Redis tells where its AOF is");
    let (recorded, kept) = (stage.recorded().await, std::fs::metadata(&aof).expect("the AOF is there").len());
    sleep(Duration::from_secs_f64(0.05 + 0.95 * fault.force)).await;
    stage.servers.redis.kill().await.expect("it is killed");
    let cost = Cost::Unrecorded(stage.unrecorded(recorded));
    let file = std::fs::OpenOptions::new().write(true).open(&aof).expect("the AOF is there");
    file.set_len(kept).expect("it can be cut");
    stage.servers.redis.start_again().await.expect("Redis starts again");
    cost
}

/// FLUSHALL.
pub(crate) async fn empty(stage: &Stage) -> Cost {
    let recorded = stage.recorded().await;
    command(stage, "FLUSHALL").await;
    Cost::Unrecorded(stage.unrecorded(recorded))
}

/// Connections stay open and nothing answers, as in DEBUG SLEEP.
pub(crate) async fn sleep_for(stage: &Stage, fault: Planned) -> Cost {
    let lasts = Duration::from_secs_f64(0.1 + 3.9 * fault.force);
    stage.servers.redis.freeze().await.expect("it runs");
    sleep(lasts).await;
    stage.servers.redis.thaw().await.expect("it runs");
    of_silence(stage, lasts)
}

/// The groups of all job streams.
pub(crate) async fn destroy_groups(stage: &Stage) -> Cost {
    for partition in stage.stores.partitions() {
        for stream in job_streams(partition, &webhook()) {
            // A stream that is not there has no group.
            let destroy = format!("XGROUP DESTROY {} workers", stage.stores.redis.stream_key(&stream));
            drop(stage.redis_command(&destroy).await);
        }
    }
    Cost::Nothing
}

/// It takes no writes that need memory.
pub(crate) async fn fill(stage: &Stage, fault: Planned) -> Cost {
    let lasts = Duration::from_secs_f64(0.2 + 2.0 * fault.force);
    command(stage, "CONFIG SET maxmemory 1").await;
    sleep(lasts).await;
    command(stage, "CONFIG SET maxmemory 0").await;
    of_silence(stage, lasts)
}
