//! One attempt for one person, from the last check to the provider's answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::window::SeatNo;
use crate::{
    channel::{Answer, Message, Sender},
    clock::{BootTime, wall_us},
    pace::Permit,
};

/// After this time an authorisation starts nothing any more, in µs.
pub(crate) const AUTHORISATION_US: i64 = 250_000;

/// What reaches a lane from outside: stop signals, and the wish to have it back.
#[derive(Debug, Default)]
pub(crate) struct LaneSignal {
    lapsed_at: AtomicI64,
    give_back: AtomicBool,
    /// Wakes the lane.
    pub(crate) notify: Notify,
}

impl LaneSignal {
    /// Takes every authorisation given until now as lapsed.
    pub(crate) fn lapse(&self) {
        self.lapsed_at.store(BootTime::now().0, Ordering::Release);
        self.notify.notify_one();
    }

    /// Asks for the lane.
    pub(crate) fn ask_back(&self) {
        self.give_back.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    pub(crate) fn is_asked_back(&self) -> bool {
        self.give_back.load(Ordering::Acquire)
    }

    /// Whether an authorisation asked for at `handed` may still start somebody.
    pub(crate) fn is_fresh(&self, handed: BootTime, now: BootTime) -> bool {
        handed.age_us(now) < AUTHORISATION_US && !self.has_lapsed(handed)
    }

    pub(crate) fn has_lapsed(&self, handed: BootTime) -> bool {
        handed.0 <= self.lapsed_at.load(Ordering::Acquire)
    }
}

/// An attempt that is about to start.
pub(crate) struct Flight {
    pub(crate) seat: SeatNo,
    pub(crate) sender: Arc<dyn Sender>,
    pub(crate) message: Message,
    /// When the authorisation under which it starts was asked for.
    pub(crate) handed: BootTime,
    /// The right to start, where there is a pace.
    pub(crate) permit: Option<Permit>,
    pub(crate) signal: Arc<LaneSignal>,
    pub(crate) connection: OwnedSemaphorePermit,
}

/// What came of an attempt.
pub(crate) struct Landed {
    pub(crate) seat: SeatNo,
    /// When it started and what was answered; `None` when it came too late to start.
    pub(crate) answer: Option<(i64, Answer)>,
}

impl Flight {
    /// Starts at the first poll, unless the authorisation or the permit has lapsed by then.
    pub(crate) async fn fly(mut self) -> Landed {
        // The time that is told comes before the check, so that it lies within the permit's span whatever happens
        // between the two.
        let started_us = wall_us();
        let now = BootTime::now();
        let is_late = self.permit.as_ref().is_some_and(|permit| permit.span().latest < now);
        if is_late || !self.signal.is_fresh(self.handed, now) {
            return Landed { seat: self.seat, answer: None };
        }
        if let Some(permit) = self.permit.take() {
            permit.spend();
        }
        self.message.started_us = started_us;
        let answer = self.sender.send(self.message).await;
        drop(self.connection);
        Landed { seat: self.seat, answer: Some((started_us, answer)) }
    }
}
