//! Everything there is at one moment. Places in line are 1, 2, 3, …; 0 is before the first. Sets of places are bits.

use crate::{Protocol, worker::Worker};

/// Rounds that there is room for: a request can be pushed again after a loss.
pub const ROUNDS: usize = 4;

/// A set of places.
pub type Places = u8;

/// The bit of a place.
#[must_use]
pub fn bit(place: u8) -> Places {
    1 << place
}

/// The places after `from` up to `upto`.
#[must_use]
pub fn between(from: u8, upto: u8) -> Places {
    (from + 1..=upto).map(bit).sum()
}

/// How far a round has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of docs/contract.md")]
pub enum Status {
    Queued,
    InProgress,
    Completed,
    SoldOut,
    Canceled,
    Failed,
    Superseded,
    CanceledWaiting,
}

impl Status {
    /// Whether it has not ended.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress)
    }

    /// Whether it was cut short.
    #[must_use]
    pub fn is_cut(self) -> bool {
        matches!(self, Self::SoldOut | Self::Canceled | Self::Failed)
    }
}

/// Order of state: epoch, then version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "as in docs/protocol.md")]
pub struct Stamp {
    pub epoch: u8,
    pub version: u8,
}

/// A product in either store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in docs/protocol.md")]
pub struct Product {
    pub stock: bool,
    pub round: u8,
    pub stamp: Stamp,
}

/// A round as it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in docs/protocol.md")]
pub struct Row {
    pub round: u8,
    pub status: Status,
    pub from: u8,
    pub cursor: u8,
    pub upto: u8,
    pub ahead: Places,
    pub started: bool,
    pub stamp: Stamp,
}

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
    pub seen: [u8; 2],
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
    pub requests: [Option<u8>; 2],
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

/// Faults and wishes that are left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A worker dies.
    pub crashes: u8,
    /// A worker is frozen until its lease has run out.
    pub freezes: u8,
    /// FLUSHALL.
    pub lost: u8,
    /// Redis restarts with an earlier state.
    pub aged: u8,
    /// The stock is gone.
    pub sold_out: u8,
    /// `cancel`.
    pub cancels: u8,
    /// `resume`.
    pub resumes: u8,
    /// A worker gives its lane back.
    pub releases: u8,
    /// A person cannot be told.
    pub failures: u8,
    /// Somebody subscribes.
    pub newcomers: u8,
    /// The product is forgotten.
    pub evictions: u8,
    /// A flusher dies, or loses its lock without noticing.
    pub flushers: u8,
}

/// What really happened, which no process knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Truth {
    /// To whom an attempt was started, by round.
    pub sent: [Places; ROUNDS],
    /// Who was settled in an earlier round when the round was begun.
    pub inherited: [Places; ROUNDS],
    /// Where a round began and where it ends.
    pub span: [(u8, u8); ROUNDS],
    /// The round that each request was given last.
    pub given: [u8; 2],
    /// Losses of Redis.
    pub life: u8,
    /// Repeats that crashes and losses explain, less those that happened.
    pub slack: u8,
    /// The first promise that was broken.
    pub broken: Option<&'static str>,
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

/// The index of a round's row.
#[must_use]
pub fn at(round: u8) -> usize {
    usize::from(round) - 1
}
