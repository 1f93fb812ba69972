//! What a worker does with an entry that it received: wait for a place, take the lane, work it.

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{sync::OwnedSemaphorePermit, time::sleep};

use super::{
    board::Entered,
    claim::{Claimer, GIVE_BACK_AFTER},
    take::{Taken, take},
};
use crate::redis::jobs::Entry;

/// An entry in this worker's hands. Whatever is left undone stays pending, for this worker or for the next.
pub(super) struct Errand {
    entry: Entry,
    /// Whether it has waited for the end of somebody's lease before.
    has_waited: bool,
    /// Whether its owner had fallen silent.
    is_taken_over: bool,
}

impl Errand {
    pub(super) fn new(entry: Entry) -> Self {
        Self { entry, has_waited: false, is_taken_over: false }
    }

    /// An entry whose owner fell silent.
    pub(super) fn taken_over(entry: Entry) -> Self {
        Self { is_taken_over: true, ..Self::new(entry) }
    }

    /// Waits for a place and works the lane there; asks for a place when there is none for too long.
    pub(super) async fn wait_for_place(self, claimer: &Claimer) {
        let slot = loop {
            tokio::select! {
                biased;
                () = claimer.stop.cancelled() => return,
                slot = claimer.deps.slots.clone().acquire_owned() => match slot {
                    Ok(slot) => break slot,
                    Err(_) => return,
                },
                () = sleep(GIVE_BACK_AFTER) => {
                    claimer.pulse.beat();
                    claimer.deps.board.ask_back_oldest();
                }
            }
        };
        self.start(claimer, slot);
    }

    /// Works the lane in this place.
    pub(super) fn start(self, claimer: &Claimer, slot: OwnedSemaphorePermit) {
        claimer.lanes.spawn(self.run(claimer.clone(), slot));
    }

    /// As before; a future that contains itself needs a type with a name.
    fn wait_again(self, claimer: &Claimer) -> BoxFuture<'_, ()> {
        self.wait_for_place(claimer).boxed()
    }

    async fn run(self, claimer: Claimer, slot: OwnedSemaphorePermit) {
        let deps = &claimer.deps;
        let signal = match deps.board.enter(&self.entry) {
            Entered::Here(signal) => signal,
            Entered::Same => return,
            Entered::Before(left) => {
                drop(slot);
                left.cancelled().await;
                return self.wait_again(&claimer).await;
            }
        };
        let leaving = deps.board.leave_with(&self.entry.lane);
        let taken = take(deps, &claimer.exit, &self.entry, signal, &claimer.stop).await;
        let busy = match taken {
            Taken::Lane(lane) => {
                let meters = &claimer.exit.meters;
                if self.is_taken_over {
                    meters.takeovers.increment(1);
                }
                let _held = meters.hold();
                lane.work(claimer.stop.clone()).await;
                None
            }
            Taken::Busy(left) => Some(left),
            Taken::Nothing => None,
        };
        drop(leaving);
        drop(slot);
        if let Some(left) = busy {
            self.come_back(&claimer, left).await;
        }
    }

    /// Begins again when the lease that is in the way has run out; once. Whoever prolonged it meanwhile has the entry
    /// again, and if they fall silent it is taken over from them.
    async fn come_back(self, claimer: &Claimer, left: Duration) {
        if self.has_waited {
            return;
        }
        tokio::select! {
            biased;
            () = claimer.stop.cancelled() => {}
            () = sleep(left) => {
                Self { has_waited: true, ..self }.wait_again(claimer).await;
            }
        }
    }
}
