//! Getting entries: reading new ones, and taking over those whose owner fell silent.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Deps, crew::Exit, errand::Errand};
use crate::{
    meter::Pulse,
    redis::{
        RETRY_PAUSE, RedisError,
        jobs::{Entry, Jobs, Line},
        scripts::Places,
    },
};

/// A job in hand for which there is no place for so long asks for one.
pub(super) const GIVE_BACK_AFTER: Duration = Duration::from_secs(1);
/// Of this many places one goes to lanes that were handed back first.
const AGAIN_EVERY: u64 = 4;
/// And another one to the newest rounds: a small one must not wait until a thousand large ones have begun.
const NEWEST_AT: u64 = 2;
/// The most entries read by one call.
const TAKE_MAX: usize = 32;
/// How often a full worker looks whether others wait.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The most entries taken over by one call.
const CLAIM_MAX: u64 = 100;

/// A reader that waits for entries is told to stop this often, as it may just be about to wait.
const UNBLOCK_EVERY: Duration = Duration::from_millis(50);

/// What reads one partition of one channel.
#[derive(Clone)]
pub(super) struct Claimer {
    pub(super) deps: Arc<Deps>,
    pub(super) exit: Arc<Exit>,
    /// On the shared connection.
    pub(super) jobs: Jobs,
    /// On a connection of its own, because it blocks.
    pub(super) waiter: Jobs,
    /// What is done with the entries.
    pub(super) lanes: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Beats whenever the streams were read, and while there is no place for more.
    pub(super) pulse: Pulse,
}

impl Claimer {
    /// Serves until the stop, and leaves nothing behind: readers end before lanes, because an entry must not come when
    /// nobody works it any more; then whatever is still pending here goes back in line.
    pub(super) async fn serve(self) {
        let claims = TaskTracker::new();
        claims.spawn(self.clone().read());
        claims.spawn(self.clone().reclaim());
        claims.spawn(self.clone().make_room());
        claims.close();
        self.stop.cancelled().await;
        while timeout(UNBLOCK_EVERY, claims.wait()).await.is_err() {
            self.waiter.stop_waiting().await;
        }
        self.waiter.close().await;
        self.lanes.close();
        self.lanes.wait().await;
        if let Err(error) = self.jobs.leave(|entry| self.deps.board.has(entry)).await {
            tracing::warn!(%error, "could not hand back what was received; it is taken over later");
        }
    }

    /// Reads new entries until the worker stops.
    async fn read(self) {
        let (mut filled, mut found) = (0, false);
        let mut reconnects = [self.jobs.reconnects(), self.waiter.reconnects()];
        loop {
            // Free again before this reader waits for entries: an idle one must not keep a place from the others.
            let places = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                places = self.places(found) => match places {
                    Ok(places) => places,
                    Err(_) => return,
                },
            };
            // Dropping a read under way would lose entries that the server has assigned: it ends by itself.
            let filling = self.fill(places, &mut filled).await;
            found = matches!(filling, Ok(true));
            let waited = match filling {
                Ok(true) => Ok(Vec::new()),
                Ok(false) => self.waiter.wait().await,
                Err(error) => Err(error),
            };
            match waited {
                Ok(entries) => {
                    self.pulse.beat();
                    for entry in entries {
                        self.receive(entry).await;
                    }
                }
                Err(error) => self.recover(&error).await,
            }
            let [shared, own] = &mut reconnects;
            if shared.happened() | own.happened() {
                self.receive_pending().await;
            }
        }
    }

    /// Waits for a place; where entries wait, takes others with it. To be full is no sign of sickness.
    async fn places(&self, others_wait: bool) -> Result<OwnedSemaphorePermit, AcquireError> {
        let places =
            async { if others_wait { self.gather().await } else { self.deps.slots.clone().acquire_owned().await } };
        tokio::pin!(places);
        loop {
            self.pulse.beat();
            if let Ok(places) = timeout(GIVE_BACK_AFTER, &mut places).await {
                return places;
            }
        }
    }

    /// One reader after the other, so that places that become free at the same moment are not scattered over all readers.
    async fn gather(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        let slots = &self.deps.slots;
        let _turn = self.deps.turn.lock().await;
        let mut places = slots.clone().acquire_owned().await?;
        // Lanes that were answered together end together: those that can, do so first.
        tokio::task::yield_now().await;
        if let Ok(more) = slots.clone().try_acquire_many_owned(slots.available_permits().min(TAKE_MAX - 1) as u32) {
            places.merge(more);
        }
        Ok(places)
    }

    /// Reads entries for places that are free, and starts with them. False when there is none.
    async fn fill(&self, mut places: OwnedSemaphorePermit, filled: &mut u64) -> Result<bool, RedisError> {
        let free = places.num_permits() as u64;
        let due =
            |at: u64| (*filled + free + AGAIN_EVERY - at) / AGAIN_EVERY - (*filled + AGAIN_EVERY - at) / AGAIN_EVERY;
        // Only where all places are taken by now could others wait for long.
        let newest = if self.deps.slots.available_permits() == 0 { due(NEWEST_AT) } else { 0 };
        let entries = self.jobs.take(Places { count: free, again_first: due(0), newest }).await?;
        *filled += entries.len().max(1) as u64;
        let some = !entries.is_empty();
        for entry in entries {
            match places.split(1) {
                Some(place) => Errand::new(entry).start(self, place),
                None => self.receive(entry).await,
            }
        }
        Ok(some)
    }

    async fn receive(&self, entry: Entry) {
        Errand::new(entry).wait_for_place(self).await;
    }

    async fn recover(&self, error: &RedisError) {
        if error.is_no_group() {
            tracing::warn!("the consumer group is gone; creating it again");
        } else {
            tracing::debug!(%error, "reading jobs again");
            sleep(RETRY_PAUSE).await;
        }
        if let Err(error) = self.jobs.ensure_groups().await {
            tracing::debug!(%error, "no groups yet");
            sleep(RETRY_PAUSE).await;
            return;
        }
        self.receive_pending().await;
    }

    /// Works what was assigned to this worker by an answer that was lost with its connection.
    async fn receive_pending(&self) {
        for line in [Line::Fresh, Line::Again] {
            let mut after = "0".to_owned();
            loop {
                let entries = self.jobs.pending_after(line, &after, CLAIM_MAX).await.unwrap_or_default();
                let Some(last) = entries.last() else { break };
                after.clone_from(&last.id);
                for entry in entries {
                    if !self.deps.board.has(&entry) {
                        self.receive(entry).await;
                    }
                }
            }
        }
    }

    /// Takes over entries whose owner fell silent, until the worker stops. Once Redis was away everybody looks silent:
    /// the owners come first then, who renew their leases as soon as they reach it.
    async fn reclaim(self) {
        let idle_ms = self.deps.options.claim_idle_ms;
        let mut turn = interval(Duration::from_millis((idle_ms / 4).clamp(100, 5_000)));
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reconnects = self.jobs.reconnects();
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                _ = turn.tick() => {}
            }
            let touched = self.jobs.touch().await;
            if let Err(error) = &touched {
                tracing::debug!(%error, "could not give a sign of life");
            }
            if reconnects.happened() || touched.is_err() {
                not_before = Instant::now() + Duration::from_millis(idle_ms / 3);
            }
            if Instant::now() < not_before {
                continue;
            }
            for line in [Line::Fresh, Line::Again] {
                if let Err(error) = self.sweep(line, idle_ms).await {
                    tracing::debug!(%error, "could not look for silent owners");
                }
            }
        }
    }

    async fn sweep(&self, line: Line, idle_ms: u64) -> Result<(), RedisError> {
        let mut cursor = "0-0".to_owned();
        loop {
            let free = self.deps.slots.available_permits() as u64;
            if free == 0 || self.stop.is_cancelled() {
                return Ok(());
            }
            let (next, entries) = self.jobs.claim_idle(line, idle_ms, &cursor, free.min(CLAIM_MAX)).await?;
            for entry in entries {
                tracing::info!(lane = %entry.lane, entry = entry.name(), "its owner is silent: taking it over");
                Errand::taken_over(entry).wait_for_place(self).await;
            }
            if next == "0-0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// While this worker is full and others wait, gives lanes back that it has had for a while, one at a time.
    async fn make_room(self) {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = sleep(LOOK_EVERY) => {}
            }
            if self.deps.slots.available_permits() == 0 && self.jobs.has_waiting().await.unwrap_or(false) {
                self.deps.board.ask_back_oldest();
            }
        }
    }
}
