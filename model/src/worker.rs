//! A worker with one place: what it receives, starts, hears and calls for.

mod hold;
mod scripts;

use crate::{
    Protocol, Rule, promise,
    round::{Status, at, bit},
    state::{Lane, State},
};

pub use hold::{Call, Ending, Hold, Script};

/// A worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Worker {
    /// Without work.
    Idle,
    /// It has received an entry, then read the newest place in line.
    Received(u8, u8),
    /// It holds a lane, or believes so.
    Holds(Hold),
}

impl State {
    fn hold(&self, worker: usize) -> Option<Hold> {
        match self.workers[worker] {
            Worker::Holds(hold) => Some(hold),
            _ => None,
        }
    }

    fn set(&mut self, worker: usize, hold: Hold) -> Option<()> {
        self.workers[worker] = Worker::Holds(hold);
        Some(())
    }

    /// A worker receives an entry, whoever it is pending for.
    pub(crate) fn receive(&mut self, worker: usize, entry: usize) -> Option<()> {
        let entry = *self.redis.entries.get(entry)?;
        if self.workers[worker] != Worker::Idle {
            return None;
        }
        self.workers[worker] = Worker::Received(entry, self.line);
        Some(())
    }

    /// `begin`.
    pub(crate) fn begin(&mut self, protocol: &Protocol, worker: usize) -> Option<()> {
        let Worker::Received(entry, newest) = self.workers[worker] else { return None };
        let product = self.trusted(protocol)?;
        let Some(mut lane) = self.redis.lane.filter(|lane| lane.entry == entry && lane.row.status.is_open()) else {
            self.redis.entries.retain(|own| *own != entry);
            self.workers[worker] = Worker::Idle;
            return Some(());
        };
        if lane.token != 0 && lane.lease && protocol.keeps(Rule::Lease) {
            return None;
        }
        if lane.cancel {
            self.end_round(protocol, &mut lane, Status::Canceled, 0);
            self.workers[worker] = Worker::Idle;
            self.redis.lane = Some(lane);
            self.end_script();
            return Some(());
        }
        self.tokens += 1;
        let first = !lane.row.started;
        if !first {
            self.log_begun(&lane);
            self.end_script();
        }
        (lane.token, lane.lease, lane.stopping, lane.is_behind) = (self.tokens, true, false, false);
        lane.is_fresh_hold = true;
        if first {
            if lane.row.from != 0 && newest <= lane.row.from {
                (lane.row.from, lane.row.cursor, lane.row.ahead) = (0, 0, 0);
            }
            self.note_begin(&lane, newest);
        }
        if first || !protocol.keeps(Rule::UptoOnce) {
            lane.row.upto = newest;
        }
        if self.truth.span[at(lane.row.round)].1 != lane.row.upto {
            self.breaks(promise::UPTO);
        }
        if first || lane.row.status != Status::InProgress {
            (lane.row.started, lane.row.status) = (true, Status::InProgress);
            lane.row.stamp.version += 1;
            // Else the first call of the hold does.
            if !first || !product.stock {
                self.log_as_it_is(&lane);
                self.end_script();
            }
        }
        self.redis.lane = Some(lane);
        let row = lane.row;
        let seated = row.upto.min(row.cursor + protocol.window);
        self.workers[worker] = Worker::Holds(Hold {
            token: lane.token,
            round: row.round,
            cursor: row.cursor,
            upto: row.upto,
            inherited: row.ahead,
            done: row.ahead,
            flying: 0,
            started: row.cursor,
            seated,
            authorised: seated,
            fresh: product.stock,
            ending: None,
            call: None,
            life: self.truth.life,
        });
        Some(())
    }

    fn note_begin(&mut self, lane: &Lane, newest: u8) {
        let round = at(lane.row.round);
        self.truth.inherited[round] |= lane.row.ahead;
        self.truth.span[round] = (lane.row.from, newest);
    }

    /// An attempt is started for the next person, or one later where nobody keeps the order.
    pub(crate) fn start(&mut self, protocol: &Protocol, worker: usize, skip: bool) -> Option<()> {
        let mut hold = self.hold(worker)?;
        let mut place = hold.next_to_start()?;
        if skip {
            place = if protocol.keeps(Rule::LineOrder) { return None } else { place + 1 };
        }
        let free = !protocol.keeps(Rule::AdvanceBeforeSend) && place <= hold.seated;
        if hold.ending.is_some() || place > hold.upto || !((hold.fresh && place <= hold.authorised) || free) {
            return None;
        }
        if !hold.fresh && self.redis.product.is_some_and(|product| !product.stock) {
            self.breaks(promise::SOLD_OUT);
        }
        (hold.started, hold.flying) = (place, hold.flying | bit(place));
        self.send(hold.round, place, hold.life);
        self.set(worker, hold)
    }

    /// An attempt is answered, in any order; or it fails for good, and with it the round.
    pub(crate) fn answer(&mut self, worker: usize, place: u8, told: bool) -> Option<()> {
        let mut hold = self.hold(worker)?;
        if hold.flying & bit(place) == 0 {
            return None;
        }
        hold.flying &= !bit(place);
        if told {
            hold.done |= bit(place);
        } else {
            hold.ending = hold.ending.or(Some(Ending::Fail));
            self.excuse(1);
        }
        self.set(worker, hold)
    }

    /// An authorisation lapses.
    pub(crate) fn lapse(&mut self, protocol: &Protocol, worker: usize) -> Option<()> {
        let mut hold = self.hold(worker).filter(|hold| hold.fresh && protocol.keeps(Rule::Lapse))?;
        hold.fresh = false;
        self.set(worker, hold)
    }

    /// A worker is to give its lane back.
    pub(crate) fn ask_back(&mut self, worker: usize) -> Option<()> {
        let mut hold = self.hold(worker).filter(|hold| hold.ending.is_none())?;
        hold.ending = Some(Ending::HandBack);
        self.set(worker, hold)
    }

    /// The worker hands the call that is due to its client.
    pub(crate) fn call(&mut self, protocol: &Protocol, worker: usize) -> Option<()> {
        let mut hold = self.hold(worker).filter(|hold| hold.call.is_none())?;
        let Some(ending) = hold.ending else {
            let moves = hold.prefix(protocol) > hold.cursor;
            let wants = !hold.fresh || hold.authorised < hold.upto.min(hold.cursor + protocol.window);
            if !moves && !wants {
                return None;
            }
            hold.call(protocol, Script::Advance, false);
            return self.set(worker, hold);
        };
        if hold.flying != 0 {
            return None;
        }
        let script = match ending {
            _ if hold.is_exhausted(protocol) => Script::Advance,
            Ending::Drain => Script::Advance,
            Ending::Fail => Script::Finish,
            Ending::HandBack => Script::Release,
        };
        hold.call(protocol, script, true);
        self.set(worker, hold)
    }

    /// The worker that holds the lane now.
    pub(crate) fn holder(&self) -> Option<usize> {
        let token = self.redis.lane.filter(|lane| lane.token != 0)?.token;
        (0..self.workers.len()).find(|worker| self.hold(*worker).is_some_and(|hold| hold.token == token))
    }

    /// The lease runs out. By then every authorisation of its holder has lapsed.
    pub(crate) fn expire(&mut self, protocol: &Protocol) -> Option<()> {
        let lane = self.redis.lane.filter(|lane| lane.token != 0 && lane.lease)?;
        if let Some(worker) = self.holder() {
            self.lapse(protocol, worker);
        }
        self.redis.lane = Some(Lane { lease: false, ..lane });
        self.excuse(protocol.window);
        Some(())
    }
}
