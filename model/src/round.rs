//! A round and a product as they are logged. Places in line are 1, 2, 3, …; 0 is before the first. Sets of places are bits.

/// Rounds that there is room for: a request can be pushed again after a loss.
pub const ROUNDS: usize = 4;

/// Requests that there is room for.
pub const REQUESTS: usize = 4;

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

/// The index of a round's row.
#[must_use]
pub fn at(round: u8) -> usize {
    usize::from(round) - 1
}
