//! The real scripts beside the model: the same random sequence of actions drives both, and after each of them the replies,
//! what Redis holds and what MySQL holds must agree.
//!
//! ```text
//! random actions ─┬─▶ model (model/src)                                ─▶ picture ─┐
//!                 └─▶ scripts by their wrappers, Stores::check, Lead::flush ─▶ picture ─┴─▶ equal?
//! ```
//!
//! `RESTOCK_MODEL_SECONDS` says for how long sequences are tried, `RESTOCK_MODEL_SEED` which ones come first.

mod calls;
mod hold;
mod install;
mod pair;
mod picture;
mod record;
mod reply;
mod stage;
mod steps;
#[path = "../support/mod.rs"]
mod support;

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use pair::{Pair, agreed};
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner};
use restock_model::{Protocol, Rule};
use stage::Stage;
use steps::{Step, sequences};
use tokio::runtime::Runtime;

/// Sequences on which they disagreed once, by their seeds.
const REGRESSIONS: &str = "tests/model/regressions.txt";
/// How long sequences are tried in `make test`.
const SECONDS: u64 = 8;
/// So often a sequence on which they disagree is made shorter.
const SHRINKS_MAX: u32 = 2_000;
/// Without one of the rules, a sequence on which the model and the scripts disagree is among so many.
const SEQUENCES_MAX: u32 = 400;

/// Reads a number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

/// The real side, for one sequence after the other.
struct Theatre {
    runtime: Runtime,
    stage: RefCell<Stage>,
    sequences: Cell<u32>,
    steps: Cell<usize>,
}

impl Theatre {
    fn open() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let stage = RefCell::new(runtime.block_on(Stage::open()));
        Self { runtime, stage, sequences: Cell::new(0), steps: Cell::new(0) }
    }

    /// The model and the scripts on this sequence.
    fn play(&self, protocol: &Protocol, steps: &[Step]) -> Result<(), TestCaseError> {
        self.sequences.update(|played| played + 1);
        let mut stage = self.stage.borrow_mut();
        let playing = async { Pair::new(&mut stage, protocol.clone()).await.play(steps).await };
        let made = self.runtime.block_on(playing).map_err(TestCaseError::fail)?;
        self.steps.update(|steps| steps + made);
        Ok(())
    }
}

impl Drop for Theatre {
    fn drop(&mut self) {
        // The connection of whoever leads can be given up only while the runtime is there.
        let _context = self.runtime.enter();
        self.stage.get_mut().dismiss();
    }
}

#[test]
fn the_scripts_do_what_the_model_says() {
    let theatre = Theatre::open();
    let seconds = Duration::from_secs(number("RESTOCK_MODEL_SECONDS").unwrap_or(SECONDS));
    let first = number("RESTOCK_MODEL_SEED").unwrap_or_else(rand::random);
    eprintln!("RESTOCK_MODEL_SEED={first}");
    let begun = Instant::now();
    let mut seed = first;
    while begun.elapsed() < seconds {
        let config = Config {
            cases: 1,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: (seed == first)
                .then(|| Box::new(FileFailurePersistence::Direct(REGRESSIONS)) as Box<_>),
            max_shrink_iters: SHRINKS_MAX,
            ..Config::default()
        };
        match TestRunner::new(config).run(&sequences(), |steps| theatre.play(&agreed(), &steps)) {
            Err(TestError::Fail(disagreement, _)) => panic!("{disagreement}again: RESTOCK_MODEL_SEED={seed}"),
            Err(error) => panic!("{error}"),
            Ok(()) => {}
        }
        seed = seed.wrapping_add(1);
    }
    eprintln!("{} sequences, {} steps on both sides", theatre.sequences.get(), theatre.steps.get());
    assert!(theatre.steps.get() > 100, "only {} steps", theatre.steps.get());
}

/// Rules that the scripts, the check and the flusher keep by themselves: a model that does not keep one of them is found to
/// disagree. So the comparison can fail. Left out is what takes more sequences to come by.
#[test]
fn a_model_without_any_one_of_the_rules_disagrees_with_the_scripts() {
    let theatre = Theatre::open();
    let mut unnoticed = Vec::new();
    for rule in [
        Rule::Token,
        Rule::Lease,
        Rule::CancelTells,
        Rule::ReleaseQueues,
        Rule::OneEntry,
        Rule::Waiting,
        Rule::GoOn,
        Rule::StockAtAdvance,
        Rule::Drain,
        Rule::Once,
        Rule::Aged,
        Rule::HydrateBehind,
        Rule::EvictFlushed,
    ] {
        let protocol = Protocol { without: Some(rule), ..agreed() };
        let config = Config {
            cases: SEQUENCES_MAX,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            max_shrink_iters: 0,
            ..Config::default()
        };
        theatre.sequences.set(0);
        match TestRunner::new(config).run(&sequences(), |steps| theatre.play(&protocol, &steps)) {
            Err(TestError::Fail(..)) => eprintln!("without {rule:?}: found by sequence {}", theatre.sequences.get()),
            Err(TestError::Abort(reason)) => panic!("{reason}"),
            Ok(()) => unnoticed.push(rule),
        }
    }
    assert_eq!(unnoticed, [], "nobody notices that the model lacks these rules");
}
