//! Nobody lost: whoever a round owes an outcome has exactly one, and whoever was told stands in MySQL.

use std::collections::{BTreeMap, BTreeSet};

use restock::{
    ids::Place,
    outcome::Outcome,
    round::{RoundState, Status},
};

use crate::end::{End, InLine};

/// How long before a loss of Redis somebody may have been told whom MySQL does not have: no outage lasts longer.
const UNRECORDED_US: i64 = 60_000_000;

/// Whom a round owes an outcome: all up to its end, or up to its cursor and those ahead; not those whom the round
/// before had ahead.
fn owed(end: &End, state: &RoundState, inherited: &BTreeSet<Place>) -> Vec<InLine> {
    let line = end.lines.get(&state.lane.product.0).map_or(&[][..], Vec::as_slice);
    let upto = if state.status == Status::Completed { state.upto } else { state.cursor };
    let is_owed = |person: &&InLine| {
        let place = Some(person.place);
        place > state.from
            && (place <= upto || state.ahead.contains(&person.place))
            && !inherited.contains(&person.place)
    };
    line.iter().filter(is_owed).copied().collect()
}

/// People of the rounds that have ended: owed an outcome, and without one.
pub(crate) fn count(end: &End) -> (usize, usize) {
    let (mut expected, mut lost) = (0, 0);
    for (_, owed, missing) in judged(end) {
        expected += owed;
        lost += missing.len();
    }
    (expected, lost)
}

/// Every round that began, with the number of people it owed an outcome, and those who have none.
fn judged(end: &End) -> Vec<(&RoundState, usize, Vec<i64>)> {
    let mut judged = Vec::new();
    let mut before: Option<&RoundState> = None;
    for (of, state) in &end.rounds {
        before = before.filter(|before| before.lane == state.lane);
        if state.started_us.is_none() {
            continue;
        }
        let goes_on = before.filter(|before| before.status.is_canceled() && before.cursor == state.from);
        let inherited: BTreeSet<Place> =
            goes_on.map(|before| before.ahead.iter().copied().collect()).unwrap_or_default();
        let has: BTreeSet<i64> = end.outcomes.get(of).into_iter().flatten().map(|told| told.user).collect();
        let owed = owed(end, state, &inherited);
        let missing = owed.iter().map(|person| person.user).filter(|user| !has.contains(user)).collect();
        judged.push((state, owed.len(), missing));
        before = Some(state);
    }
    judged
}

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    for (state, _, missing) in judged(end) {
        if let Some(first) = missing.first() {
            let (product, round, status) = (state.lane.product, state.round, state.status);
            let count = missing.len();
            wrong.push(format!(
                "product {product} round {round} {status}: {count} have no outcome, the first is user {first}"
            ));
        }
        if state.status.is_open() {
            wrong.push(format!("product {} round {} is still {}", state.lane.product, state.round, state.status));
        }
    }
    wrong.extend(differences(end));
    wrong
}

/// The receiver's record against MySQL's.
fn differences(end: &End) -> Vec<String> {
    let mut accepted: BTreeMap<(i64, u32), BTreeMap<i64, i64>> = BTreeMap::new();
    for attempt in end.attempts.iter().filter(|attempt| attempt.is_accepted) {
        accepted.entry((attempt.product, attempt.round)).or_default().insert(attempt.user, attempt.started_us);
    }
    let none = BTreeMap::new();
    let mut wrong = Vec::new();
    for (of @ (product, round), told) in &end.outcomes {
        let users: BTreeSet<i64> = told.iter().map(|told| told.user).collect();
        if users.len() < told.len() {
            wrong.push(format!("product {product} round {round}: somebody has two outcomes"));
        }
        let received = accepted.get(of).unwrap_or(&none);
        for told in told.iter().filter(|told| told.outcome == Outcome::Sent && !received.contains_key(&told.user)) {
            wrong.push(format!(
                "product {product} round {round}: user {} is SENT and the receiver never saw them",
                told.user
            ));
        }
    }
    for (of @ (product, round), users) in &accepted {
        // A round cut off owes those in flight nothing yet: the next one tells them.
        if end.rounds.get(of).is_none_or(|state| state.status != Status::Completed) {
            continue;
        }
        let sent: BTreeSet<i64> = end.outcomes.get(of).into_iter().flatten().map(|told| told.user).collect();
        for (user, started_us) in users.iter().filter(|(user, _)| !sent.contains(user)) {
            if !is_before_loss(end, *started_us) {
                wrong.push(format!("product {product} round {round}: user {user} was told and MySQL does not know"));
            }
        }
    }
    wrong
}

/// Whether Redis was lost soon after: what was not recorded then never will be.
fn is_before_loss(end: &End, at_us: i64) -> bool {
    end.struck.iter().any(|fault| fault.is_loss() && fault.is_between(at_us, at_us + UNRECORDED_US))
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn somebody_without_an_outcome_is_lost() {
        let mut end = sample::sound();
        end.outcomes.get_mut(&sample::OF).expect("it is there").remove(4);
        // Lost, and told without a record.
        assert_eq!((check(&end).len(), count(&end)), (2, (10, 1)));
    }

    #[test]
    fn of_a_round_cut_off_those_before_the_cursor_and_ahead_are_owed() {
        let mut end = sample::sound();
        let state = end.rounds.get_mut(&sample::OF).expect("it is there");
        (state.status, state.cursor, state.ahead) = (Status::CanceledBySoldOut, Some(Place(5)), vec![Place(7)]);
        assert_eq!(count(&end), (6, 0));
        end.outcomes.get_mut(&sample::OF).expect("it is there").retain(|told| told.user != 7);
        assert_eq!((check(&end).len(), count(&end)), (1, (6, 1)));
    }

    #[test]
    fn who_was_ahead_in_the_round_before_is_not_owed_twice() {
        let mut end = sample::sound();
        let (mut first, mut second) = (end.rounds[&sample::OF].clone(), end.rounds[&sample::OF].clone());
        (first.status, first.cursor, first.ahead) = (Status::CanceledBySoldOut, Some(Place(5)), vec![Place(7)]);
        (second.round, second.from) = (restock::ids::Round(2), Some(Place(5)));
        let told = end.outcomes.remove(&sample::OF).expect("it is there");
        let (before, after) = told.into_iter().partition(|told| told.user <= 5 || told.user == 7);
        end.rounds = [(sample::OF, first), ((sample::PRODUCT, 2), second)].into();
        end.outcomes = [(sample::OF, before), ((sample::PRODUCT, 2), after)].into();
        assert_eq!(count(&end), (10, 0));
        end.outcomes.get_mut(&(sample::PRODUCT, 2)).expect("it is there").pop();
        assert_eq!(count(&end), (10, 1));
    }

    #[test]
    fn a_round_that_never_ends_or_a_record_of_nothing_is_a_breach() {
        let mut end = sample::sound();
        end.rounds.get_mut(&sample::OF).expect("it is there").status = Status::InProgress;
        assert_eq!(check(&end).len(), 1);
        let mut end = sample::sound();
        end.attempts.pop();
        assert_eq!(check(&end).len(), 1, "SENT, and never seen");
        let mut end = sample::sound();
        let told = end.outcomes.get_mut(&sample::OF).expect("it is there");
        told.push(told[0]);
        assert_eq!(check(&end).len(), 1, "two outcomes");
    }
}
