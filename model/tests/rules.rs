//! Without any one of the rules a promise is broken: the rules are there for a reason.

#[expect(dead_code, reason = "what else the other tests use")]
mod search;

use std::collections::HashSet;

use restock_model::{Faults, Protocol, Rule};
use search::{NONE, search, small};

/// Without `AdoptUnbegun` a promise breaks three steps before.
const ADOPTED_BY: usize = 26;

/// Bounds within which the lack of the rule shows, and nothing breaks with it.
fn bounds(rule: Rule) -> Protocol {
    let freeze = Faults { freezes: 1, ..NONE };
    let mut protocol = small(match rule {
        Rule::Token | Rule::Lapse => freeze,
        Rule::UptoOnce => Faults { newcomers: 1, ..freeze },
        Rule::Window | Rule::SettleInOrder => Faults { crashes: 1, ..NONE },
        Rule::Ahead => Faults { failures: 1, resumes: 1, ..NONE },
        Rule::AdvanceBeforeSend | Rule::StockAtAdvance => Faults { sold_out: 1, ..NONE },
        Rule::CancelTells => Faults { cancels: 1, ..NONE },
        Rule::ReleaseQueues => Faults { releases: 1, ..NONE },
        Rule::GoOn => Faults { sold_out: 1, ..NONE },
        Rule::Drain => Faults { cancels: 1, resumes: 1, ..NONE },
        Rule::NobodyOpen => Faults { failures: 1, ..NONE },
        Rule::ResumeCanceled => Faults { resumes: 1, ..NONE },
        Rule::ExpectedCursor
        | Rule::Aged
        | Rule::NewerOnly
        | Rule::HydrateBehind
        | Rule::AdoptUnbegun
        | Rule::Epoch => Faults { aged: 1, ..NONE },
        Rule::EvictFlushed => Faults { evictions: 1, ..NONE },
        Rule::Position | Rule::DeleteAfterCommit => Faults { flushers: 1, ..NONE },
        Rule::Reconcile | Rule::WholeScripts | Rule::StillLogged => Faults { lost: 1, ..NONE },
        Rule::Lease | Rule::LineOrder | Rule::OneEntry | Rule::Waiting | Rule::Once => NONE,
    });
    protocol.people = 1;
    match rule {
        Rule::Waiting | Rule::OneEntry => protocol.requests = 2,
        Rule::Aged | Rule::AdoptUnbegun => (protocol.requests, protocol.window) = (2, 1),
        Rule::ExpectedCursor => (protocol.people, protocol.window) = (2, 1),
        Rule::GoOn => (protocol.requests, protocol.people) = (2, 2),
        Rule::Position => (protocol.flushers, protocol.workers) = (2, 1),
        Rule::Epoch => (protocol.checks, protocol.workers) = (2, 1),
        Rule::Window => (protocol.people, protocol.window) = (3, 1),
        Rule::LineOrder | Rule::SettleInOrder | Rule::Ahead | Rule::Token | Rule::Lapse | Rule::Drain => {
            protocol.people = 2;
        }
        Rule::AdvanceBeforeSend | Rule::StockAtAdvance => (protocol.people, protocol.window) = (2, 1),
        _ => {}
    }
    let one = [
        Rule::AdvanceBeforeSend,
        Rule::ExpectedCursor,
        Rule::Ahead,
        Rule::StockAtAdvance,
        Rule::Drain,
        Rule::Once,
        Rule::EvictFlushed,
        Rule::DeleteAfterCommit,
        Rule::Reconcile,
        Rule::WholeScripts,
        Rule::StillLogged,
        Rule::NewerOnly,
        Rule::HydrateBehind,
        Rule::AdoptUnbegun,
        Rule::Aged,
        Rule::GoOn,
        Rule::Waiting,
        Rule::OneEntry,
        Rule::LineOrder,
    ];
    if one.contains(&rule) {
        protocol.workers = 1;
    }
    protocol
}

/// How many steps deep is searched: to the end where there is none. The bounds of these two have ten times the states of all
/// others together, so here some steps beyond the shortest way on which a promise breaks without them; `make model` goes to their end.
fn depth(rule: Rule) -> Option<usize> {
    matches!(rule, Rule::Aged | Rule::AdoptUnbegun).then_some(ADOPTED_BY)
}

/// With all rules, within the same bounds, nothing breaks.
#[test]
fn without_any_one_of_the_rules_a_promise_is_broken() {
    let unbroken: Vec<Rule> = Rule::ALL
        .into_iter()
        .filter(|rule| search(Protocol { without: Some(*rule), ..bounds(*rule) }, depth(*rule)).1.is_none())
        .collect();
    // Some rules share their bounds.
    let mut searched: HashSet<String> = HashSet::new();
    for rule in Rule::ALL {
        if searched.insert(format!("{:?}", bounds(rule))) {
            assert_eq!(search(bounds(rule), depth(rule)).1, None, "with all rules, within the bounds for {rule:?}");
        }
    }
    assert_eq!(unbroken, [], "nothing breaks without these rules");
}
