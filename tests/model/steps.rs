//! Random sequences of what can happen.

use proptest::prelude::*;
use restock_model::Action;

/// Something that happens on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// One action of the model.
    Do(Action),
    /// What this worker does next when nothing befalls it.
    Work(usize),
    /// One of the calls that were made in a hold comes to Redis once more: nothing changes.
    Again(usize),
    /// The flusher brings all of the log to MySQL.
    FlushAll,
    /// The product is checked against MySQL, without anything in between.
    CheckNow,
}

/// What a worker does, in this order: so it fills its window, hears all answers, calls, and comes to the end of the round.
pub(crate) fn next_of(worker: usize) -> Vec<Action> {
    use Action::*;
    let mut all = vec![Receive(worker, 0), Begin(worker), AdvanceReleaseOrFinish(worker), Start(worker)];
    all.extend((1..=5).map(|place| Answered(worker, place)));
    all.push(Call(worker));
    all
}

/// The longest sequence; most of its steps are not possible when their turn comes, and are left out.
const STEPS_MAX: usize = 240;

/// Sequences that get somewhere: what a worker does comes more often than what befalls it.
pub(crate) fn sequences() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![9 => (0..2_usize).prop_map(Step::Work), 4 => work(), 5 => wishes(), 2 => faults()],
        20..STEPS_MAX,
    )
}

fn work() -> impl Strategy<Value = Step> {
    use Action::*;
    let worker = 0..2_usize;
    let place = 1..=5_u8;
    prop_oneof![
        4 => (worker.clone(), 0..2_usize).prop_map(|(worker, entry)| Receive(worker, entry)),
        6 => worker.clone().prop_map(Begin),
        8 => worker.clone().prop_map(Start),
        10 => (worker.clone(), place).prop_map(|(worker, place)| Answered(worker, place)),
        2 => worker.clone().prop_map(Lapse),
        8 => worker.clone().prop_map(Call),
        10 => worker.clone().prop_map(AdvanceReleaseOrFinish),
        2 => worker.prop_map(Renew),
    ]
    .prop_map(Step::Do)
    .boxed()
    .prop_union(any::<u8>().prop_map(|call| Step::Again(call.into())).boxed())
}

fn wishes() -> impl Strategy<Value = Step> {
    use Action::*;
    let request = 0..4_usize;
    prop_oneof![
        5 => request.clone().prop_map(|request| Step::Do(Request(request))),
        8 => request.prop_map(|request| Step::Do(Enqueue(request))),
        2 => Just(Step::Do(SellOut)),
        2 => Just(Step::Do(Cancel)),
        3 => Just(Step::Do(Resume)),
        1 => Just(Step::Do(Subscribe)),
        1 => (0..2_usize).prop_map(|worker| Step::Do(AskBack(worker))),
        1 => Just(Step::Do(Evict)),
        4 => Just(Step::FlushAll),
        4 => Just(Step::CheckNow),
    ]
}

fn faults() -> impl Strategy<Value = Step> {
    use Action::*;
    let worker = 0..2_usize;
    prop_oneof![
        2 => (worker.clone(), 1..=5_u8).prop_map(|(worker, place)| CannotBeTold(worker, place)),
        2 => worker.prop_map(Crash),
        2 => Just(FreezeBeyondLease),
        3 => Just(LeaseOfTheDeadExpires),
        2 => (0..2_usize).prop_map(Check),
        2 => (0..2_usize).prop_map(Hydrate),
        1 => Just(LoseRedis),
        2 => Just(SaveRedis),
        2 => Just(AgeRedis),
    ]
    .prop_map(Step::Do)
}
