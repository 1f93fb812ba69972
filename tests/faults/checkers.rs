//! The promises, each with a checker over the whole end of a run.

mod bounds;
mod fairness;
mod lost;
mod one_hand;
mod order;
mod pace;
mod repeats;
mod requests;
#[cfg(test)]
mod sample;
mod sold_out;
mod two_stores;

use serde::Serialize;

use super::end::End;

pub(crate) use fairness::{CALM_US, turns};
pub(crate) use lost::count as lost_count;
pub(crate) use pace::fullest_second;
pub(crate) use repeats::{most_after_one_fault, repeated};

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Breach {
    /// Which promise.
    pub(crate) promise: &'static str,
    /// Where and how.
    pub(crate) what: String,
}

type Checker = fn(&End) -> Vec<String>;

/// Each promise with its checker.
pub(crate) const CHECKERS: [(&str, Checker); 11] = [
    ("order", order::check),
    ("nobody lost", lost::check),
    ("one hand", one_hand::check),
    ("sold out", sold_out::check),
    ("repeats", repeats::check),
    ("pace", pace::check),
    ("fairness", fairness::check),
    ("two stores", two_stores::check),
    ("bounds", bounds::check),
    ("requests", requests::check),
    ("nothing unexpected", |end| end.complaints.clone()),
];

/// Everything that is wrong.
pub(crate) fn check(end: &End) -> Vec<Breach> {
    let of = |(promise, checker): &(&'static str, Checker)| {
        checker(end).into_iter().map(|what| Breach { promise, what }).collect::<Vec<_>>()
    };
    CHECKERS.iter().flat_map(of).collect()
}

#[test]
fn a_sound_end_is_sound() {
    assert_eq!(check(&sample::sound()), []);
}

#[test]
fn a_complaint_is_a_breach() {
    let mut end = sample::sound();
    end.complaints.push("worker-3 ended by itself".to_owned());
    assert_eq!(check(&end).len(), 1);
}
