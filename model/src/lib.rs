//! The protocol as a state machine: Redis and its scripts, MySQL, workers and flushers, and what may befall them.
//!
//! ```text
//! producer ─ enqueue ─▶ Redis: product, lane, entries, log ─ flush ─▶ MySQL: rounds, people, position
//!                        ▲  begin, advance, renew, release, finish      │
//!                     workers                                hydrate ◀──┘
//! ```
//!
//! Without the feature `search` it is the state machine alone, for whoever compares it with the real scripts.
//!
//! Actions have the names of the scripts. Each rule can be switched off, to see what it is there for.
//! What is left out, and how to read a counter-example: `docs/model.md`.

pub mod action;
pub mod fault;
pub mod flusher;
pub mod promise;
pub mod redis;
pub mod round;
pub mod rule;
#[cfg(feature = "search")]
pub mod search;
pub mod state;
pub mod worker;

pub use action::Action;
pub use fault::Faults;
pub use rule::Rule;
pub use state::State;

/// The protocol within bounds.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// Workers.
    pub workers: usize,
    /// Flushers, of whom one leads.
    pub flushers: usize,
    /// Checks of the product against MySQL at the same time.
    pub checks: usize,
    /// Requests to restock the product.
    pub requests: usize,
    /// People in line at the start.
    pub people: u8,
    /// The most that are authorised and not settled.
    pub window: u8,
    /// Whether the calls of a hold are numbered, so that a Redis that came back without one of them answers no other. The
    /// expected cursor protects without that; many more states would have to be searched.
    pub numbered_calls: bool,
    /// What may befall it.
    pub faults: Faults,
    /// The rule that nobody keeps.
    pub without: Option<Rule>,
}

impl Protocol {
    /// Whether this rule is kept.
    #[must_use]
    pub fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
