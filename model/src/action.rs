//! What can happen next.

use crate::{Protocol, state::State, worker::Worker};

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
    /// All that might be possible.
    pub fn of(protocol: &Protocol, state: &State) -> impl Iterator<Item = Self> {
        use Action::*;
        let mut all =
            vec![SellOut, Cancel, Resume, Subscribe, FreezeBeyondLease, LeaseOfTheDeadExpires, Evict, LoseRedis];
        all.extend([SaveRedis, AgeRedis]);
        all.extend((0..protocol.requests).flat_map(|request| [Request(request), Enqueue(request)]));
        for (worker, doing) in state.workers.iter().enumerate() {
            match doing {
                Worker::Idle => all.extend((0..state.redis.entries.len()).map(|entry| Receive(worker, entry))),
                Worker::Received(..) => all.extend([Begin(worker), Crash(worker)]),
                Worker::Holds(_) => {
                    all.extend([Start(worker), StartOutOfTurn(worker), Lapse(worker), AskBack(worker), Call(worker)]);
                    all.extend([AdvanceReleaseOrFinish(worker), Renew(worker), Crash(worker)]);
                    all.extend(
                        (1..=state.line).flat_map(|place| [Answered(worker, place), CannotBeTold(worker, place)]),
                    );
                }
            }
        }
        for flusher in 0..protocol.flushers {
            all.extend([Lead(flusher), Examine(flusher), ReadLog(flusher), ReadWholeLog(flusher), Flush(flusher)]);
            all.extend([DeleteEarly(flusher), DeleteLog(flusher), FlusherDies(flusher), FlusherLosesLock(flusher)]);
        }
        all.extend((0..protocol.checks).flat_map(|slot| [Check(slot), Hydrate(slot)]));
        all.into_iter()
    }

    /// Whether it need never happen: a fault, or somebody's wish.
    #[must_use]
    pub fn is_chance(self) -> bool {
        use Action::*;
        matches!(
            self,
            Request(_)
                | SellOut
                | Cancel
                | Resume
                | Subscribe
                | CannotBeTold(..)
                | AskBack(_)
                | Crash(_)
                | FreezeBeyondLease
                | FlusherDies(_)
                | FlusherLosesLock(_)
                | Evict
                | LoseRedis
                | SaveRedis
                | AgeRedis
        )
    }

    /// The state after it; `None` when it is not possible or changes nothing.
    #[must_use]
    pub fn apply(self, protocol: &Protocol, before: &State) -> Option<State> {
        use Action::*;
        let mut state = before.clone();
        let spend = |left: &mut u8| -> Option<()> {
            *left = left.checked_sub(1)?;
            Some(())
        };
        let mut left = before.left;
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
            SellOut => spend(&mut left.sold_out).and_then(|()| state.sell_out(protocol)),
            Cancel => spend(&mut left.cancels).and_then(|()| state.cancel(protocol)),
            Resume => spend(&mut left.resumes).and_then(|()| state.resume(protocol)),
            Subscribe => spend(&mut left.newcomers).map(|()| state.line += 1),
            Receive(worker, entry) => state.receive(worker, entry),
            Begin(worker) => state.begin(protocol, worker),
            Start(worker) => state.start(protocol, worker, false),
            StartOutOfTurn(worker) => state.start(protocol, worker, true),
            Answered(worker, place) => state.answer(worker, place, true),
            CannotBeTold(worker, place) => spend(&mut left.failures).and_then(|()| state.answer(worker, place, false)),
            Lapse(worker) => state.lapse(protocol, worker),
            AskBack(worker) => spend(&mut left.releases).and_then(|()| state.ask_back(worker)),
            Call(worker) => state.call(protocol, worker),
            AdvanceReleaseOrFinish(worker) => state.settle(protocol, worker),
            Renew(worker) => state.renew(protocol, worker),
            Crash(worker) => spend(&mut left.crashes).map(|()| state.workers[worker] = Worker::Idle),
            FreezeBeyondLease => spend(&mut left.freezes).and_then(|()| {
                state.holder()?;
                state.expire(protocol)
            }),
            LeaseOfTheDeadExpires if state.holder().is_none() => state.expire(protocol),
            LeaseOfTheDeadExpires => None,
            Lead(flusher) => state.lead(flusher),
            Examine(flusher) => state.examine(protocol, flusher),
            ReadLog(flusher) => state.read(protocol, flusher, false),
            ReadWholeLog(flusher) => state.read(protocol, flusher, true),
            DeleteEarly(flusher) => state.delete_early(protocol, flusher),
            Flush(flusher) => state.flush(protocol, flusher),
            DeleteLog(flusher) => state.clean_up(flusher),
            FlusherDies(flusher) => spend(&mut left.flushers).and_then(|()| state.fail_flusher(flusher, true)),
            FlusherLosesLock(flusher) => spend(&mut left.flushers).and_then(|()| state.fail_flusher(flusher, false)),
            Check(slot) => state.check(protocol, slot),
            Hydrate(slot) => state.install(protocol, slot),
            Evict => spend(&mut left.evictions).and_then(|()| state.evict(protocol)),
            LoseRedis => spend(&mut left.lost).and_then(|()| state.lose(protocol)),
            SaveRedis if before.left.aged > 0 => state.save(),
            SaveRedis => None,
            AgeRedis => spend(&mut left.aged).and_then(|()| state.age(protocol)),
        }?;
        state.left = left;
        (state != *before).then_some(state)
    }
}
