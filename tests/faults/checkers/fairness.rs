//! Fairness: while nothing fails, a running lane does not wait while others are served.

use std::collections::BTreeMap;

use crate::end::{Attempt, End};

/// So long after a fault nothing is judged: leases run out, connections are made again, retries wait.
pub(crate) const CALM_US: i64 = 3_000_000;

/// The turns of running lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    /// How many were judged.
    pub(crate) judged: usize,
    /// The most people of other lanes who were started between two of one lane.
    pub(crate) others_max: usize,
}

/// Looks at each turn, and calls `wrong` for one that came too late. Others' starts are the clock: a machine that stands
/// still does so for all.
fn look(end: &End, mut wrong: impl FnMut(&Attempt, usize)) -> Turns {
    let mut turns = Turns::default();
    let mut last: BTreeMap<(i64, u32), (usize, i64)> = BTreeMap::new();
    for (at, attempt) in end.attempts.iter().enumerate() {
        let before = last.insert((attempt.product, attempt.round), (at, attempt.started_us));
        let Some((before, before_us)) = before else { continue };
        if !is_calm(end, attempt.product, before_us, attempt.started_us) {
            continue;
        }
        let others = at - before - 1;
        turns.judged += 1;
        turns.others_max = turns.others_max.max(others);
        if others > end.bounds.rate {
            wrong(attempt, others);
        }
    }
    turns
}

fn is_calm(end: &End, product: i64, from_us: i64, until_us: i64) -> bool {
    let is_within = |at_us: i64| from_us <= at_us && at_us <= until_us;
    !end.struck.iter().any(|fault| fault.is_between(from_us - CALM_US, until_us))
        && !end.acts.iter().any(|act| act.product == product && is_within(act.at_us))
}

/// What the report shows.
pub(crate) fn turns(end: &End) -> Turns {
    look(end, |_, _| {})
}

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    look(end, |attempt, others| {
        let Attempt { product, round, user, .. } = attempt;
        wrong.push(format!("product {product} round {round}: {others} people of others came before user {user}"));
    });
    wrong
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::ledger::Act;

    #[test]
    fn a_lane_that_is_passed_over_is_a_breach_but_where_somebody_stopped_it() {
        let mut end = sample::sound();
        end.bounds.rate = 4;
        for attempt in &mut end.attempts[3..8] {
            attempt.product = 2;
        }
        assert_eq!((check(&end).len(), turns(&end)), (1, Turns { judged: 8, others_max: 5 }));
        end.bounds.rate = 5;
        assert_eq!(check(&end), Vec::<String>::new());
        end.bounds.rate = 4;
        end.acts = vec![Act { product: sample::PRODUCT, at_us: end.attempts[4].started_us }];
        assert_eq!(check(&end), Vec::<String>::new());
    }
}
