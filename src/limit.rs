//! The limits that everybody shares.

/// How fast all workers together may start attempts on one channel: within its own rate, and within what all channels
/// have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Starts a second over all channels; 0 = no pace.
    pub rate: u32,
    /// Starts a second on this channel; 0 = none of its own.
    pub channel_rate: u32,
    /// Whether nobody may start at all.
    pub paused: bool,
    /// Of two limits the one with the higher revision stands.
    pub revision: u64,
}

/// The largest window that a worker can be given: the most people that it authorised and has not settled, per lane.
pub const WINDOW_MAX: u32 = 5_000;

/// The most pieces that a product can have: far above any stock, and far below 2^53, up to which Lua counts exactly.
pub const STOCK_MAX: i64 = 1_000_000_000_000;
