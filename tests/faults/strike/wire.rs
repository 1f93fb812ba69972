//! Faults of the ways between the processes.

use std::time::Duration;

use tokio::time::sleep;

use super::{Cost, Planned, Stage};
use crate::{ledger::Lanes, proxy::Proxy};

/// Which wire it hits, and what it costs when nothing of it gets through for longer than a lease, or is lost on the way.
fn victim(stage: &Stage, fault: Planned) -> (&Proxy, Cost) {
    let wires = &stage.wires;
    match fault.victim % 4 {
        0 => (&wires.worker_redis, Cost::Windows(Lanes::All)),
        1 => (&wires.flusher_redis, Cost::Nothing),
        2 => (&wires.mysql, Cost::Nothing),
        // Whoever was told and whose answer was on its way.
        _ => (&wires.receiver, Cost::Windows(Lanes::All)),
    }
}

/// Up to 60 ms each way: beyond 20 ms nobody can be told at a pace.
pub(crate) async fn slow(stage: &Stage, fault: Planned) -> Cost {
    let (wire, _) = victim(stage, fault);
    wire.slow(Duration::from_secs_f64(0.001 + 0.059 * fault.force));
    sleep(Duration::from_millis(2500)).await;
    wire.slow(Duration::ZERO);
    Cost::Nothing
}

/// All connections break, and can be made anew at once.
pub(crate) fn cut(stage: &Stage, fault: Planned) -> Cost {
    let (wire, cost) = victim(stage, fault);
    wire.cut();
    if fault.victim.is_multiple_of(4) { Cost::Nothing } else { cost }
}

/// All connections stay open and pass nothing; after some seconds they break, unless who uses them has given them up.
pub(crate) async fn mute(stage: &Stage, fault: Planned) -> Cost {
    let (wire, cost) = victim(stage, fault);
    wire.mute();
    sleep(Duration::from_secs_f64(3.0 + 4.0 * fault.force)).await;
    wire.cut();
    cost
}
