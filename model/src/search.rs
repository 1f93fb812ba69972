//! What must hold in every reachable state, and how all of them are reached.

use stateright::{Model, Property};

use crate::{
    Action, Protocol,
    promise::{ENDED, FORWARD, GO_ON, NUMBERS, ONCE, ORDER, REPEATS, SOLD_OUT, UPTO},
    round::{Places, Status, at, between},
    state::State,
    worker::Worker,
};

const LOST: &str = "everybody up to the cursor was told";
const COMPLETED: &str = "a completed round has told everybody";
const RECORD: &str = "MySQL has an outcome of everybody up to its cursor, or the end of a completed round";
const HAND: &str = "one hand";
const CURSOR: &str = "the cursor is not beyond the end of the round";
const ENTRY: &str = "an open lane has one entry";
const WAITING: &str = "no open round is left alone";
const EQUAL: &str = "at rest MySQL equals Redis";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.truth.broken.is_none() {
            actions.extend(Action::of(self, state));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        action.apply(self, state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises()
    }
}

/// All of them.
#[must_use]
pub fn promises() -> Vec<Property<Protocol>> {
    macro_rules! noted {
        ($($name:expr),*) => { vec![$(Property::always($name, |_: &Protocol, s: &State| s.truth.broken != Some($name))),*] };
    }
    let mut all = noted![NUMBERS, ONCE, SOLD_OUT, ENDED, ORDER, REPEATS, GO_ON, UPTO, FORWARD];
    all.push(Property::always(LOST, |_: &Protocol, s: &State| {
        s.redis
            .lane
            .is_none_or(|lane| !lane.row.started || is_told(s, lane.row.round, between(lane.row.from, lane.row.cursor)))
    }));
    all.push(Property::always(COMPLETED, |_: &Protocol, s: &State| {
        let redis = s.redis.lane.map(|lane| lane.row);
        let mut rows = s.mysql.rounds.iter().flatten().chain(&redis);
        rows.all(|row| row.status != Status::Completed || is_told(s, row.round, between(row.from, row.upto)))
    }));
    all.push(Property::always(RECORD, |_: &Protocol, s: &State| {
        s.mysql.rounds.iter().flatten().filter(|row| row.started).all(|row| {
            let known = s.mysql.people[at(row.round)] | s.truth.inherited[at(row.round)];
            let upto = if row.status == Status::Completed { row.upto } else { row.cursor };
            between(row.from, upto) & !known == 0
        })
    }));
    all.push(Property::always(HAND, |_: &Protocol, s: &State| {
        s.workers.iter().filter(|w| matches!(w, Worker::Holds(hold) if hold.fresh && hold.life == s.truth.life)).count()
            <= 1
    }));
    all.push(Property::always(CURSOR, |_: &Protocol, s: &State| {
        let redis = s.redis.lane.map(|lane| lane.row);
        let mut rows = s.mysql.rounds.iter().flatten().chain(&redis);
        rows.all(|row| !row.started || (row.cursor <= row.upto && row.ahead >> 1 >> row.upto == 0))
    }));
    all.push(Property::always(ENTRY, |_: &Protocol, s: &State| {
        s.redis.entries.len() <= 1
            && s.redis.lane.is_none_or(|lane| !lane.row.status.is_open() || s.redis.entries.contains(&lane.entry))
    }));
    all.push(Property::always(WAITING, |protocol: &Protocol, s: &State| {
        let lane = s.redis.lane.is_some_and(|lane| lane.row.status.is_open() || lane.waiting != 0);
        let record = s.mysql.rounds.iter().flatten().any(|row| row.status.is_open());
        !(lane || record || s.mysql.requests.contains(&Some(0))) || !is_at_rest(protocol, s)
    }));
    all.push(Property::always(EQUAL, |protocol: &Protocol, s: &State| is_equal(s) || !is_at_rest(protocol, s)));
    all
}

/// Whether all these were told in this round, or in the one that it goes on from.
fn is_told(state: &State, round: u8, places: Places) -> bool {
    places & !(state.truth.sent[at(round)] | state.truth.inherited[at(round)]) == 0
}

fn is_equal(state: &State) -> bool {
    let (redis, mysql) = (&state.redis, &state.mysql);
    redis.product.is_none_or(|product| product == mysql.product)
        && redis.lane.is_none_or(|lane| mysql.rounds[at(lane.row.round)] == Some(lane.row))
}

/// Whether nothing more happens unless somebody wishes it, or something fails.
fn is_at_rest(protocol: &Protocol, state: &State) -> bool {
    state.truth.broken.is_none()
        && Action::of(protocol, state)
            .filter(|action| !action.is_chance())
            .all(|action| action.apply(protocol, state).is_none())
}
