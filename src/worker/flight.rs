//! One attempt for one person, from its first step to the provider's answer, and what may forbid that step.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tracing::Span;

use super::{following::note, window::SeatNo};
use crate::{
    channel::{Answer, Message, Sender},
    clock::BootTime,
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
    pub(crate) connection: OwnedSemaphorePermit,
    /// Where the round is followed.
    pub(crate) span: Option<Span>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) seat: SeatNo,
    /// When it started, µs since the epoch.
    pub(crate) started_us: i64,
    pub(crate) answer: Answer,
    /// How long that took, µs.
    pub(crate) took_us: i64,
}

/// An attempt that has made its first step.
pub(crate) enum Started {
    /// It waits for the provider.
    Flying(BoxFuture<'static, Landed>),
    /// It was answered at once.
    Landed(Landed),
}

impl Flight {
    /// Starts. The first step is made here and now, so that nothing can come between the caller's last check and the
    /// start, and attempts start in the order in which this is called.
    pub(crate) fn start(self) -> Started {
        let mut flight = self.fly().boxed();
        match (&mut flight).now_or_never() {
            Some(landed) => Started::Landed(landed),
            None => Started::Flying(flight),
        }
    }

    async fn fly(self) -> Landed {
        let (started_us, started) = (self.message.started_us, BootTime::now());
        let answer = self.sender.send(self.message).await;
        if let Some(span) = self.span {
            note(&span, &answer);
        }
        drop(self.connection);
        Landed { seat: self.seat, started_us, answer, took_us: started.age_us(BootTime::now()) }
    }
}
