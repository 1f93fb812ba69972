//! Faults of the receiver.

use std::time::Duration;

use tokio::time::sleep;

use super::{Cost, Planned, Stage};
use crate::{ledger::Lanes, moods::Mood};

/// A mood of some seconds.
pub(crate) async fn be(stage: &Stage, mood: Mood, fault: Planned) -> Cost {
    stage.moods.be(mood);
    let most = if mood == Mood::Wrong { 0.5 } else { 3.0 };
    sleep(Duration::from_secs_f64(0.2 + most * fault.force)).await;
    stage.moods.be(Mood::Kind);
    Cost::Nothing
}

/// One person of every hundred cannot be told: now, or never.
pub(crate) async fn poison(stage: &Stage, fault: Planned) -> Cost {
    let person = i64::try_from(fault.victim % 100).unwrap_or(0);
    let status = if fault.victim.is_multiple_of(2) { 500 } else { 422 };
    stage.moods.be(Mood::Poisoned(person, status));
    // Longer than one person's retries take.
    sleep(Duration::from_secs_f64(6.0 + 4.0 * fault.force)).await;
    stage.moods.be(Mood::Kind);
    Cost::Nothing
}

/// All connections break; whoever was told and not answered yet is told again.
pub(crate) fn reset(stage: &Stage) -> Cost {
    stage.wires.receiver.cut();
    Cost::Windows(Lanes::All)
}
