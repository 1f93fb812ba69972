//! The progress of lanes: one survey for all who follow, whole at first, then what has changed.

mod known;

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use chrono::Utc;
use futures_util::Stream;
use serde::Serialize;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use self::known::Known;
use super::{
    crowd::{Crowd, Queue},
    frame,
    place::Place,
};
use crate::{
    ids::rfc3339,
    meter::StreamMeters,
    report::{
        ReportError, Sources,
        moment::{self, Moment},
    },
};

/// How often it looks, at most.
const EVERY: Duration = Duration::from_millis(500);
/// A look that takes long is followed by a rest of so many times as long: MySQL has other work.
const REST_TIMES: u32 = 4;

/// Why there is nothing new.
#[derive(Debug, Serialize)]
struct Trouble {
    at: String,
    detail: &'static str,
}

/// The streams of rounds of this process.
#[derive(Debug)]
pub(super) struct Rounds {
    state: Mutex<State>,
    wanted: Notify,
    pub(super) meters: StreamMeters,
}

#[derive(Debug, Default)]
struct State {
    crowd: Crowd,
    joined: u64,
    is_closed: bool,
    /// What all know; none when the next look is told whole.
    known: Option<Known>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { state: Mutex::default(), wanted: Notify::new(), meters: StreamMeters::new("rounds") }
    }
}

/// The events of one stream of rounds.
#[derive(Debug)]
pub(super) struct Events {
    first: Option<Bytes>,
    whole: Option<Bytes>,
    queue: Queue,
    number: u64,
    rounds: Arc<Rounds>,
    _place: Place,
}

impl Rounds {
    /// A panic elsewhere leaves no half-made state behind: every change under the lock is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when the server stops.
    pub(super) fn join(self: &Arc<Self>, place: Place) -> Option<Events> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        state.joined += 1;
        let number = state.joined;
        let queue = state.crowd.join(number);
        let whole = state.known.as_mut().map(Known::whole);
        drop(state);
        self.wanted.notify_one();
        let first = Some(frame::greeting(None));
        Some(Events { first, whole, queue, number, rounds: self.clone(), _place: place })
    }

    fn send(&self, state: &mut State, frame: &Bytes) {
        let sent = state.crowd.send(frame);
        self.meters.messages.increment(sent.taken);
        self.meters.dropped.increment(sent.dropped);
    }

    fn tell(&self, moment: Moment) {
        let mut now = Known::new(moment);
        let mut state = self.lock();
        let news = match &state.known {
            None => now.whole(),
            Some(before) => now.change_since(before),
        };
        self.send(&mut state, &news);
        state.known = Some(now);
    }

    /// What is shown may have been long ago then: the next look is told whole.
    fn tell_trouble(&self, detail: &'static str) {
        let trouble = Trouble { at: rfc3339(Utc::now().naive_utc()), detail };
        let mut state = self.lock();
        state.known = None;
        self.send(&mut state, &frame::event("trouble", &trouble));
    }

    /// Whether somebody listens; if not, what is known grows old.
    fn is_wanted(&self) -> bool {
        let mut state = self.lock();
        if state.crowd.is_empty() {
            state.known = None;
        }
        !state.crowd.is_empty()
    }

    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.crowd.clear();
    }
}

/// Looks while somebody follows, until `stop`; then all streams end.
pub(super) async fn follow(rounds: Arc<Rounds>, sources: impl Fn() -> Option<Sources>, stop: CancellationToken) {
    let looking = async {
        loop {
            if !rounds.is_wanted() {
                rounds.wanted.notified().await;
                continue;
            }
            let start = Instant::now();
            let Some(sources) = sources() else {
                sleep(EVERY).await;
                continue;
            };
            match moment::now(&sources, None).await {
                Ok(moment) => rounds.tell(moment),
                Err(error) => {
                    tracing::debug!(%error, "the state of lanes cannot be read");
                    rounds.tell_trouble(match error {
                        ReportError::Sql(_) => "MySQL does not answer as it should; looking again",
                        ReportError::Redis(_) => "Redis does not answer as it should; looking again",
                    });
                }
            }
            sleep(EVERY.saturating_sub(start.elapsed()).max(start.elapsed() * REST_TIMES)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = looking => {}
    }
    rounds.close();
}

impl Stream for Events {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let said = self.first.take();
        if let Some(frame) = said.or_else(|| self.whole.take()) {
            return Poll::Ready(Some(Ok(frame)));
        }
        Poll::Ready(ready!(self.queue.poll_frame(context)).map(Ok))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.rounds.lock().crowd.leave(self.number);
    }
}
