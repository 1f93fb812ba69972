//! What a worker knows of the lane that it holds, and the call that is due.

use crate::{
    Protocol, Rule,
    round::{Places, between, bit},
};

/// A hold as its worker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in src/worker of restock")]
pub struct Hold {
    pub token: u8,
    pub round: u8,
    pub cursor: u8,
    pub upto: u8,
    pub inherited: Places,
    /// Settled, not yet told to Redis; with the inherited.
    pub done: Places,
    pub flying: Places,
    /// The last who was started.
    pub started: u8,
    /// The last who is in the window.
    pub seated: u8,
    /// The last who was counted in by an answered `go`.
    pub authorised: u8,
    /// Whether that authorisation may still start somebody.
    pub fresh: bool,
    pub ending: Option<Ending>,
    pub call: Option<Call>,
    /// Losses of Redis when it was begun.
    pub life: u8,
}

/// Why a worker starts nobody any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The round is to end when nothing is in flight.
    Drain,
    /// A person cannot be told.
    Fail,
    /// It gives the lane back.
    HandBack,
}

/// A call on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in lua/advance.lua")]
pub struct Call {
    pub script: Script,
    pub cursor: u8,
    pub people: Places,
    pub ahead: Places,
    pub outstanding: bool,
    pub exhausted: bool,
}

/// The scripts that settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the scripts")]
pub enum Script {
    Advance,
    Release,
    Finish,
}

impl Hold {
    pub(super) fn prefix(&self, protocol: &Protocol) -> u8 {
        if !protocol.keeps(Rule::SettleInOrder) {
            return (self.cursor..=self.upto)
                .rev()
                .find(|p| *p == self.cursor || self.done & bit(*p) != 0)
                .unwrap_or(0);
        }
        (self.cursor..=self.upto).find(|p| *p == self.upto || self.done & bit(p + 1) == 0).unwrap_or(self.cursor)
    }

    /// Settled in line: the prefix, or for the last call everything.
    pub(super) fn call(&mut self, protocol: &Protocol, script: Script, last: bool) {
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
    pub(super) fn is_exhausted(&self, protocol: &Protocol) -> bool {
        let nobody_flies = !protocol.keeps(Rule::NobodyOpen) && self.flying == 0 && self.started >= self.upto;
        self.seated >= self.upto && (self.prefix(protocol) == self.upto || nobody_flies)
    }

    pub(super) fn next_to_start(&self) -> Option<u8> {
        (self.started + 1..=self.upto).find(|place| self.inherited & bit(*place) == 0)
    }
}
