//! Order: in a lane, first attempts start in line order.

use std::collections::{BTreeMap, HashMap};

use crate::{end::End, ledger::Struck};

/// The first attempt for somebody: place in line, user, start.
type First = (usize, i64, i64);

/// The first attempts of each round, in line order.
fn firsts(end: &End) -> BTreeMap<(i64, u32), Vec<First>> {
    let mut start: HashMap<(i64, u32, i64), i64> = HashMap::new();
    let seen = end.attempts.iter().map(|seen| ((seen.product, seen.round, seen.user), seen.started_us));
    let failed = end.failed.iter().map(|failed| ((failed.product, failed.round, failed.user), failed.started_us));
    for (of, started_us) in seen.chain(failed) {
        let first_us = start.entry(of).or_insert(started_us);
        *first_us = started_us.min(*first_us);
    }
    let mut rounds: BTreeMap<(i64, u32), Vec<First>> = BTreeMap::new();
    let mut seats: HashMap<(i64, i64), usize> = HashMap::new();
    for (product, line) in &end.lines {
        seats.extend(line.iter().enumerate().map(|(seat, person)| ((*product, person.user), seat)));
    }
    for ((product, round, user), started_us) in start {
        let seat = seats.get(&(product, user)).copied().unwrap_or(usize::MAX);
        rounds.entry((product, round)).or_default().push((seat, user, started_us));
    }
    for people in rounds.values_mut() {
        people.sort_unstable();
    }
    rounds
}

/// Of two people whose first attempts were cut off, the one with the longer pause before the next is seen later.
const PAUSE_US: i64 = 700_000;

/// Nobody knows of an attempt that was cut off with its worker, its hold, or while the worker's log was on a full disk. So
/// somebody may be seen for the first time after people behind them only if a fault that cost attempts lies between (also
/// one of the receiver's wire), and only as many places ahead as it cost.
fn is_excused(end: &End, product: i64, apart: usize, early_us: i64, late_us: i64) -> bool {
    let covers = |fault: &&Struck| fault.is_between(early_us - PAUSE_US, late_us);
    end.struck.iter().filter(covers).map(|fault| fault.repeats(product, end.bounds.window)).sum::<usize>() >= apart
}

/// A Redis that lost what MySQL had not got gives the same round out again, and the line may begin before the place where the
/// lost one began: nobody up to `before` had their turn in that one.
fn is_given_out_again(end: &End, people: &[First], before: usize, early_us: i64, late_us: i64) -> bool {
    let begins_anew = |fault: &Struck| people.iter().all(|(seat, _, us)| *seat > before || *us > fault.from_us);
    end.struck.iter().any(|fault| fault.is_loss() && fault.is_between(early_us, late_us) && begins_anew(fault))
}

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((product, round), people) in firsts(end) {
        for (at, (seat, user, started_us)) in people.iter().enumerate() {
            if *seat == usize::MAX {
                wrong.push(format!("product {product} round {round}: user {user} does not stand in line"));
                break;
            }
            let overtaken = people[..at].iter().find(|(before, _, late_us)| {
                late_us > started_us
                    && !is_excused(end, product, seat - before, *started_us, *late_us)
                    && !is_given_out_again(end, &people, *before, *started_us, *late_us)
            });
            if let Some((before, other, late_us)) = overtaken {
                let (places, by_us) = (seat - before, late_us - started_us);
                wrong.push(format!(
                    "product {product} round {round}: user {user} started at {started_us}, {by_us} µs before user {other}, \
                     {places} places ahead of them"
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::{
        deck::Kind,
        end::Attempt,
        failed::Failed,
        ledger::{Cost, Lanes},
    };

    fn swapped() -> End {
        let mut end = sample::sound();
        let (third, fourth) = (end.attempts[2].user, end.attempts[3].user);
        (end.attempts[2].user, end.attempts[3].user) = (fourth, third);
        end
    }

    #[test]
    fn two_who_changed_places_are_a_breach() {
        assert_eq!(check(&swapped()).len(), 1);
        let mut end = sample::sound();
        end.attempts[2].user = 4_711;
        assert_eq!(check(&end).len(), 1, "a stranger");
    }

    #[test]
    fn a_round_that_was_lost_and_begins_anew_before_its_first_person_is_none() {
        let mut end = sample::sound();
        let begun_us = end.attempts.last().expect("some").started_us;
        // Of the lost one the last two are known; then everybody is told.
        let lost = end.attempts.split_off(end.attempts.len() - 2);
        for attempt in &mut end.attempts {
            attempt.started_us += 60_000_000;
        }
        end.attempts.splice(0..0, lost);
        assert!(!check(&end).is_empty(), "without a loss");
        let (from_us, cost) = (begun_us + 1, Cost::Unrecorded(std::collections::BTreeMap::new()));
        end.struck = vec![Struck { kind: Kind::WorkerKill, from_us, until_us: from_us, cost }];
        assert_eq!(check(&end), Vec::<String>::new());
        end.attempts[2].started_us = begun_us - 1;
        assert!(!check(&end).is_empty(), "somebody before them had been told in the lost one");
    }

    #[test]
    fn an_attempt_that_failed_on_its_way_counts_as_the_first() {
        let mut end = swapped();
        let Attempt { product, round, user, started_us, .. } = end.attempts[3];
        end.failed = vec![Failed { product, round, user, started_us: started_us - 2 * sample::STEP_US + 1 }];
        assert_eq!(check(&end), Vec::<String>::new());
        end.failed[0].round += 1;
        assert_eq!(check(&end).len(), 1, "it was one of another round");
    }

    #[test]
    fn an_attempt_that_a_kill_cut_off_is_none() {
        let mut end = swapped();
        let at_us = end.attempts[2].started_us + 1;
        let mut kill = Struck {
            kind: Kind::WorkerKill,
            from_us: at_us,
            until_us: at_us,
            cost: Cost::Windows(Lanes::These([sample::PRODUCT].into())),
        };
        end.struck = vec![kill.clone()];
        assert_eq!(check(&end), Vec::<String>::new());
        kill.cost = Cost::Windows(Lanes::These([2].into()));
        end.struck = vec![kill];
        assert_eq!(check(&end).len(), 1, "it hit another lane");
    }
}
