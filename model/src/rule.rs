//! The rules that can be switched off.

/// A rule of `docs/protocol.md`, by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// 1: only the holder of the token settles.
    Token,
    /// 1: only from the cursor that the lane has.
    ExpectedCursor,
    /// 2: a live lease is not taken away.
    Lease,
    /// 3: nobody starts who was not counted in by an answered `go`.
    AdvanceBeforeSend,
    /// 3: nobody beyond cursor + window.
    Window,
    /// 3: who may not start holds back all behind.
    LineOrder,
    /// 4: an authorisation lapses before the lease does.
    Lapse,
    /// 5: the cursor moves over settled people only.
    SettleInOrder,
    /// 5: who was settled beyond the cursor is remembered.
    Ahead,
    /// 7: a held lane is only told that it is to end.
    CancelTells,
    /// 8: a lane that is handed back gets a new entry.
    ReleaseQueues,
    /// 9: a lane has one entry.
    OneEntry,
    /// 9: a round waits behind the one that runs.
    Waiting,
    /// 10: only the first `begin` of a round fixes `upto`.
    UptoOnce,
    /// 10: a round goes on where the one before was cut off.
    GoOn,
    /// 11: nobody is authorised while there is no stock.
    StockAtAdvance,
    /// 11: a round ends when nothing is in flight.
    Drain,
    /// 11: a round is completed when nobody in the window is open.
    NobodyOpen,
    /// 9: only what was cut short is resumed.
    ResumeCanceled,
    /// 15: a request that comes twice counts once.
    Once,
    /// 17: what was last checked under another server run is checked first.
    Aged,
    /// 18: a lane is installed only where Redis has none or an older one.
    HydrateBehind,
    /// 18: a round that nobody began and that Redis never gave out is taken over beside a newer lane.
    AdoptUnbegun,
    /// 18: an epoch is installed once.
    Epoch,
    /// 18: only what MySQL has is forgotten.
    EvictFlushed,
    /// 19: an older state never replaces a newer one.
    NewerOnly,
    /// 20: the position moves by compare-and-set.
    Position,
    /// 20: entries are deleted after the commit.
    DeleteAfterCommit,
    /// 20: what one script wrote is applied in one transaction.
    WholeScripts,
    /// 20: what a check has overtaken is committed only while the log still has it.
    StillLogged,
    /// 22: what MySQL knows and Redis lacks is installed.
    Reconcile,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Token,
        Self::ExpectedCursor,
        Self::Lease,
        Self::AdvanceBeforeSend,
        Self::Window,
        Self::LineOrder,
        Self::Lapse,
        Self::SettleInOrder,
        Self::Ahead,
        Self::CancelTells,
        Self::ReleaseQueues,
        Self::OneEntry,
        Self::Waiting,
        Self::UptoOnce,
        Self::GoOn,
        Self::StockAtAdvance,
        Self::Drain,
        Self::NobodyOpen,
        Self::ResumeCanceled,
        Self::Once,
        Self::Aged,
        Self::HydrateBehind,
        Self::AdoptUnbegun,
        Self::Epoch,
        Self::EvictFlushed,
        Self::NewerOnly,
        Self::Position,
        Self::DeleteAfterCommit,
        Self::WholeScripts,
        Self::StillLogged,
        Self::Reconcile,
    ];
}
