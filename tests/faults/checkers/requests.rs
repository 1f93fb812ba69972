//! Requests: each that was accepted has a round of its own, the one that its producer was told, and no round is anybody's
//! invention.

use std::collections::{BTreeMap, BTreeSet};

use crate::end::{End, Request};

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut taken: BTreeMap<(i64, u32), i64> = BTreeMap::new();
    for Request { id, product, state, round } in &end.requests {
        let Some(round) = round.filter(|_| state == "ACCEPTED") else {
            wrong.push(format!("request {id} for product {product} is {state}, without a round"));
            continue;
        };
        if let Some(other) = taken.insert((*product, round), *id) {
            wrong.push(format!("requests {other} and {id} were both given round {round} of product {product}"));
        }
        if !end.rounds.contains_key(&(*product, round)) {
            wrong.push(format!("request {id} was given round {round} of product {product}, which has no row"));
        }
    }
    let asked: BTreeSet<(i64, u32)> = taken.keys().copied().collect();
    for (product, round) in end.rounds.keys().filter(|of| !asked.contains(of)) {
        wrong.push(format!("round {round} of product {product}: nobody asked for it"));
    }
    for promise in &end.promises {
        let found = end.requests.iter().find(|request| request.id == promise.request);
        let Some(found) = found.filter(|request| request.product == promise.product) else {
            wrong.push(format!("request {} for product {} is gone", promise.request, promise.product));
            continue;
        };
        // What a Redis had promised that was lost then, the next one gives out anew.
        let is_lost = end.struck.iter().any(|fault| fault.is_loss() && fault.until_us >= promise.at_us - 1_000_000);
        if promise.round.is_some() && promise.round != found.round && !is_lost {
            let (told, round) = (promise.round, found.round);
            wrong.push(format!("request {}: its producer was told round {told:?}, it is {round:?}", found.id));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn a_request_without_its_round_or_with_anothers_is_a_breach() {
        let mut end = sample::sound();
        end.requests[0].state = "PENDING".to_owned();
        assert_eq!(check(&end).len(), 2, "and nobody asked for the round");
        let mut end = sample::sound();
        end.requests.push(Request { id: 2, ..end.requests[0].clone() });
        assert_eq!(check(&end).len(), 1, "one round for two");
        let mut end = sample::sound();
        end.rounds.clear();
        assert_eq!(check(&end).len(), 1);
        let mut end = sample::sound();
        end.promises[0].round = Some(7);
        assert_eq!(check(&end).len(), 1);
        end.promises[0].request = 9;
        assert_eq!(check(&end).len(), 1);
    }
}
