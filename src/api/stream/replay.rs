//! What a stream missed, from MySQL, a page at a time; then it is live.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use futures_util::{Stream, future::BoxFuture};
use sqlx::MySqlPool;
use tokio::sync::Semaphore;

use super::{
    frame,
    hub::{Client, Hub},
    place::Place,
};
use crate::{
    mysql,
    mysql::inbox::{self, Audience, InboxRow},
};

/// Messages of one page.
const PAGE_ROWS: u32 = 500;

/// Where missed messages are read.
#[derive(Debug)]
pub(in crate::api) struct Library {
    db: MySqlPool,
    /// Readers wait here, in their order and without a limit, and not in the pool, which would turn them away.
    turns: Semaphore,
    hub: Arc<Hub>,
}

impl Library {
    pub(super) fn new(db: MySqlPool, readers_max: u32, hub: Arc<Hub>) -> Self {
        Self { db, turns: Semaphore::new(readers_max as usize), hub }
    }

    async fn page(&self, audience: Audience, after: i64, upto: i64) -> sqlx::Result<Vec<InboxRow>> {
        if after >= upto {
            return Ok(Vec::new());
        }
        // It is never closed.
        let _turn = self.turns.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        inbox::page_after(&self.db, audience, after, upto, PAGE_ROWS).await
    }
}

/// The events of one stream of messages: those after a number, or from now on.
pub(super) struct Events {
    phase: Phase,
    /// Kept as long as the stream.
    _place: Place,
}

enum Phase {
    /// What was missed is being read. Boxed, so that the thousands that are live are small.
    Behind(BoxFuture<'static, Step>),
    Live(Client),
    Ended,
}

/// What was read, and what comes then.
struct Step {
    frame: Option<Bytes>,
    next: Phase,
}

impl Events {
    pub(super) fn after(library: Arc<Library>, audience: Audience, after: i64, place: Place) -> Self {
        let first = async move {
            let next = Phase::Behind(read(library, audience, after, None));
            Step { frame: Some(frame::greeting(None)), next }
        };
        Self { phase: Phase::Behind(Box::pin(first)), _place: place }
    }

    pub(super) fn from_now(library: &Library, audience: Audience, place: Place) -> Self {
        let Some((client, position)) = library.hub.join(audience) else {
            return Self { phase: Phase::Ended, _place: place };
        };
        let first = async move { Step { frame: Some(frame::greeting(Some(position))), next: Phase::Live(client) } };
        Self { phase: Phase::Behind(Box::pin(first)), _place: place }
    }
}

/// Reads the next page. First without having joined, so that nothing gathers meanwhile, however much there is to read; then,
/// joined, the little that came in between.
fn read(
    library: Arc<Library>,
    audience: Audience,
    after: i64,
    joined: Option<(Client, i64)>,
) -> BoxFuture<'static, Step> {
    Box::pin(async move {
        match library.step(audience, after, joined).await {
            Ok(step) => step,
            Err(why) => {
                tracing::debug!(why, "a stream ends; it comes back and goes on behind what it has");
                Step { frame: None, next: Phase::Ended }
            }
        }
    })
}

impl Library {
    async fn step(
        self: &Arc<Self>,
        audience: Audience,
        after: i64,
        joined: Option<(Client, i64)>,
    ) -> Result<Step, String> {
        let stops = || "the server stops".to_owned();
        if joined.is_none() {
            self.hub.reach(after).await;
        }
        let position = joined.as_ref().map(|(_, position)| *position).or_else(|| self.hub.position());
        let upto = position.ok_or_else(stops)?;
        let rows = self.page(audience, after, upto).await.map_err(|error| mysql::in_short(&error))?;
        let last = rows.last().map(|row| row.id);
        let is_full = rows.len() >= PAGE_ROWS as usize;
        self.hub.meters(audience).messages.increment(rows.len() as u64);
        let frame = last.map(|_| frame::messages(rows));
        let next = match (is_full, joined) {
            (true, joined) => Phase::Behind(read(self.clone(), audience, last.unwrap_or(upto), joined)),
            (false, Some((client, _))) => Phase::Live(client),
            (false, None) => {
                let joined = self.hub.join(audience).ok_or_else(stops)?;
                Phase::Behind(read(self.clone(), audience, upto.max(after), Some(joined)))
            }
        };
        Ok(Step { frame, next })
    }
}

impl Stream for Events {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match &mut self.phase {
                Phase::Behind(step) => {
                    let step = ready!(step.as_mut().poll(context));
                    self.phase = step.next;
                    step.frame
                }
                Phase::Live(client) => {
                    let frame = ready!(client.poll_frame(context));
                    if frame.is_none() {
                        self.phase = Phase::Ended;
                    }
                    frame
                }
                Phase::Ended => return Poll::Ready(None),
            };
            if let Some(frame) = frame {
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }
}
