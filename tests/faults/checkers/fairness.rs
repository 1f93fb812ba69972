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

/// When somebody did something, by product, and when nothing can be judged.
struct Unrest {
    acts: BTreeMap<i64, Vec<i64>>,
    /// From and until, apart from one another and in order.
    faults: Vec<(i64, i64)>,
}

impl Unrest {
    fn of(end: &End) -> Self {
        let mut acts: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for act in &end.acts {
            acts.entry(act.product).or_default().push(act.at_us);
        }
        acts.values_mut().for_each(|times| times.sort_unstable());
        let mut faults: Vec<(i64, i64)> = Vec::new();
        // In the order of their beginning.
        for fault in &end.struck {
            let until_us = fault.until_us + CALM_US;
            match faults.last_mut() {
                Some((_, last_us)) if fault.from_us <= *last_us => *last_us = until_us.max(*last_us),
                _ => faults.push((fault.from_us, until_us)),
            }
        }
        Self { acts, faults }
    }

    fn is_between(&self, product: i64, from_us: i64, until_us: i64) -> bool {
        let begun = self.faults.partition_point(|(begun_us, _)| *begun_us <= until_us);
        let is_fault = self.faults[..begun].last().is_some_and(|(_, over_us)| *over_us >= from_us);
        let acts = self.acts.get(&product).map_or(&[][..], Vec::as_slice);
        let next = acts.get(acts.partition_point(|at_us| *at_us < from_us));
        is_fault || next.is_some_and(|at_us| *at_us <= until_us)
    }
}

/// Looks at each turn, and calls `wrong` for one that came too late. Others' starts are the clock: a machine that stands
/// still does so for all.
fn look(end: &End, mut wrong: impl FnMut(&Attempt, usize)) -> Turns {
    let (unrest, mut turns) = (Unrest::of(end), Turns::default());
    let mut last: BTreeMap<(i64, u32), (usize, i64)> = BTreeMap::new();
    for (at, attempt) in end.attempts.iter().enumerate() {
        let before = last.insert((attempt.product, attempt.round), (at, attempt.started_us));
        let Some((before, before_us)) = before else { continue };
        if unrest.is_between(attempt.product, before_us, attempt.started_us) {
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
    use crate::{
        deck::Kind,
        ledger::{Act, Cost, Struck},
    };

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

    #[test]
    fn nothing_is_judged_for_a_while_after_a_fault() {
        let mut end = sample::sound();
        let at_us = end.attempts[0].started_us - CALM_US;
        let fault = |at_us| Struck { kind: Kind::WorkerKill, from_us: at_us, until_us: at_us, cost: Cost::Nothing };
        end.struck = vec![fault(at_us - 5), fault(at_us + 1)];
        assert_eq!(turns(&end).judged, 8, "all but the first");
        end.struck.push(fault(at_us + CALM_US));
        assert_eq!(turns(&end).judged, 0);
    }
}
