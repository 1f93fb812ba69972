//! Every promise in every reachable state; and what breaks without each rule.

mod search;

use restock_model::Faults;
use search::{NONE, holds, small};

#[test]
fn nothing_breaks_without_a_fault() {
    holds(small(NONE));
}

#[test]
fn nothing_breaks_when_workers_die_and_freeze() {
    holds(small(Faults { crashes: 1, freezes: 1, ..NONE }));
}

#[test]
fn nothing_breaks_when_redis_is_emptied() {
    for (workers, people) in [(1, 2), (2, 1)] {
        let mut protocol = small(Faults { lost: 1, ..NONE });
        (protocol.workers, protocol.people) = (workers, people);
        holds(protocol);
    }
}

#[test]
fn nothing_breaks_when_redis_comes_back_with_an_earlier_state() {
    let mut protocol = small(Faults { aged: 1, ..NONE });
    protocol.workers = 1;
    holds(protocol);
}

#[test]
fn nothing_breaks_by_wishes() {
    holds(small(Faults { sold_out: 1, cancels: 1, resumes: 1, ..NONE }));
}

#[test]
fn nothing_breaks_when_flushers_fail_and_a_product_is_forgotten() {
    let mut protocol = small(Faults { flushers: 1, evictions: 1, ..NONE });
    (protocol.flushers, protocol.workers) = (2, 1);
    holds(protocol);
}

/// A batch that was read before Redis was emptied and filled again from MySQL is not committed any more.
#[test]
fn a_batch_that_outlives_its_log_undoes_no_round() {
    for requests in [1, 2] {
        let mut protocol = small(Faults { lost: 1, ..NONE });
        (protocol.requests, protocol.workers, protocol.people, protocol.window) = (requests, 1, 1, 1);
        holds(protocol);
    }
}
