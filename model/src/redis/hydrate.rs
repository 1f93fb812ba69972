//! Products and lanes come to Redis and go: `hydrate`, `evict`.

use crate::{
    Protocol, Rule,
    round::{Row, Stamp, Status},
    state::{Check, Lane, State},
};

impl State {
    /// `hydrate`.
    pub(crate) fn hydrate(&mut self, protocol: &Protocol, given: &Check) {
        let own = self.redis.product;
        if own.is_some_and(|own| own.stamp.epoch >= given.epoch) && protocol.keeps(Rule::Epoch) {
            return;
        }
        let run = self.run;
        self.change_product(|product| {
            if own.is_none_or(|own| own.stamp < given.product.stamp) {
                product.stock = given.product.stock;
                product.round = product.round.max(given.product.round);
                product.stamp.version = product.stamp.version.max(given.product.stamp.version);
            }
            product.stamp.epoch = given.epoch;
        });
        self.redis.checked_run = run;
        let mut lane = self.redis.lane;
        let is_behind = lane.is_none_or(|lane| lane.row.stamp < given.newest) || !protocol.keeps(Rule::HydrateBehind);
        if let Some(current) = given.current
            && is_behind
        {
            if let Some(own) = &mut lane {
                self.drop_entry(own);
            }
            let stamp = Stamp { epoch: given.epoch, version: given.newest.version };
            let row = Row { stamp, ..current };
            let waiting = given.waiting;
            let mut own = Lane { waiting, ..Lane::free(row) };
            self.log_round(&mut own, 0);
            if waiting != 0 {
                self.log_unbegun(&mut own, waiting, Status::Queued);
            }
            lane = Some(own);
        } else if let Some(held) = &mut lane {
            let given_out = own.map_or(0, |own| own.round);
            let current = given.current.filter(|row| row.status == Status::Queued && !row.started);
            let unbegun = if given.waiting == 0 { current.map_or(0, |row| row.round) } else { given.waiting };
            let is_unknown = unbegun > given_out.max(held.row.round) && held.waiting == 0;
            if is_unknown && protocol.keeps(Rule::AdoptUnbegun) {
                self.adopt(protocol, held, unbegun);
            }
            if held.row.stamp != given.newest {
                self.log_round(held, 0);
                if held.waiting != 0 {
                    let waiting = held.waiting;
                    self.log_unbegun(held, waiting, Status::Queued);
                }
            }
        }
        if let Some(own) = &mut lane
            && own.row.status.is_open()
        {
            self.ensure_entry(protocol, own);
        }
        self.redis.lane = lane;
        self.end_script();
    }

    /// A round that MySQL has, that nobody began and that Redis never gave out.
    fn adopt(&mut self, protocol: &Protocol, lane: &mut Lane, unbegun: u8) {
        if lane.row.status.is_open() {
            lane.waiting = unbegun;
            self.log_unbegun(lane, unbegun, Status::Queued);
        } else {
            Self::queue_round(protocol, lane, unbegun);
            self.log_round(lane, 0);
        }
    }

    /// `evict`.
    pub(crate) fn evict(&mut self, protocol: &Protocol) -> Option<()> {
        let (product, lane) = (self.redis.product?, self.redis.lane);
        let newest = self.mysql.rounds.iter().flatten().map(|row| row.stamp).max().unwrap_or_default();
        let flushed = product.stamp == self.mysql.product.stamp && lane.is_none_or(|lane| lane.row.stamp == newest);
        if lane.is_some_and(|lane| lane.row.status.is_open()) || (!flushed && protocol.keeps(Rule::EvictFlushed)) {
            return None;
        }
        (self.redis.product, self.redis.lane) = (None, None);
        Some(())
    }
}
