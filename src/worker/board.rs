//! Which lanes this worker has, for signals and for handing back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::flight::LaneSignal;
use crate::{
    clock::BootTime,
    ids::{LaneId, ProductId},
    redis::{jobs::Entry, signal::Signal},
};

/// A lane is kept for so long before others get its place, in µs.
const HOLD_US: i64 = 3_000_000;
/// One lane, and one of so many, may be on its way back at a time: each first settles what is in flight.
const LEAVING_SHARE: usize = 16;

/// The lanes in hand, oldest first, and the entries they were taken by.
#[derive(Debug, Default)]
pub(super) struct Board {
    posts: Mutex<Posts>,
}

#[derive(Debug, Default)]
struct Posts {
    next: u64,
    lanes: HashMap<LaneId, Post>,
}

#[derive(Debug)]
struct Post {
    order: u64,
    since: BootTime,
    entry: String,
    signal: Arc<LaneSignal>,
    left: CancellationToken,
}

/// What a worker finds that wants to work a lane.
pub(super) enum Entered {
    /// The lane is free, and is on the board now.
    Here(Arc<LaneSignal>),
    /// It is in hand by this very entry.
    Same,
    /// It is in hand by an earlier entry until this token is cancelled: the call that ends a hold may bring the lane's
    /// next entry before its own answer.
    Before(CancellationToken),
}

impl Board {
    fn posts(&self) -> MutexGuard<'_, Posts> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a lane, unless this worker has it already.
    pub(super) fn enter(&self, entry: &Entry) -> Entered {
        let mut posts = self.posts();
        if let Some(post) = posts.lanes.get(&entry.lane) {
            return if post.entry == entry.name() { Entered::Same } else { Entered::Before(post.left.clone()) };
        }
        posts.next += 1;
        let (signal, left) = (Arc::new(LaneSignal::default()), CancellationToken::new());
        let (since, name) = (BootTime::now(), entry.name());
        let post = Post { order: posts.next, since, entry: name, signal: signal.clone(), left };
        posts.lanes.insert(entry.lane.clone(), post);
        Entered::Here(signal)
    }

    fn leave(&self, lane: &LaneId) {
        if let Some(post) = self.posts().lanes.remove(lane) {
            post.left.cancel();
        }
    }

    /// Forgets a lane when the guard is dropped, whatever happened to its task.
    pub(super) fn leave_with<'a>(&'a self, lane: &'a LaneId) -> impl Drop + 'a {
        Leaving { board: self, lane }
    }

    /// How many lanes are in hand.
    pub(super) fn len(&self) -> usize {
        self.posts().lanes.len()
    }

    /// Whether a lane is in hand by this very entry.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        self.posts().lanes.get(&entry.lane).is_some_and(|post| post.entry == entry.name())
    }

    /// Asks the oldest lane back that was not asked yet, unless all are young (a small round should end in one hold), or
    /// enough are on their way already.
    pub(super) fn ask_back_oldest(&self) {
        let (posts, now) = (self.posts(), BootTime::now());
        let leaving = posts.lanes.values().filter(|post| post.signal.is_asked_back()).count();
        if leaving > posts.lanes.len() / LEAVING_SHARE {
            return;
        }
        let is_due = |post: &Post| !post.signal.is_asked_back() && post.since.age_us(now) >= HOLD_US;
        let unasked = posts.lanes.iter().filter(|(_, post)| is_due(post));
        if let Some((lane, post)) = unasked.min_by_key(|(_, post)| post.order) {
            tracing::debug!(%lane, "full while others wait: giving the oldest lane back");
            post.signal.ask_back();
        }
    }

    /// Passes a signal on.
    pub(super) fn pass_on(&self, signal: Signal) {
        let is_meant = |product: ProductId| match signal {
            Signal::Stop(stopped) => stopped == product,
            Signal::Resubscribed => true,
        };
        for (lane, post) in &self.posts().lanes {
            if is_meant(lane.product) {
                post.signal.lapse();
            }
        }
    }
}

struct Leaving<'a> {
    board: &'a Board,
    lane: &'a LaneId,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.board.leave(self.lane);
    }
}
