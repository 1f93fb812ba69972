//! The people of a lane whom Redis does not know as settled yet, in line order.
//!
//! Invariant: from the cursor to the last seat there are at most `window` people, so that a crash repeats at most
//! those. Pure: no clock, no network.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    ids::{Place, UserId},
    outcome::{Outcome, Settled},
    redis::scripts::Settlement,
};

/// Where a seat stands in line; it keeps its number while the window slides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeatNo(u64);

/// Attempts made for one person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    /// How many.
    pub(crate) count: u32,
    /// When the first started, µs since the epoch.
    pub(crate) first_us: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not started, or waiting to be tried again.
    Open,
    Settled(Outcome, i64),
    /// Settled in an earlier hold or round: nothing to do, nothing to write.
    Inherited,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) place: Place,
    pub(crate) user: UserId,
    pub(crate) tries: Tries,
    state: State,
}

impl Seat {
    fn settled(&self, outcome: Outcome, at_us: i64) -> Settled {
        Settled { place: self.place, user: self.user, outcome, at_us, tries: self.tries.count.max(1) }
    }
}

/// The window of one lane.
#[derive(Debug)]
pub(crate) struct Window {
    seats: VecDeque<Seat>,
    first: u64,
    cursor: Option<Place>,
    inherited: BTreeSet<Place>,
    /// The tries of the person after the cursor, as the last holder left them.
    inherited_tries: Tries,
    refused_in_a_row: u32,
    settled_ahead: usize,
}

impl Window {
    pub(crate) fn new(cursor: Option<Place>, ahead: Vec<Place>, tries: Tries) -> Self {
        Self {
            seats: VecDeque::new(),
            first: 0,
            cursor,
            inherited: ahead.into_iter().collect(),
            inherited_tries: tries,
            refused_in_a_row: 0,
            settled_ahead: 0,
        }
    }

    /// How many people lie between the cursor and the end of the window, once the settled prefix is taken.
    pub(crate) fn len(&self) -> usize {
        self.seats.iter().position(|seat| seat.state == State::Open).map_or(0, |prefix| self.seats.len() - prefix)
    }

    /// The number that the next person will get.
    pub(crate) fn end(&self) -> SeatNo {
        SeatNo(self.first + self.seats.len() as u64)
    }

    /// People settled beyond the first who is not.
    pub(crate) fn settled_ahead(&self) -> usize {
        self.settled_ahead
    }

    /// FAILED people in a row, in line order, up to the cursor.
    pub(crate) fn refused_in_a_row(&self) -> u32 {
        self.refused_in_a_row
    }

    /// Adds the next person of the line. `None` when they were settled before, so that there is nothing to start.
    pub(crate) fn push(&mut self, place: Place, user: UserId) -> Option<SeatNo> {
        let inherited = self.inherited.contains(&place);
        let mut seat = Seat { place, user, tries: Tries::default(), state: State::Open };
        if inherited {
            seat.state = State::Inherited;
        } else {
            seat.tries = std::mem::take(&mut self.inherited_tries);
        }
        let number = self.end();
        self.seats.push_back(seat);
        (!inherited).then_some(number)
    }

    fn at(&self, number: SeatNo) -> Option<usize> {
        usize::try_from(number.0.checked_sub(self.first)?).ok().filter(|at| *at < self.seats.len())
    }

    pub(crate) fn seat(&self, number: SeatNo) -> Option<&Seat> {
        self.at(number).map(|at| &self.seats[at])
    }

    /// Counts an attempt that has started.
    pub(crate) fn count_try(&mut self, number: SeatNo, started_us: i64) {
        if let Some(at) = self.at(number) {
            let tries = &mut self.seats[at].tries;
            tries.count += 1;
            tries.first_us.get_or_insert(started_us);
        }
    }

    /// Records what became of a person.
    pub(crate) fn settle(&mut self, number: SeatNo, outcome: Outcome, at_us: i64) {
        if let Some(at) = self.at(number)
            && self.seats[at].state == State::Open
        {
            self.seats[at].state = State::Settled(outcome, at_us);
            self.settled_ahead += 1;
        }
    }

    /// Whether the first person in the window is settled, so that the cursor can move.
    pub(crate) fn can_move(&self) -> bool {
        self.seats.front().is_some_and(|seat| seat.state != State::Open)
    }

    /// Takes the settled prefix out: what the next call to Redis is to carry.
    pub(crate) fn take_prefix(&mut self) -> Settlement {
        let mut settlement = Settlement { cursor: self.cursor, ..Settlement::default() };
        while let Some(seat) = self.seats.front().copied().filter(|seat| seat.state != State::Open) {
            self.seats.pop_front();
            self.first += 1;
            self.cursor = Some(seat.place);
            // Also who was settled in an earlier hold: the two must name the same person.
            settlement.last_user = Some(seat.user);
            if let State::Settled(outcome, at_us) = seat.state {
                self.settled_ahead -= 1;
                self.refused_in_a_row = if outcome == Outcome::Failed { self.refused_in_a_row + 1 } else { 0 };
                settlement.people.push(seat.settled(outcome, at_us));
            }
        }
        settlement.cursor = self.cursor;
        if let Some(cursor) = self.cursor
            && !self.inherited.is_empty()
        {
            self.inherited = self.inherited.split_off(&Place(cursor.0 + 1));
        }
        settlement.ahead = self.inherited.iter().copied().collect();
        let next = self.tries_of_next();
        (settlement.tries, settlement.tried_us) = (next.count, next.first_us);
        settlement
    }

    /// Takes everything that is settled, also beyond the first who is not: for the last call of a hold.
    pub(crate) fn take_all(&mut self) -> Settlement {
        let mut settlement = self.take_prefix();
        for seat in &self.seats {
            if let State::Settled(outcome, at_us) = seat.state {
                settlement.people.push(seat.settled(outcome, at_us));
                self.inherited.insert(seat.place);
            }
        }
        self.settled_ahead = 0;
        settlement.ahead = self.inherited.iter().copied().collect();
        settlement
    }

    /// The tries of the person after the cursor.
    pub(crate) fn tries_of_next(&self) -> Tries {
        match self.seats.front() {
            Some(seat) => seat.tries,
            None => self.inherited_tries,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window_of(people: i64) -> (Window, Vec<SeatNo>) {
        let mut window = Window::new(None, vec![], Tries::default());
        let seats = (1..=people).map(|n| window.push(Place(n), UserId(n)).expect("nobody is inherited")).collect();
        (window, seats)
    }

    fn places(settlement: &Settlement) -> Vec<i64> {
        settlement.people.iter().map(|person| person.place.0).collect()
    }

    #[test]
    fn the_cursor_stops_before_the_first_unsettled() {
        let (mut window, seats) = window_of(4);
        window.settle(seats[0], Outcome::Sent, 1);
        window.settle(seats[2], Outcome::Sent, 1);
        let settlement = window.take_prefix();
        assert_eq!((settlement.cursor, places(&settlement)), (Some(Place(1)), vec![1]));
        assert_eq!((window.len(), window.settled_ahead(), settlement.ahead), (3, 1, vec![]));
    }

    #[test]
    fn the_last_call_carries_who_was_settled_ahead_and_remembers_their_places() {
        let (mut window, seats) = window_of(3);
        window.count_try(seats[0], 77);
        window.settle(seats[2], Outcome::Sent, 1);
        let settlement = window.take_all();
        assert_eq!((settlement.cursor, places(&settlement)), (None, vec![3]));
        assert_eq!((settlement.ahead, settlement.tries, settlement.tried_us), (vec![Place(3)], 1, Some(77)));
    }

    #[test]
    fn inherited_places_are_passed_without_a_row_and_dropped_behind_the_cursor() {
        let mut window = Window::new(Some(Place(1)), vec![Place(3)], Tries { count: 2, first_us: Some(5) });
        let second = window.push(Place(2), UserId(2)).expect("open");
        assert_eq!(window.seat(second).expect("seated").tries.count, 2);
        assert_eq!(window.push(Place(3), UserId(3)), None);
        assert_eq!(window.take_prefix().ahead, vec![Place(3)]);
        window.settle(second, Outcome::Sent, 1);
        let settlement = window.take_prefix();
        assert_eq!((settlement.cursor, places(&settlement), settlement.ahead), (Some(Place(3)), vec![2], vec![]));
        assert_eq!(settlement.last_user, Some(UserId(3)), "who is at the cursor");
    }

    #[test]
    fn refusals_count_in_line_order_only() {
        let (mut window, seats) = window_of(3);
        window.settle(seats[2], Outcome::Failed, 1);
        window.settle(seats[1], Outcome::Sent, 1);
        window.settle(seats[0], Outcome::Failed, 1);
        window.take_prefix();
        assert_eq!(window.refused_in_a_row(), 1);
    }

    proptest! {
        /// Whatever the order of the answers and wherever the hold ends, everybody settled is carried exactly once.
        #[test]
        fn nobody_is_lost_or_carried_twice(order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(), stop in 0..40_usize) {
            let (mut window, seats) = window_of(40);
            let mut carried = Vec::new();
            for at in &order[..stop] {
                window.settle(seats[*at], Outcome::Sent, 1);
                if at % 3 == 0 {
                    carried.extend(places(&window.take_prefix()));
                }
            }
            let last = window.take_all();
            carried.extend(places(&last));
            carried.sort_unstable();
            let mut told: Vec<i64> = order[..stop].iter().map(|at| i64::try_from(*at).unwrap() + 1).collect();
            told.sort_unstable();
            prop_assert_eq!(&carried, &told);
            let cursor = last.cursor.map_or(0, |place| place.0);
            let beyond: Vec<i64> = told.into_iter().filter(|place| *place > cursor).collect();
            prop_assert_eq!(last.ahead.iter().map(|place| place.0).collect::<Vec<_>>(), beyond);
        }
    }
}
