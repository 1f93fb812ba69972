//! A worker with one place, and the scripts of a hold.

use crate::{
    Protocol, Rule, promise,
    state::{Lane, Places, State, Status, at, between, bit},
};

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

/// A hold as its worker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    token: u8,
    round: u8,
    cursor: u8,
    upto: u8,
    inherited: Places,
    /// Settled, not yet told to Redis; with the inherited.
    done: Places,
    flying: Places,
    /// The last who was started.
    started: u8,
    /// The last who is in the window.
    seated: u8,
    /// The last who was counted in by an answered `go`.
    authorised: u8,
    /// Whether that authorisation may still start somebody.
    pub fresh: bool,
    ending: Option<Ending>,
    call: Option<Call>,
    /// Losses of Redis when it was begun.
    pub life: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ending {
    Drain,
    Fail,
    HandBack,
}

/// A call on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Call {
    script: Script,
    cursor: u8,
    people: Places,
    ahead: Places,
    outstanding: bool,
    exhausted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Script {
    Advance,
    Release,
    Finish,
}

impl Hold {
    fn prefix(&self, protocol: &Protocol) -> u8 {
        if !protocol.keeps(Rule::SettleInOrder) {
            return (self.cursor..=self.upto)
                .rev()
                .find(|p| *p == self.cursor || self.done & bit(*p) != 0)
                .unwrap_or(0);
        }
        (self.cursor..=self.upto).find(|p| *p == self.upto || self.done & bit(p + 1) == 0).unwrap_or(self.cursor)
    }

    /// Settled in line: the prefix, or for the last call everything.
    fn call(&mut self, protocol: &Protocol, script: Script, last: bool) {
        let cursor = self.prefix(protocol);
        let own = self.done & !self.inherited;
        let (passed, beyond) = (between(0, cursor), !between(0, cursor));
        let people = if last { own } else { own & passed };
        let ahead = if last { self.done } else { self.inherited } & beyond;
        let exhausted = self.is_exhausted(protocol);
        if !last {
            let window = if protocol.keeps(Rule::Window) { protocol.window } else { u8::MAX / 2 };
            self.seated = self.seated.max(self.upto.min(cursor + window));
        }
        let may_start = self.fresh && self.started < self.authorised;
        let outstanding = !last && (self.flying != 0 || self.done & beyond & !self.inherited != 0 || may_start);
        let ahead = if protocol.keeps(Rule::Ahead) { ahead } else { 0 };
        self.call = Some(Call { script, cursor, people, ahead, outstanding, exhausted });
        self.done &= !people | self.inherited;
        self.done &= beyond | if last { 0 } else { !passed };
        if last {
            self.fresh = false;
        }
    }

    /// Whether nobody is left: nobody to come, and nobody in the window open.
    fn is_exhausted(&self, protocol: &Protocol) -> bool {
        let nobody_flies = !protocol.keeps(Rule::NobodyOpen) && self.flying == 0 && self.started >= self.upto;
        self.seated >= self.upto && (self.prefix(protocol) == self.upto || nobody_flies)
    }

    fn next_to_start(&self) -> Option<u8> {
        (self.started + 1..=self.upto).find(|place| self.inherited & bit(*place) == 0)
    }
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
        (lane.token, lane.lease, lane.stopping) = (self.tokens, true, false);
        let first = !lane.row.started;
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
            self.log_round(&mut lane, 0);
            self.end_script();
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

    /// Whether the call may be carried out: what `shared/hold.lua` checks.
    fn held(&self, protocol: &Protocol, hold: &Hold) -> Option<Lane> {
        let lane = self.redis.lane?;
        let token = lane.token == hold.token || (!protocol.keeps(Rule::Token) && lane.row.status.is_open());
        let cursor = lane.row.cursor == hold.cursor || !protocol.keeps(Rule::ExpectedCursor);
        (token && cursor).then_some(lane)
    }

    /// `advance`, `release` or `finish`, and the answer.
    pub(crate) fn settle(&mut self, protocol: &Protocol, worker: usize) -> Option<()> {
        let mut hold = self.hold(worker)?;
        let call = hold.call.take()?;
        let (Some(mut lane), Some(product)) = (self.held(protocol, &hold), self.redis.product) else {
            self.workers[worker] = Worker::Idle;
            return Some(());
        };
        let news = call.cursor != lane.row.cursor || call.people != 0 || call.ahead != lane.row.ahead;
        (lane.row.cursor, lane.row.ahead) = (call.cursor, call.ahead);
        hold.cursor = call.cursor;
        let stays = match call.script {
            Script::Advance => self.advance(protocol, &mut lane, &call, product.stock, news),
            Script::Release => {
                self.release(protocol, &mut lane, call.people);
                Answer::Over
            }
            Script::Finish => {
                self.end_round(protocol, &mut lane, Status::Failed, call.people);
                Answer::Over
            }
        };
        self.redis.lane = Some(lane);
        self.end_script();
        match stays {
            Answer::Over => {
                self.workers[worker] = Worker::Idle;
                return Some(());
            }
            _ if hold.ending.is_some() => hold.ending = Some(Ending::HandBack),
            Answer::Drain => hold.ending = Some(Ending::Drain),
            Answer::Go => (hold.fresh, hold.authorised) = (true, hold.seated),
        }
        self.set(worker, hold)
    }

    fn advance(&mut self, protocol: &Protocol, lane: &mut Lane, call: &Call, stock: bool, news: bool) -> Answer {
        let stop = if lane.cancel {
            Some(Status::Canceled)
        } else if lane.stopping || (!stock && protocol.keeps(Rule::StockAtAdvance)) {
            Some(Status::SoldOut)
        } else {
            None
        };
        let end = if call.exhausted { Some(Status::Completed) } else { stop };
        if let Some(status) = end
            && (call.exhausted || !call.outstanding || !protocol.keeps(Rule::Drain))
        {
            self.end_round(protocol, lane, status, call.people);
            return Answer::Over;
        }
        lane.lease = true;
        if news {
            self.log_round(lane, call.people);
        }
        if let Some(status) = stop {
            lane.stopping |= status == Status::SoldOut;
            return Answer::Drain;
        }
        if !stock {
            self.breaks(promise::SOLD_OUT);
        }
        Answer::Go
    }

    fn release(&mut self, protocol: &Protocol, lane: &mut Lane, people: Places) {
        if lane.cancel {
            return self.end_round(protocol, lane, Status::Canceled, people);
        }
        (lane.token, lane.lease, lane.stopping) = (0, false, false);
        self.drop_entry(lane);
        self.log_round(lane, people);
        if protocol.keeps(Rule::ReleaseQueues) {
            self.add_entry(lane);
        }
    }

    /// `renew`, after the lease has run out and before anybody took the lane.
    pub(crate) fn renew(&mut self, protocol: &Protocol, worker: usize) -> Option<()> {
        let hold = self.hold(worker).filter(|hold| hold.call.is_none())?;
        match self.held(protocol, &hold) {
            Some(lane) if lane.lease => return None,
            Some(lane) => self.redis.lane = Some(Lane { lease: true, ..lane }),
            None => self.workers[worker] = Worker::Idle,
        }
        Some(())
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

enum Answer {
    Go,
    Drain,
    Over,
}
