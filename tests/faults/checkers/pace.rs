//! Pace: no sliding second has more starts than the limit, over all workers.

use crate::end::{Attempt, End};

const SECOND_US: i64 = 1_000_000;

/// The most starts in any second, and when it began.
pub(crate) fn fullest_second(attempts: &[Attempt]) -> (usize, i64) {
    let (mut first, mut most) = (0, (0, 0));
    for (last, attempt) in attempts.iter().enumerate() {
        while attempt.started_us - attempts[first].started_us >= SECOND_US {
            first += 1;
        }
        most = most.max((last - first + 1, attempts[first].started_us));
    }
    most
}

pub(super) fn check(end: &End) -> Vec<String> {
    let (most, at_us) = fullest_second(&end.attempts);
    let limit = end.bounds.rate;
    let wrong =
        (most > limit).then(|| format!("{most} attempts started in the second from {at_us}, the limit is {limit}"));
    wrong.into_iter().collect()
}

#[test]
fn one_start_too_many_in_a_second_is_a_breach() {
    let mut end = super::sample::sound();
    end.bounds.rate = end.attempts.len();
    assert_eq!(check(&end), Vec::<String>::new());
    end.bounds.rate -= 1;
    assert_eq!(check(&end).len(), 1);
    // A second apart: two seconds.
    end.attempts.last_mut().expect("some").started_us = end.attempts[0].started_us + SECOND_US;
    assert_eq!(check(&end), Vec::<String>::new());
}
