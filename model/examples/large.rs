//! The larger search of `make model`: the bounds of the tests that are too many states for them, to their end; then all faults
//! at once, as deep as time allows. Prints each row of bounds with the states
//! seen; ends with code 1 and the shortest way there when a promise is broken.

use std::{process::ExitCode, time::Duration, time::Instant};

use restock_model::{Faults, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

/// As the tests do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let minutes = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    let none = Faults::default();
    let rows = [
        (
            "2 workers, crash, freeze, sold out, resume",
            1,
            1,
            2,
            Faults { crashes: 1, freezes: 1, sold_out: 1, resumes: 1, ..none },
        ),
        ("2 flushers, 2 rounds, Redis lost", 2, 2, 2, Faults { lost: 1, flushers: 1, ..none }),
        ("2 flushers, 2 rounds, Redis aged, crash", 2, 2, 2, Faults { aged: 1, crashes: 1, ..none }),
        (
            "3 people, 2 rounds, cancel, resume, release, failure",
            1,
            2,
            3,
            Faults { cancels: 1, resumes: 1, releases: 1, failures: 1, ..none },
        ),
        (
            "3 people, 2 rounds, everything",
            2,
            2,
            3,
            Faults {
                crashes: 1,
                freezes: 1,
                lost: 1,
                aged: 1,
                sold_out: 1,
                cancels: 1,
                resumes: 1,
                releases: 1,
                failures: 1,
                newcomers: 1,
                evictions: 1,
                flushers: 1,
            },
        ),
    ];
    let one_round_lost = Protocol {
        workers: 1,
        flushers: 1,
        checks: 1,
        requests: 2,
        people: 1,
        window: 1,
        numbered_calls: false,
        faults: Faults { aged: 1, ..none },
        without: None,
    };
    if !holds("1 worker, 1 person, 2 rounds, Redis aged", one_round_lost, None) {
        return ExitCode::FAILURE;
    }
    let limit = Duration::from_secs(minutes * 60);
    for (name, flushers, requests, people, faults) in rows {
        let protocol = Protocol {
            workers: 2,
            flushers,
            checks: flushers,
            requests,
            people,
            window: 2,
            numbered_calls: false,
            faults,
            without: None,
        };
        if !holds(name, protocol, Some(limit)) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Searches for so long, or to the end, and says what was found.
fn holds(name: &str, protocol: Protocol, limit: Option<Duration>) -> bool {
    let started = Instant::now();
    let mut search = protocol.checker().threads(2).finish_when(HasDiscoveries::Any);
    if let Some(limit) = limit {
        // Memory is the other limit: a state takes about half a kilobyte.
        search = search.timeout(limit).target_state_count(6_000_000);
    }
    let checker = search.spawn_bfs().join();
    let seconds = started.elapsed().as_secs_f64();
    println!("{name}: {} states, depth {}, {seconds:.0} s", checker.unique_state_count(), checker.max_depth());
    let Some((promise, path)) = checker.discoveries().into_iter().next() else { return true };
    println!("broken: {promise}");
    for action in path.into_actions() {
        println!("  {action:?}");
    }
    false
}
