//! Searching all reachable states for a broken promise, breadth first: what is found is a shortest way to it.

use std::time::Instant;

use restock_model::{Faults, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

/// A search mostly copies states: half the time that it takes with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nothing befalls it.
pub const NONE: Faults = Faults {
    crashes: 0,
    freezes: 0,
    lost: 0,
    aged: 0,
    sold_out: 0,
    cancels: 0,
    resumes: 0,
    releases: 0,
    failures: 0,
    newcomers: 0,
    evictions: 0,
    flushers: 0,
};

/// The bounds of `make test`.
pub fn small(faults: Faults) -> Protocol {
    Protocol {
        workers: 2,
        flushers: 1,
        checks: 1,
        requests: 1,
        people: 2,
        window: 2,
        numbered_calls: false,
        faults,
        without: None,
    }
}

/// The number of states seen, and the promise that is broken with the shortest way there. To the end, or as many steps deep.
pub fn search(protocol: Protocol, depth: Option<usize>) -> (usize, Option<(&'static str, String)>) {
    let started = Instant::now();
    let without = protocol.without;
    let builder = protocol.checker().threads(2).finish_when(HasDiscoveries::Any);
    let builder = depth.into_iter().fold(builder, |builder, depth| builder.target_max_depth(depth));
    let checker = builder.spawn_bfs().join();
    let found = checker.discoveries().into_iter().min_by_key(|(_, path)| path.clone().into_actions().len());
    let states = checker.unique_state_count();
    let found = found.map(|(promise, path)| {
        let actions: Vec<String> = path.into_actions().iter().map(|action| format!("  {action:?}")).collect();
        (promise, format!("broken: {promise}\n{}", actions.join("\n")))
    });
    let rule = without.map_or_else(String::new, |rule| format!("without {rule:?}: "));
    println!("{rule}{states} states, depth {}, in {:.1} s", checker.max_depth(), started.elapsed().as_secs_f64());
    if let Some((_, trace)) = &found {
        println!("{trace}");
    }
    (states, found)
}

/// Every promise holds in every reachable state.
pub fn holds(protocol: Protocol) {
    let (states, found) = search(protocol, None);
    assert!(states > 100, "only {states} states");
    if let Some((_, trace)) = found {
        panic!("{trace}");
    }
}
