//! What befalls the system, and what really happened.

use crate::round::{Places, REQUESTS, ROUNDS};

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
    pub given: [u8; REQUESTS],
    /// Losses of Redis.
    pub life: u8,
    /// Repeats that crashes and losses explain, less those that happened.
    pub slack: u8,
    /// The first promise that was broken.
    pub broken: Option<&'static str>,
}
