//! Faults of flushers, of which there are two: nobody is told twice for any of them.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{Cost, Planned, Stage};
use crate::crew::{Disk, Role};

fn victim(stage: &Stage, flushers: &mut [Role], fault: Planned) -> usize {
    let at = fault.victim % flushers.len();
    if let Some(complaint) = flushers[at].complaint() {
        stage.ledger.complain(complaint);
        flushers[at] = stage.flusher(Disk::Free);
    }
    at
}

/// kill -9, and another one in its place.
pub(crate) async fn kill(stage: &Stage, fault: Planned) -> Cost {
    let mut flushers = stage.crew.flushers.lock().await;
    let at = victim(stage, &mut flushers, fault);
    flushers[at].kill().await;
    flushers[at] = stage.flusher(Disk::Free);
    Cost::Nothing
}

/// Stopped for up to 4 s, in whatever it did; another may lead when it wakes.
pub(crate) async fn freeze(stage: &Stage, fault: Planned) -> Cost {
    let mut flushers = stage.crew.flushers.lock().await;
    let at = victim(stage, &mut flushers, fault);
    flushers[at].signal(Signal::SIGSTOP);
    sleep(Duration::from_secs_f64(4.0 * fault.force)).await;
    flushers[at].signal(Signal::SIGCONT);
    Cost::Nothing
}

/// SIGTERM, and another one in its place, with its log on this disk.
pub(crate) async fn restart(stage: &Stage, fault: Planned, disk: Disk) -> Cost {
    let mut flushers = stage.crew.flushers.lock().await;
    let at = victim(stage, &mut flushers, fault);
    if let Err(complaint) = flushers[at].stop(Duration::from_secs(10)).await {
        stage.ledger.complain(complaint);
    }
    flushers[at] = stage.flusher(disk);
    Cost::Nothing
}
