//! The scripts of a hold as Redis carries them out: `advance`, `release`, `finish`, `renew`.

use super::{
    Worker,
    hold::{Call, Ending, Hold, Script},
};
use crate::{
    Protocol, Rule, promise,
    round::{Places, Status},
    state::{Lane, State},
};

enum Answer {
    Go,
    Drain,
    Over,
}

impl State {
    /// Whether the call may be carried out: what `shared/hold.lua` checks.
    #[must_use]
    pub fn held(&self, protocol: &Protocol, hold: &Hold) -> Option<Lane> {
        let lane = self.redis.lane.filter(|lane| !lane.is_behind)?;
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
        lane.is_fresh_hold = false;
        self.redis.lane = Some(lane);
        self.outlive(protocol, hold.token);
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
        } else {
            self.log_begun(lane);
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

    /// `renew`.
    pub(crate) fn renew(&mut self, protocol: &Protocol, worker: usize) -> Option<()> {
        let hold = self.hold(worker).filter(|hold| hold.call.is_none())?;
        match self.held(protocol, &hold) {
            Some(mut lane) => {
                lane.lease = true;
                self.log_begun(&lane);
                self.end_script();
                lane.is_fresh_hold = false;
                self.redis.lane = Some(lane);
                self.outlive(protocol, hold.token);
            }
            None => self.workers[worker] = Worker::Idle,
        }
        Some(())
    }

    /// A call of this hold is made: what the disk of Redis holds is behind it.
    fn outlive(&mut self, protocol: &Protocol, token: u8) {
        if protocol.numbered_calls
            && let Some(saved) = &mut self.saved
            && let Some(lane) = &mut saved.lane
        {
            lane.is_behind |= lane.token == token;
        }
    }
}
