//! What an action is answered, and what the model says that it must be.

use restock::{
    ids::Round,
    redis::scripts::{Advanced, Begun, Canceled, Enqueued, Evicted, Released, Resumed, StockChanged, Stop},
};
use restock_model::{
    Action, Protocol, State,
    round::Places,
    state::Said,
    worker::{Ending, Hold, Script, Worker},
};

use super::{
    install::Installed,
    picture::{places_of, stamp_of, status_of},
    stage::{number_of, small},
};

/// What a call was answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Nothing,
    Enqueued(Enqueued),
    Canceled(Canceled),
    Resumed(Resumed),
    Stock(StockChanged),
    Begun(BeginSaid),
    /// `None` for a worker that has an end of its own in mind: it is the same to it.
    Advanced(Option<Advanced>),
    Released(Released),
    /// Of `renew` and `finish`: whether the lane was still held.
    Held(bool),
    Installed(Installed),
    Evicted(Evicted),
}

#[derive(Debug, PartialEq)]
pub(crate) enum BeginSaid {
    Go { round: u8, from: u8, cursor: u8, upto: u8, ahead: Places, stamp: (u8, u8), may_start: bool },
    Busy,
    Stale,
    Canceled,
    Unchecked,
    Other(String),
}

impl BeginSaid {
    pub(crate) fn of(begun: &Begun) -> Self {
        Self::Go {
            round: small(begun.round.0.into()),
            from: number_of(begun.from),
            cursor: number_of(begun.cursor),
            upto: number_of(begun.upto),
            ahead: places_of(&restock::round::encode_places(&begun.ahead)),
            stamp: (small(begun.stamp.epoch), small(begun.stamp.version)),
            may_start: begun.may_start,
        }
    }
}

impl Reply {
    /// What the model says: read from what the action has changed.
    pub(crate) fn of(action: Action, protocol: &Protocol, before: &State, after: &State) -> Self {
        use Action::*;
        let changed = before.redis != after.redis;
        let is_unchecked = before.redis.product.is_none() || before.redis.checked_run != before.run;
        let lane = before.redis.lane;
        let round = |round: u8| Round(round.into());
        match action {
            Enqueue(request) => Self::Enqueued(match after.redis.product {
                Some(product) if before.redis.product.is_some_and(|old| old.round < product.round) => {
                    Enqueued::Queued(round(product.round))
                }
                _ if changed => Enqueued::Known(round(after.redis.seen[request])),
                _ => Enqueued::Unchecked,
            }),
            SellOut => Self::Stock(if changed { StockChanged::Ok(0) } else { StockChanged::Unchecked }),
            Cancel => Self::Canceled(match lane {
                _ if !changed && is_unchecked => Canceled::Unchecked,
                Some(lane) if lane.row.status.is_open() => match after.redis.lane {
                    Some(now) if now.cancel => Canceled::Told(round(lane.row.round)),
                    _ => Canceled::Ended(round(lane.row.round)),
                },
                _ => Canceled::Nothing,
            }),
            Resume => Self::Resumed(match lane {
                _ if !changed && is_unchecked => Resumed::Unchecked,
                Some(lane) if changed => Resumed::Queued(round(lane.row.round)),
                Some(lane) if lane.row.status.is_cut() => Resumed::NoStock(0),
                lane => Resumed::NotCanceled(lane.and_then(|lane| status_of(lane.row.status).parse().ok())),
            }),
            Begin(worker) => Self::Begun(Self::of_begin(worker, before, after)),
            Renew(worker) => Self::Held(after.workers[worker] != Worker::Idle),
            AdvanceReleaseOrFinish(worker) => Self::of_settlement(worker, protocol, before, after),
            Hydrate(slot) => Self::Installed(Installed::expected(slot, before, after)),
            Evict => Self::Evicted(if changed { Evicted::Gone } else { Evicted::Kept }),
            _ => Self::Nothing,
        }
    }

    fn of_begin(worker: usize, before: &State, after: &State) -> BeginSaid {
        let is_unchecked = before.redis.product.is_none() || before.redis.checked_run != before.run;
        match after.workers[worker] {
            Worker::Received(..) if is_unchecked => BeginSaid::Unchecked,
            Worker::Received(..) => BeginSaid::Busy,
            Worker::Idle if before.redis.lane == after.redis.lane => BeginSaid::Stale,
            Worker::Idle => BeginSaid::Canceled,
            Worker::Holds(hold) => {
                let row = after.redis.lane.expect("it is held").row;
                BeginSaid::Go {
                    round: hold.round,
                    from: row.from,
                    cursor: hold.cursor,
                    upto: hold.upto,
                    ahead: hold.inherited,
                    stamp: stamp_of(row.stamp),
                    may_start: hold.fresh,
                }
            }
        }
    }

    fn of_settlement(worker: usize, protocol: &Protocol, before: &State, after: &State) -> Self {
        let Worker::Holds(own @ Hold { call: Some(call), .. }) = before.workers[worker] else { return Self::Nothing };
        let is_held = before.redis.product.is_some() && before.held(protocol, &own).is_some();
        let is_canceled = after.redis.lane.is_some_and(|lane| lane.cancel);
        // The last that was logged of its round: a newer one may have taken its place in the lane.
        let ended = after.redis.log.iter().rev().find_map(|entry| match entry.said {
            Said::Round(row, _) if row.round == own.round => Some(status_of(row.status)),
            _ => None,
        });
        match (call.script, after.workers[worker]) {
            (Script::Finish, _) => Self::Held(is_held),
            (Script::Release, _) if !is_held => Self::Released(Released::Lost),
            (Script::Release, _) => Self::Released(match ended {
                Some("CANCELED_BY_ADMIN") => Released::Canceled,
                _ => Released::Queued,
            }),
            (Script::Advance, _) if !is_held => Self::Advanced(Some(Advanced::Lost)),
            (Script::Advance, Worker::Holds(_)) if own.ending.is_some() => Self::Advanced(None),
            (Script::Advance, Worker::Holds(Hold { ending: Some(Ending::Drain), .. })) => {
                let stop = if is_canceled { Stop::Canceled } else { Stop::SoldOut };
                Self::Advanced(Some(Advanced::Drain(stop)))
            }
            (Script::Advance, Worker::Holds(_)) => Self::Advanced(Some(Advanced::Go)),
            (Script::Advance, _) => Self::Advanced(Some(match ended {
                Some("CANCELED_BY_ADMIN") => Advanced::Stopped(Stop::Canceled),
                Some("CANCELED_BY_SOLD_OUT") => Advanced::Stopped(Stop::SoldOut),
                _ => Advanced::Completed,
            })),
        }
    }
}
