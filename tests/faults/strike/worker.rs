//! Faults of workers.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{Cost, Planned, Stage};
use crate::{
    crew::{Disk, Role},
    ledger::Lanes,
};

/// Which worker it hits; one that has ended by itself is complained of and replaced.
async fn victim(stage: &Stage, workers: &mut [Role], fault: Planned) -> usize {
    let at = fault.victim % workers.len();
    if let Some(complaint) = workers[at].complaint() {
        stage.ledger.complain(complaint);
        workers[at] = stage.worker(Disk::Free);
        // So that it has something to lose.
        sleep(Duration::from_millis(500)).await;
    }
    at
}

/// kill -9, and another one in its place.
pub(crate) async fn kill(stage: &Stage, fault: Planned) -> Cost {
    let mut workers = stage.crew.workers.lock().await;
    let at = victim(stage, &mut workers, fault).await;
    stage.crew.weigh(&workers[at]);
    let pid = workers[at].pid();
    workers[at].kill().await;
    workers[at] = stage.worker(Disk::Free);
    drop(workers);
    // The dead keep their lanes until the leases run out, so that Redis still says whose they were.
    Cost::Windows(stage.held_by(pid).await)
}

/// Stopped for up to two leases, then let go on.
pub(crate) async fn freeze(stage: &Stage, fault: Planned) -> Cost {
    let mut workers = stage.crew.workers.lock().await;
    let at = victim(stage, &mut workers, fault).await;
    workers[at].signal(Signal::SIGSTOP);
    let pid = workers[at].pid();
    let held = stage.held_by(pid).await;
    let lasts = stage.form.claim_idle.mul_f64(0.05 + 1.95 * fault.force);
    sleep(lasts).await;
    workers[at].signal(Signal::SIGCONT);
    // It renews at every third of the lease: the rest of it is what a freeze may take without anybody noticing.
    let is_noticed = lasts >= stage.form.claim_idle / 2 || held == Lanes::All;
    if is_noticed { Cost::Windows(held) } else { Cost::Nothing }
}

/// SIGTERM: what is in flight is settled, lanes are handed back, nobody is told twice. Another takes its place, with its log on
/// this disk.
pub(crate) async fn restart(stage: &Stage, fault: Planned, disk: Disk) -> Cost {
    let mut workers = stage.crew.workers.lock().await;
    let at = victim(stage, &mut workers, fault).await;
    stage.crew.weigh(&workers[at]);
    if let Err(complaint) = workers[at].stop(Duration::from_secs(10)).await {
        stage.ledger.complain(complaint);
    }
    workers[at] = stage.worker(disk);
    Cost::Nothing
}
