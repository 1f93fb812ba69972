//! The calls of a hold: taking a lane, settling, and calls that come to Redis once more.

use restock::{
    ids::Partition,
    outcome::{Outcome, Settled},
    redis::{
        jobs::{Entry, Line},
        scripts::{
            Advance, Advanced, Begin, BeginReply, Finish, FirstLook, PendingAdvance, PendingRenew, Renew, Settlement,
        },
    },
    round::Status,
    sync::BACKLOG_MAX,
};
use restock_model::{
    State,
    round::bit,
    worker::{Call, Hold, Script, Worker},
};

use super::{
    calls::Real,
    reply::{BeginSaid, Reply},
    stage::{number_of, place, user},
};

/// Longer than any sequence takes: leases run out when the sequence says so.
const CLAIM_IDLE_MS: u64 = 3_600_000;

/// A call that is composed and not made yet.
pub(crate) enum Due {
    Advance(PendingAdvance),
    Release(Settlement),
    Finish(Finish),
}

/// A call that was made in a hold.
pub(crate) enum Sent {
    Advance(PendingAdvance),
    Renew(PendingRenew),
}

impl Real<'_> {
    pub(crate) async fn begin(&mut self, worker: usize, name: &str, newest: u8, token: &str) -> BeginSaid {
        let line = if name.starts_with('a') { Line::Again } else { Line::Fresh };
        let id = name.get(2..).unwrap_or_default().to_owned();
        let entry = Entry { partition: Partition(0), lane: self.stage.lane(), line, id, traceparent: None };
        let mut look = FirstLook { newest: place(newest), ..FirstLook::default() };
        loop {
            let begin = Begin {
                entry: &entry,
                token,
                consumer: "tester",
                claim_idle_ms: CLAIM_IDLE_MS,
                attempts_max: u32::MAX,
                look,
                backlog_max: BACKLOG_MAX,
            };
            let begun = match self.stage.stores.redis.begin(&begin).await.expect("Redis answers") {
                BeginReply::Go(begun) => begun,
                BeginReply::Look { from, .. } => {
                    look = FirstLook { after: Some(from), nobody: newest <= number_of(Some(from)), ..look };
                    continue;
                }
                BeginReply::Busy(_) => return BeginSaid::Busy,
                BeginReply::Stale => return BeginSaid::Stale,
                BeginReply::Canceled => return BeginSaid::Canceled,
                BeginReply::Unchecked => return BeginSaid::Unchecked,
                other => return BeginSaid::Other(format!("{other:?}")),
            };
            let said = BeginSaid::of(&begun);
            // As a client that did not hear the answer: it takes the lane once.
            match self.stage.stores.redis.begin(&begin).await.expect("Redis answers") {
                BeginReply::Go(again) => assert_eq!(BeginSaid::of(&again), said, "the second answer"),
                other => panic!("a begin that was sent twice was answered {said:?}, then {other:?}"),
            }
            (self.holds[worker], self.due[worker]) = (Some(begun), None);
            return said;
        }
    }

    /// Hands the call that the model has composed to the client.
    pub(crate) fn compose(&mut self, worker: usize, after: &State) {
        let Worker::Holds(Hold { call: Some(call), .. }) = after.workers[worker] else { panic!("a call") };
        let hold = &mut self.holds[worker].as_mut().expect("a hold").hold;
        let settlement = settlement_of(&call, number_of(hold.cursor()));
        self.due[worker] = Some(match call.script {
            Script::Advance => Due::Advance(hold.advance(&Advance {
                settlement,
                outstanding: usize::from(call.outstanding),
                exhausted: call.exhausted,
                claim_idle_ms: CLAIM_IDLE_MS,
                backlog_max: BACKLOG_MAX,
            })),
            Script::Release => Due::Release(settlement),
            Script::Finish => Due::Finish(Finish {
                settlement,
                status: Status::CanceledByError,
                reason: "somebody cannot be told".to_owned(),
                blocked_user: None,
            }),
        });
    }

    pub(crate) async fn settle(&mut self, worker: usize, before: &State) -> Option<Reply> {
        let Worker::Holds(own @ Hold { call: Some(_), .. }) = before.workers[worker] else { return None };
        let hold = &mut self.holds[worker].as_mut().expect("a hold").hold;
        Some(match self.due[worker].take().expect("a call") {
            Due::Advance(advance) => {
                let advanced = advance.call().await.expect("Redis answers");
                self.sent.push(Sent::Advance(advance));
                let same = own.ending.is_some() && matches!(advanced, Advanced::Go | Advanced::Drain(_));
                Reply::Advanced((!same).then_some(advanced))
            }
            Due::Release(settlement) => Reply::Released(hold.release(&settlement).await.expect("Redis answers")),
            Due::Finish(finish) => Reply::Held(hold.finish(&finish).await.expect("Redis answers")),
        })
    }

    pub(crate) async fn renew(&mut self, worker: usize) -> bool {
        let renew = Renew { claim_idle_ms: CLAIM_IDLE_MS, consumer: "tester", tries: 0, tried_us: None };
        let renew = self.holds[worker].as_mut().expect("a hold").hold.renew(&renew);
        let held = renew.call().await.expect("Redis answers");
        self.sent.push(Sent::Renew(renew));
        held
    }

    /// One of the calls comes once more; false when none was made.
    pub(crate) async fn again(&mut self, call: usize) -> bool {
        match self.sent.get(call % self.sent.len().max(1)) {
            Some(Sent::Advance(advance)) => drop(advance.call().await.expect("Redis answers")),
            Some(Sent::Renew(renew)) => drop(renew.call().await.expect("Redis answers")),
            None => return false,
        }
        true
    }
}

/// What a call of the model carries.
fn settlement_of(call: &Call, cursor: u8) -> Settlement {
    let told = (1..8).filter(|n| call.people & bit(*n) != 0);
    let one = |n: u8| {
        place(n).map(|place| Settled { place, user: user(n), outcome: Outcome::Sent, at_us: n.into(), tries: 1 })
    };
    Settlement {
        cursor: place(call.cursor),
        last_user: (call.cursor != cursor).then(|| user(call.cursor)),
        people: told.filter_map(one).collect(),
        ahead: (1..8).filter(|n| call.ahead & bit(*n) != 0).filter_map(place).collect(),
        ..Settlement::default()
    }
}
