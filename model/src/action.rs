//! What can happen next.

use crate::{
    Faults, Protocol, Rule,
    round::bit,
    state::{Flusher, State},
    worker::Worker,
};

/// Something that happens. Workers, flushers and checks are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the scripts, or of methods of State that say more")]
pub enum Action {
    Request(usize),
    Enqueue(usize),
    SellOut,
    Cancel,
    Resume,
    Subscribe,
    Receive(usize, usize),
    Begin(usize),
    Start(usize),
    StartOutOfTurn(usize),
    Answered(usize, u8),
    CannotBeTold(usize, u8),
    Lapse(usize),
    AskBack(usize),
    Call(usize),
    AdvanceReleaseOrFinish(usize),
    Renew(usize),
    Crash(usize),
    FreezeBeyondLease,
    LeaseOfTheDeadExpires,
    Lead(usize),
    Examine(usize),
    ReadLog(usize),
    ReadWholeLog(usize),
    DeleteEarly(usize),
    Flush(usize),
    DeleteLog(usize),
    FlusherDies(usize),
    FlusherLosesLock(usize),
    Check(usize),
    Hydrate(usize),
    Evict,
    LoseRedis,
    SaveRedis,
    AgeRedis,
}

impl Action {
    /// All that might be possible; what certainly is not is left out, as trying it would cost a copy of the state.
    pub fn of(protocol: &Protocol, state: &State) -> impl Iterator<Item = Self> {
        use Action::*;
        let mut all = vec![LeaseOfTheDeadExpires];
        all.extend((0..protocol.requests).filter_map(|request| match state.mysql.requests[request] {
            None => Some(Request(request)),
            Some(0) => Some(Enqueue(request)),
            Some(_) => None,
        }));
        for (worker, doing) in state.workers.iter().enumerate() {
            Self::of_worker(protocol, state, worker, doing, &mut all);
        }
        for (flusher, own) in state.flushers.iter().enumerate() {
            Self::of_flusher(flusher, own.as_ref(), &mut all);
        }
        for (slot, check) in state.checks.iter().enumerate() {
            all.push(if check.is_some() { Hydrate(slot) } else { Check(slot) });
        }
        all.extend([SellOut, Cancel, Resume, Subscribe, FreezeBeyondLease, Evict, LoseRedis, SaveRedis, AgeRedis]);
        let mut left = state.left;
        all.into_iter().filter(move |action| action.budget(&mut left).is_none_or(|times| *times > 0))
    }

    fn of_worker(protocol: &Protocol, state: &State, worker: usize, doing: &Worker, all: &mut Vec<Self>) {
        use Action::*;
        match doing {
            Worker::Idle => all.extend((0..state.redis.entries.len()).map(|entry| Receive(worker, entry))),
            Worker::Received(..) => all.extend([Begin(worker), Crash(worker)]),
            Worker::Holds(hold) => {
                all.extend([Start(worker), Lapse(worker), AskBack(worker), Call(worker)]);
                all.extend([AdvanceReleaseOrFinish(worker), Renew(worker), Crash(worker)]);
                if !protocol.keeps(Rule::LineOrder) {
                    all.push(StartOutOfTurn(worker));
                }
                let flying = (1..=state.line).filter(|place| hold.flying & bit(*place) != 0);
                all.extend(flying.flat_map(|place| [Answered(worker, place), CannotBeTold(worker, place)]));
            }
        }
    }

    fn of_flusher(flusher: usize, own: Option<&Flusher>, all: &mut Vec<Self>) {
        use Action::*;
        let Some(own) = own else {
            all.push(Lead(flusher));
            return;
        };
        if own.batch.is_empty() {
            all.extend([Examine(flusher), ReadLog(flusher), ReadWholeLog(flusher)]);
        } else if own.committed {
            all.push(DeleteLog(flusher));
        } else {
            all.extend([Flush(flusher), DeleteEarly(flusher)]);
        }
        all.extend([FlusherDies(flusher), FlusherLosesLock(flusher)]);
    }

    /// How often it may still happen, of what befalls the system or is wished for.
    fn budget(self, left: &mut Faults) -> Option<&mut u8> {
        use Action::*;
        Some(match self {
            SellOut => &mut left.sold_out,
            Cancel => &mut left.cancels,
            Resume => &mut left.resumes,
            Subscribe => &mut left.newcomers,
            CannotBeTold(..) => &mut left.failures,
            AskBack(_) => &mut left.releases,
            Crash(_) => &mut left.crashes,
            FreezeBeyondLease => &mut left.freezes,
            FlusherDies(_) | FlusherLosesLock(_) => &mut left.flushers,
            Evict => &mut left.evictions,
            LoseRedis => &mut left.lost,
            SaveRedis | AgeRedis => &mut left.aged,
            _ => return None,
        })
    }

    /// Whether it need never happen: a fault, or somebody's wish.
    #[must_use]
    pub fn is_chance(self) -> bool {
        matches!(self, Self::Request(_)) || self.budget(&mut Faults::default()).is_some()
    }

    /// The state after it; `None` when it is not possible or changes nothing.
    #[must_use]
    pub fn apply(self, protocol: &Protocol, before: &State) -> Option<State> {
        use Action::*;
        let mut state = before.clone();
        if let Some(times) = self.budget(&mut state.left) {
            if *times == 0 {
                return None;
            }
            // What is saved is lost by a restart, which is what counts.
            *times -= u8::from(self != SaveRedis);
        }
        match self {
            Request(request) => {
                let order = request == 0 || state.mysql.requests[request - 1].is_some();
                if state.mysql.requests[request].is_some() || !order {
                    return None;
                }
                state.mysql.requests[request] = Some(0);
                Some(())
            }
            Enqueue(request) if state.mysql.requests[request] == Some(0) => state.enqueue(protocol, request),
            Enqueue(_) => None,
            SellOut => state.sell_out(protocol),
            Cancel => state.cancel(protocol),
            Resume => state.resume(protocol),
            Subscribe => {
                state.line += 1;
                Some(())
            }
            Receive(worker, entry) => state.receive(worker, entry),
            Begin(worker) => state.begin(protocol, worker),
            Start(worker) => state.start(protocol, worker, false),
            StartOutOfTurn(worker) => state.start(protocol, worker, true),
            Answered(worker, place) => state.answer(worker, place, true),
            CannotBeTold(worker, place) => state.answer(worker, place, false),
            Lapse(worker) => state.lapse(protocol, worker),
            AskBack(worker) => state.ask_back(worker),
            Call(worker) => state.call(protocol, worker),
            AdvanceReleaseOrFinish(worker) => state.settle(protocol, worker),
            Renew(worker) => state.renew(protocol, worker),
            Crash(worker) => {
                state.workers[worker] = Worker::Idle;
                Some(())
            }
            FreezeBeyondLease if state.holder().is_some() => state.expire(protocol),
            FreezeBeyondLease => None,
            LeaseOfTheDeadExpires if state.holder().is_none() => state.expire(protocol),
            LeaseOfTheDeadExpires => None,
            Lead(flusher) => state.lead(flusher),
            Examine(flusher) => state.examine(protocol, flusher),
            ReadLog(flusher) => state.read(protocol, flusher, false),
            ReadWholeLog(flusher) => state.read(protocol, flusher, true),
            DeleteEarly(flusher) => state.delete_early(protocol, flusher),
            Flush(flusher) => state.flush(protocol, flusher),
            DeleteLog(flusher) => state.clean_up(flusher),
            FlusherDies(flusher) => state.fail_flusher(flusher, true),
            FlusherLosesLock(flusher) => state.fail_flusher(flusher, false),
            Check(slot) => state.check(protocol, slot),
            Hydrate(slot) => state.install(protocol, slot),
            Evict => state.evict(protocol),
            LoseRedis => state.lose(protocol),
            SaveRedis => state.save(),
            AgeRedis => state.age(protocol),
        }?;
        (state != *before).then_some(state)
    }
}
