//! Repeats: at most a window of people for each crash that hit their lane, whoever was not recorded for each loss of
//! Redis, and one message for each attempt that was never answered.

use std::collections::{BTreeMap, HashMap};

use restock::round::RoundState;

use crate::{
    end::{Attempt, End},
    ledger::Struck,
};

/// Somebody who was told twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    product: i64,
    round: u32,
    user: i64,
    /// The attempt that told them, and the next one; it may have taken some more until they were told again.
    told_us: i64,
    again_us: i64,
    /// Nobody heard that they were told.
    is_unanswered: bool,
}

/// The first round of the pass through the line to which each round belongs: one that goes on belongs to that of the
/// round before it.
fn passes(end: &End) -> HashMap<(i64, u32), u32> {
    let mut passes = HashMap::new();
    let mut current: Option<(i64, u32)> = None;
    for (of @ (product, round), RoundState { from, started_us, .. }) in &end.rounds {
        let goes_on = from.is_some() && current.is_some_and(|(before, _)| before == *product);
        if started_us.is_some() && !goes_on {
            current = Some((*product, *round));
        }
        passes.insert(*of, current.filter(|(before, _)| before == product).map_or(*round, |(_, first)| first));
    }
    passes
}

/// Everybody who was told twice in the same pass through the line, in the order of being told again.
pub(crate) fn repeated(end: &End) -> Vec<Repeat> {
    let passes = passes(end);
    // Who was told, and when they were tried next.
    let mut told: HashMap<(i64, u32, i64), (&Attempt, Option<i64>)> = HashMap::new();
    let mut repeats = Vec::new();
    for attempt in &end.attempts {
        let Attempt { product, round, user, started_us, is_accepted, .. } = *attempt;
        let person = (product, passes.get(&(product, round)).copied().unwrap_or(round), user);
        if let Some((before, again)) = told.get_mut(&person) {
            let again_us = *again.get_or_insert(started_us);
            let (told_us, is_unanswered) = (before.started_us, before.is_unanswered);
            repeats.extend(is_accepted.then_some(Repeat { product, round, user, told_us, again_us, is_unanswered }));
        }
        if is_accepted {
            told.insert(person, (attempt, None));
        }
    }
    repeats
}

/// Gives each repeat to the fault that ended first of those that can have caused it and have not cost all they may:
/// what each fault has cost each lane, and the repeats that no fault explains.
fn explain(end: &End) -> (BTreeMap<(i64, usize), usize>, Vec<Repeat>) {
    let mut spent: BTreeMap<(i64, usize), usize> = BTreeMap::new();
    let mut unexplained = Vec::new();
    for repeat in repeated(end).into_iter().filter(|repeat| !repeat.is_unanswered) {
        let product = repeat.product;
        let can_have_caused = |(at, fault): (usize, &Struck)| {
            let has_left = fault.repeats(product, end.bounds.window) > spent.get(&(product, at)).copied().unwrap_or(0);
            (has_left && fault.is_between(repeat.told_us, repeat.again_us)).then_some((fault.until_us, at))
        };
        match end.struck.iter().enumerate().filter_map(can_have_caused).min() {
            Some((_, at)) => *spent.entry((product, at)).or_default() += 1,
            None => unexplained.push(repeat),
        }
    }
    (spent, unexplained)
}

/// The most people of one lane who were told again after one fault.
pub(crate) fn most_after_one_fault(end: &End) -> usize {
    explain(end).0.into_values().max().unwrap_or(0)
}

pub(super) fn check(end: &End) -> Vec<String> {
    let text = |Repeat { product, round, user, told_us, again_us, .. }: Repeat| {
        let after_us = again_us - told_us;
        format!("product {product} round {round}: user {user}, told at {told_us}, was told again {after_us} µs later")
    };
    explain(end).1.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::{
        deck::Kind,
        ledger::{Cost, Lanes},
    };

    /// The last `count` people are told again, a second after the last one.
    fn again(count: usize) -> End {
        let mut end = sample::sound();
        let last = end.attempts.len() - count;
        let repeats: Vec<Attempt> = end.attempts[last..]
            .iter()
            .map(|attempt| Attempt { started_us: attempt.started_us + 1_000_000, ..*attempt })
            .collect();
        end.attempts.extend(repeats);
        end
    }

    fn fault(cost: Cost) -> Struck {
        let at_us = sample::START_US + 11 * sample::STEP_US;
        Struck { kind: Kind::WorkerKill, from_us: at_us, until_us: at_us, cost }
    }

    #[test]
    fn a_repeat_without_a_fault_is_a_breach() {
        assert_eq!(check(&again(2)).len(), 2);
    }

    #[test]
    fn a_kill_excuses_a_window_of_people_and_no_more() {
        let mut end = again(3);
        end.struck = vec![fault(Cost::Windows(Lanes::All))];
        assert_eq!(check(&end), Vec::<String>::new());
        let mut end = again(4);
        end.struck = vec![fault(Cost::Windows(Lanes::All))];
        assert_eq!(check(&end).len(), 1);
        end.struck = vec![fault(Cost::Unrecorded([(sample::PRODUCT, 1)].into()))];
        assert_eq!(check(&end), Vec::<String>::new());
    }

    #[test]
    fn who_is_told_at_the_third_try_is_told_again_once() {
        let mut end = again(1);
        let refused = *end.attempts.last().expect("some");
        end.attempts.push(Attempt { started_us: refused.started_us + 1, ..refused });
        end.attempts[10].is_accepted = false;
        assert_eq!(repeated(&end).len(), 1);
        end.attempts.pop();
        assert_eq!(repeated(&end), [], "an attempt that nobody took");
    }

    #[test]
    fn an_answer_that_came_too_late_excuses_its_own_person() {
        let mut end = again(2);
        end.attempts[8].is_unanswered = true;
        assert_eq!(check(&end).len(), 1);
    }

    #[test]
    fn who_was_told_in_the_round_before_is_told_again_by_one_that_goes_on() {
        let mut end = sample::sound();
        let last = *end.attempts.last().expect("some");
        end.attempts.push(Attempt { round: 2, started_us: last.started_us + 1, ..last });
        let mut second = end.rounds[&sample::OF].clone();
        second.round = restock::ids::Round(2);
        end.rounds.insert((sample::PRODUCT, 2), second.clone());
        assert_eq!(check(&end), Vec::<String>::new(), "a round from the start tells everybody");
        second.from = Some(restock::ids::Place(9));
        end.rounds.insert((sample::PRODUCT, 2), second);
        assert_eq!(check(&end).len(), 1);
    }
}
