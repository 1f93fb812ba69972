//! Everything there is at one moment.

use crate::{
    Protocol,
    fault::{Faults, Truth},
    round::{Places, Product, REQUESTS, ROUNDS, Row, Stamp, Status},
    worker::Worker,
};

/// A lane of Redis: its current or last round, and who holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in docs/protocol.md")]
pub struct Lane {
    pub row: Row,
    pub token: u8,
    /// Whether the lease still runs.
    pub lease: bool,
    pub entry: u8,
    pub waiting: u8,
    pub stopping: bool,
    pub cancel: bool,
    /// Whether its holder made a call that Redis has forgotten: it is answered nothing any more.
    pub is_behind: bool,
    /// Whether its holder has made no call yet: the first one logs what `begin` did.
    pub is_fresh_hold: bool,
}

impl Lane {
    /// A lane that nobody holds, without an entry.
    #[must_use]
    pub fn free(row: Row) -> Self {
        Self {
            row,
            token: 0,
            lease: false,
            entry: 0,
            waiting: 0,
            stopping: false,
            cancel: false,
            is_behind: false,
            is_fresh_hold: false,
        }
    }
}

/// What an entry of the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Said {
    /// The absolute state of the product.
    Product(Product),
    /// That of a round, and the people settled by the same call.
    Round(Row, Places),
    /// The round that a request was given.
    Request(u8, u8),
}

/// An entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its id: later ones are greater, also after Redis lost something, as ids are times.
    pub id: u8,
    /// Whether the same script wrote the next one too.
    pub goes_on: bool,
    /// What it says.
    pub said: Said,
}

/// One partition of Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in docs/protocol.md")]
pub struct Redis {
    pub product: Option<Product>,
    /// The server run under which the product was last checked.
    pub checked_run: u8,
    pub lane: Option<Lane>,
    pub entries: Vec<u8>,
    pub log: Vec<Entry>,
    pub incarnation: u8,
    /// The rounds of requests, by request.
    pub seen: [u8; REQUESTS],
}

/// MySQL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in docs/protocol.md")]
pub struct Mysql {
    pub product: Product,
    pub reserved_epoch: u8,
    pub rounds: [Option<Row>; ROUNDS],
    pub people: [Places; ROUNDS],
    /// Incarnation of the log, and the last entry applied.
    pub position: (u8, u8),
    /// The outbox: `None` before the request is made, then its round or 0.
    pub requests: [Option<u8>; REQUESTS],
}

impl Mysql {
    /// What rebuilds a lane: its current or last round, and the one that waits behind it, or 0. As `history::rounds`.
    #[must_use]
    pub fn current_and_waiting(&self) -> (Option<Row>, u8) {
        let rows = || self.rounds.iter().flatten().copied();
        let is_known = |row: &Row| {
            (row.started || !row.status.is_open())
                && !matches!(row.status, Status::Superseded | Status::CanceledWaiting)
        };
        let last = rows().rfind(is_known);
        let unbegun = rows().rfind(|row| row.status == Status::Queued && !row.started);
        match (last, unbegun.filter(|row| last.is_none_or(|last| row.round > last.round))) {
            (Some(last), Some(waits)) if last.status.is_open() => (Some(last), waits.round),
            (_, Some(waits)) => (Some(waits), 0),
            (last, None) => (last, 0),
        }
    }

    /// Ends what is open before the current round: MySQL never learned its end.
    pub(crate) fn end_stale(&mut self, current: u8) {
        for row in self.rounds.iter_mut().flatten().filter(|row| row.round < current && row.status.is_open()) {
            row.status = Status::Superseded;
        }
    }
}

/// A flusher that leads, or believes so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Flusher {
    /// The position as it knows it.
    pub known: (u8, u8),
    /// What it has read.
    pub batch: Vec<Entry>,
    /// Whether MySQL has committed that.
    pub committed: bool,
}

/// A check of the product against MySQL: what it read, and the epoch it reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in lua/hydrate.lua")]
pub struct Check {
    pub epoch: u8,
    pub product: Product,
    pub current: Option<Row>,
    pub waiting: u8,
    pub newest: Stamp,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is a type of this file")]
pub struct State {
    pub redis: Redis,
    /// What the disk of Redis holds, once somebody looked.
    pub saved: Option<Box<Redis>>,
    /// The server run of Redis.
    pub run: u8,
    /// The last id of an entry, of the log or of the jobs.
    pub clock: u8,
    pub tokens: u8,
    pub mysql: Mysql,
    pub line: u8,
    pub workers: Vec<Worker>,
    pub flushers: Vec<Option<Flusher>>,
    pub leader: Option<usize>,
    pub checks: Vec<Option<Check>>,
    pub left: Faults,
    pub truth: Truth,
}

impl State {
    /// Before anything happened: a product without a round, known to both stores.
    #[must_use]
    pub fn first(protocol: &Protocol) -> Self {
        let product = Product::default();
        Self {
            redis: Redis { product: Some(product), ..Redis::default() },
            saved: None,
            run: 0,
            clock: 0,
            tokens: 0,
            mysql: Mysql { product, ..Mysql::default() },
            line: protocol.people,
            workers: vec![Worker::Idle; protocol.workers],
            flushers: vec![None; protocol.flushers],
            leader: None,
            checks: vec![None; protocol.checks],
            left: protocol.faults,
            truth: Truth::default(),
        }
    }

    /// Notes a broken promise; the first one stands.
    pub fn breaks(&mut self, promise: &'static str) {
        self.truth.broken.get_or_insert(promise);
    }
}
