//! Who follows messages, and up to where they were handed out.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::Bytes;
use tokio::sync::{Notify, watch};

use super::{
    crowd::{Crowd, Queue, Sent},
    frame,
};
use crate::{
    ids::UserId,
    meter::StreamMeters,
    mysql::inbox::{Audience, InboxRow},
};

/// A sign of life comes to each stream after so many calls of [`Hub::beat`].
pub(super) const BEAT_CALLS: u64 = 15;
/// Streams of one person: whoever has a token must not take the places of all.
pub(super) const OF_ONE_PERSON_MAX: usize = 10;

/// The streams of messages of this process.
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    /// That somebody wants new messages to be looked for now.
    pub(super) wanted: Notify,
    /// How often everything that could be read was handed out.
    looks: watch::Sender<u64>,
    everyone: StreamMeters,
    persons: StreamMeters,
}

#[derive(Debug, Default)]
struct State {
    /// Everything up to here was handed out; none before MySQL was asked.
    position: Option<i64>,
    is_closed: bool,
    joined: u64,
    beats: u64,
    everyone: Crowd,
    persons: HashMap<UserId, Crowd>,
}

/// A stream that is live. It leaves the hub when it is dropped.
#[derive(Debug)]
pub(super) struct Client {
    queue: Queue,
    hub: Arc<Hub>,
    audience: Audience,
    number: u64,
}

impl Default for Hub {
    fn default() -> Self {
        let (everyone, persons) = (StreamMeters::new("notifications"), StreamMeters::new("user"));
        let (wanted, looks) = (Notify::new(), watch::Sender::new(0));
        Self { state: Mutex::default(), wanted, looks, everyone, persons }
    }
}

impl Hub {
    /// A panic elsewhere leaves no half-made state behind: every change under the lock is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn meters(&self, audience: Audience) -> &StreamMeters {
        match audience {
            Audience::Everyone => &self.everyone,
            Audience::Person(_) => &self.persons,
        }
    }

    /// Up to where messages were handed out; none when nobody can join yet, or any more.
    pub(super) fn position(&self) -> Option<i64> {
        let state = self.lock();
        state.position.filter(|_| !state.is_closed)
    }

    /// Whether nobody listens: then nothing has to be read.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.everyone.is_empty() && state.persons.is_empty()
    }

    /// How many streams a person has.
    pub(super) fn count_of(&self, user: UserId) -> usize {
        self.lock().persons.get(&user).map_or(0, Crowd::len)
    }

    /// Joins: the client gets everything with a number above the answered position, in its order, and nothing else.
    pub(super) fn join(self: &Arc<Self>, audience: Audience) -> Option<(Client, i64)> {
        let mut state = self.lock();
        let position = state.position.filter(|_| !state.is_closed)?;
        state.joined += 1;
        let number = state.joined;
        let queue = match audience {
            Audience::Everyone => state.everyone.join(number),
            Audience::Person(user) => state.persons.entry(user).or_default().join(number),
        };
        Some((Client { queue, hub: self.clone(), audience, number }, position))
    }

    fn leave(&self, audience: Audience, number: u64) {
        let mut state = self.lock();
        match audience {
            Audience::Everyone => state.everyone.leave(number),
            Audience::Person(user) => {
                if let Entry::Occupied(mut crowd) = state.persons.entry(user) {
                    crowd.get_mut().leave(number);
                    if crowd.get().is_empty() {
                        crowd.remove();
                    }
                }
            }
        }
    }

    /// Hands out the messages that follow on the position, in their order.
    pub(super) fn hand_out(&self, rows: Vec<InboxRow>) {
        let Some(last) = rows.last().map(|row| row.id) else { return };
        let mut state = self.lock();
        if !state.persons.is_empty() {
            for row in &rows {
                let Some(crowd) = state.persons.get_mut(&row.user) else { continue };
                count(&self.persons, crowd.send(&frame::messages([row.clone()])), 1);
            }
            state.persons.retain(|_, crowd| !crowd.is_empty());
        }
        if !state.everyone.is_empty() {
            let messages = rows.len() as u64;
            count(&self.everyone, state.everyone.send(&frame::messages(rows)), messages);
        }
        state.position = Some(last);
    }

    /// Goes on behind this number, when nobody listens who would miss what is between, or at the beginning.
    pub(super) fn skip_to(&self, newest: i64) {
        let mut state = self.lock();
        if state.position.is_none() || (state.everyone.is_empty() && state.persons.is_empty()) {
            state.position = Some(newest);
        }
    }

    /// MySQL was set back behind what was handed out: what comes now is new, whatever its number.
    pub(super) fn go_back_to(&self, newest: i64) {
        self.lock().position = Some(newest);
    }

    /// Everything that could be read was handed out.
    pub(super) fn looked(&self) {
        self.looks.send_modify(|looks| *looks += 1);
    }

    /// Waits until the position is this number or above, as long as that may be: the position may lie behind what a stream at
    /// another server has shown, and who joined there would get it again. A number that nothing reaches is of a database
    /// that was set back, or made up.
    pub(super) async fn reach(&self, number: i64) {
        let mut looks = self.looks.subscribe();
        // The look under way may have begun before the number could be read: the one after it has not.
        for _ in 0..2 {
            if self.position().is_none_or(|position| position >= number) {
                return;
            }
            self.wanted.notify_one();
            // Its sender is here.
            let _ = looks.changed().await;
        }
    }

    /// Gives a sign of life to a part of the streams: all of them have one after [`BEAT_CALLS`] calls. That finds those whose
    /// other end is gone.
    pub(super) fn beat(&self) {
        let mut state = self.lock();
        state.beats += 1;
        let (part, frame) = (state.beats % BEAT_CALLS, frame::beat(state.position));
        let is_due = |number: u64| number % BEAT_CALLS == part;
        count(&self.everyone, state.everyone.send_to(&frame, is_due), 0);
        for crowd in state.persons.values_mut() {
            count(&self.persons, crowd.send_to(&frame, is_due), 0);
        }
        state.persons.retain(|_, crowd| !crowd.is_empty());
    }

    /// Ends all streams, after what waits for them; nobody joins any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.everyone.clear();
        state.persons.clear();
        drop(state);
        self.looked();
    }
}

fn count(meters: &StreamMeters, sent: Sent, messages: u64) {
    meters.messages.increment(sent.taken * messages);
    meters.dropped.increment(sent.dropped);
}

impl Client {
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.queue.poll_frame(context)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.hub.leave(self.audience, self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use chrono::NaiveDateTime;

    use super::*;
    use crate::ids::{ProductId, Round};

    fn row(id: i64, user: i64) -> InboxRow {
        InboxRow {
            id,
            product: ProductId(42),
            round: Round(1),
            user: UserId(user),
            sku: None,
            name: "bunting".to_owned(),
            started_at: NaiveDateTime::default(),
            read_at: None,
        }
    }

    async fn ids(client: &mut Client) -> Vec<i64> {
        let frame = poll_fn(|context| client.poll_frame(context)).await.expect("a frame");
        let text = String::from_utf8(frame.to_vec()).expect("text");
        text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().expect("a number")).collect()
    }

    #[tokio::test]
    async fn a_stream_gets_what_comes_behind_the_position_at_which_it_joined() {
        let hub = Arc::new(Hub::default());
        assert!(hub.join(Audience::Everyone).is_none(), "nobody knows yet where to begin");
        hub.skip_to(5);
        let (mut all, at) = hub.join(Audience::Everyone).expect("a place");
        let (mut one, _) = hub.join(Audience::Person(UserId(7))).expect("a place");
        assert_eq!(at, 5);
        hub.hand_out(vec![row(6, 7), row(8, 9)]);
        assert_eq!(hub.join(Audience::Everyone).map(|(_, at)| at), Some(8));
        hub.skip_to(100);
        assert_eq!(hub.position(), Some(8), "who listens would miss what is between");
        hub.hand_out(vec![row(9, 7)]);
        assert_eq!((ids(&mut all).await, ids(&mut all).await), (vec![6, 8], vec![9]));
        assert_eq!((ids(&mut one).await, ids(&mut one).await), (vec![6], vec![9]));
        for _ in 0..BEAT_CALLS {
            hub.beat();
        }
        assert_eq!((ids(&mut all).await, ids(&mut one).await), (vec![9], vec![9]), "the position, once each");
        drop((all, one));
        assert!(hub.is_empty());
        hub.skip_to(100);
        assert_eq!(hub.position(), Some(100));
        let (mut last, _) = hub.join(Audience::Everyone).expect("a place");
        hub.close();
        assert!(poll_fn(|context| last.poll_frame(context)).await.is_none());
        assert!(hub.join(Audience::Everyone).is_none() && hub.position().is_none());
    }
}
