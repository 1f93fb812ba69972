//! The scripts that no hold is needed for, and what they share with the others.

mod hydrate;

use crate::{
    Protocol, Rule, promise,
    round::{Places, Product, ROUNDS, Row, Stamp, Status, at},
    state::{Entry, Lane, Said, State},
};

const NEW_ROW: Row = Row {
    round: 0,
    status: Status::Queued,
    from: 0,
    cursor: 0,
    upto: 0,
    ahead: 0,
    started: false,
    stamp: Stamp { epoch: 0, version: 0 },
};

impl State {
    /// The product, if Redis knows it and it was checked under this run; else what a script does nothing for.
    pub(crate) fn trusted(&self, protocol: &Protocol) -> Option<Product> {
        self.redis.product.filter(|_| self.redis.checked_run == self.run || !protocol.keeps(Rule::Aged))
    }

    pub(crate) fn say(&mut self, said: Said) {
        self.clock += 1;
        self.redis.log.push(Entry { id: self.clock, goes_on: true, said });
    }

    /// The script is over: what it has logged belongs together.
    pub(crate) fn end_script(&mut self) {
        if let Some(entry) = self.redis.log.last_mut() {
            entry.goes_on = false;
        }
    }

    pub(crate) fn change_product(&mut self, change: impl FnOnce(&mut Product)) {
        let mut product = self.redis.product.unwrap_or_default();
        change(&mut product);
        product.stamp.version += 1;
        self.redis.product = Some(product);
        self.say(Said::Product(product));
    }

    /// Under the version that the lane has.
    pub(crate) fn log_as_it_is(&mut self, lane: &Lane) {
        self.say(Said::Round(lane.row, 0));
    }

    /// What the first `begin` of a round did, unless its holder has called since, or another round that waits has had it logged.
    pub(crate) fn log_begun(&mut self, lane: &Lane) {
        if lane.is_fresh_hold && lane.waiting == 0 && lane.row.cursor == lane.row.from {
            self.log_as_it_is(lane);
        }
    }

    pub(crate) fn log_round(&mut self, lane: &mut Lane, people: Places) {
        lane.row.stamp.version += 1;
        self.say(Said::Round(lane.row, people));
    }

    fn log_unbegun(&mut self, lane: &mut Lane, round: u8, status: Status) {
        lane.row.stamp.version += 1;
        self.say(Said::Round(Row { round, status, stamp: lane.row.stamp, ..NEW_ROW }, 0));
    }

    pub(crate) fn drop_entry(&mut self, lane: &mut Lane) {
        self.redis.entries.retain(|entry| *entry != lane.entry);
        lane.entry = 0;
    }

    pub(crate) fn add_entry(&mut self, lane: &mut Lane) {
        self.clock += 1;
        lane.entry = self.clock;
        self.redis.entries.push(lane.entry);
    }

    fn ensure_entry(&mut self, protocol: &Protocol, lane: &mut Lane) {
        if !self.redis.entries.contains(&lane.entry) || !protocol.keeps(Rule::OneEntry) {
            self.add_entry(lane);
        }
    }

    fn queue_round(protocol: &Protocol, lane: &mut Lane, round: u8) {
        let row = &mut lane.row;
        if row.round == 0 || row.status == Status::Completed || !protocol.keeps(Rule::GoOn) {
            (row.from, row.cursor, row.ahead) = (0, 0, 0);
        } else {
            row.from = row.cursor;
        }
        *row = Row { round, status: Status::Queued, upto: 0, started: false, ..*row };
        (lane.stopping, lane.cancel) = (false, false);
    }

    pub(crate) fn end_round(&mut self, protocol: &Protocol, lane: &mut Lane, status: Status, people: Places) {
        (lane.token, lane.lease, lane.is_fresh_hold, lane.stopping, lane.cancel) = (0, false, false, false, false);
        lane.row.status = status;
        self.drop_entry(lane);
        self.log_round(lane, people);
        if lane.waiting != 0 {
            Self::queue_round(protocol, lane, lane.waiting);
            lane.waiting = 0;
            self.log_round(lane, 0);
            self.add_entry(lane);
        }
    }

    /// `enqueue`: called by the relay until MySQL has recorded the round of the request.
    pub(crate) fn enqueue(&mut self, protocol: &Protocol, request: usize) -> Option<()> {
        let number = u8::try_from(request).ok()?;
        self.mysql.requests[request].get_or_insert(0);
        let product = self.trusted(protocol)?;
        let seen = self.redis.seen[request];
        if seen != 0 && protocol.keeps(Rule::Once) {
            let known = Said::Request(number, seen);
            if self.redis.log.iter().any(|entry| entry.said == known) {
                return None;
            }
            self.say(known);
            self.end_script();
            return Some(());
        }
        let round = product.round + 1;
        if usize::from(round) > ROUNDS {
            return None;
        }
        if self.mysql.rounds[at(round)].is_some() {
            self.breaks(promise::NUMBERS);
        }
        let given = self.truth.given[request];
        // After a loss the number may be another request's.
        self.truth.given = self.truth.given.map(|other| if other == round { 0 } else { other });
        self.truth.given[request] = round;
        if seen != 0 || (given != 0 && given != round && self.mysql.rounds[at(given)].is_some()) {
            self.breaks(promise::ONCE);
        }
        self.change_product(|product| (product.stock, product.round) = (true, round));
        let fresh = Row { stamp: Stamp { epoch: product.stamp.epoch, version: 0 }, ..NEW_ROW };
        let none = Lane::free(fresh);
        let mut lane = self.redis.lane.unwrap_or(none);
        let open = lane.row.round != 0 && lane.row.status.is_open();
        if open && lane.row.started && protocol.keeps(Rule::Waiting) {
            self.log_begun(&lane);
            if lane.waiting != 0 {
                self.log_unbegun(&mut lane.clone(), lane.waiting, Status::Superseded);
                lane.row.stamp.version += 1;
            }
            lane.waiting = round;
            self.log_unbegun(&mut lane, round, Status::Queued);
        } else {
            if open {
                let overtaken = lane.row.round;
                self.log_unbegun(&mut lane, overtaken, Status::Superseded);
            }
            Self::queue_round(protocol, &mut lane, round);
            self.log_round(&mut lane, 0);
            self.ensure_entry(protocol, &mut lane);
        }
        self.redis.lane = Some(lane);
        self.redis.seen[request] = round;
        self.say(Said::Request(number, round));
        self.end_script();
        Some(())
    }

    /// `cancel`.
    pub(crate) fn cancel(&mut self, protocol: &Protocol) -> Option<()> {
        self.trusted(protocol)?;
        let mut lane = self.redis.lane.filter(|lane| lane.row.status.is_open())?;
        if lane.waiting != 0 {
            let waiting = lane.waiting;
            self.log_unbegun(&mut lane, waiting, Status::CanceledWaiting);
            lane.waiting = 0;
        }
        if lane.token != 0 && lane.lease && protocol.keeps(Rule::CancelTells) {
            lane.cancel = true;
        } else {
            self.end_round(protocol, &mut lane, Status::Canceled, 0);
        }
        self.redis.lane = Some(lane);
        self.end_script();
        Some(())
    }

    /// `resume`.
    pub(crate) fn resume(&mut self, protocol: &Protocol) -> Option<()> {
        self.trusted(protocol).filter(|product| product.stock)?;
        let mut lane = self.redis.lane?;
        let resumable =
            lane.row.status.is_cut() || (!protocol.keeps(Rule::ResumeCanceled) && lane.row.status == Status::Completed);
        if !resumable {
            return None;
        }
        lane.row.status = Status::Queued;
        (lane.stopping, lane.cancel) = (false, false);
        self.log_round(&mut lane, 0);
        self.ensure_entry(protocol, &mut lane);
        self.redis.lane = Some(lane);
        self.end_script();
        Some(())
    }

    /// `stock`, to zero. Its signal is taken as missed.
    pub(crate) fn sell_out(&mut self, protocol: &Protocol) -> Option<()> {
        self.trusted(protocol).filter(|product| product.stock)?;
        self.change_product(|product| product.stock = false);
        self.end_script();
        Some(())
    }
}
