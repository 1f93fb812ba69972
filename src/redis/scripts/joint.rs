//! What one call of a script brings that several calls share: as few texts as there can be, since each is dear to the client.

use std::{
    fmt::{Display, Write},
    sync::Arc,
};

use crate::redis::keys::LaneKeys;

/// Between arguments, and between the words of a reply.
pub(super) const BETWEEN: char = '|';
/// Most calls have no more than this.
const USUAL_BYTES: usize = 160;

/// How many KEYS and ARGV of a shared script are of which kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// KEYS after the lane and the product: so many of those around them.
    pub(super) around: usize,
    /// The first ARGV: a call's own.
    pub(super) own: usize,
    /// The ARGV after them: what all calls have.
    pub(super) common: usize,
}

impl Shape {
    /// KEYS of a call that belong to its lane.
    pub(super) const OWN_KEYS: usize = 2;

    pub(super) const fn keys(self) -> usize {
        Self::OWN_KEYS + self.around
    }

    pub(super) const fn args(self) -> usize {
        self.own + self.common
    }
}

/// Arguments as one text, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    text: String,
    count: usize,
}

impl Arguments {
    /// Adds one; only the last may have a `|`, and of what all calls have none.
    pub(super) fn push(&mut self, argument: impl Display) {
        match self.count {
            0 => self.text.reserve(USUAL_BYTES),
            _ => self.text.push(BETWEEN),
        }
        debug_assert_eq!(self.text.matches(BETWEEN).count(), self.count, "an argument has a `|`: {}", self.text);
        self.count += 1;
        // A text takes what is written to it.
        let _ = write!(self.text, "{argument}");
    }

    pub(super) fn with(mut self, argument: impl Display) -> Self {
        self.push(argument);
        self
    }

    /// Adds one, or an empty one.
    pub(super) fn with_optional<T: Display>(self, argument: Option<T>) -> Self {
        match argument {
            Some(argument) => self.with(argument),
            None => self.with(""),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// One call, which may be made twice.
#[derive(Debug, Clone)]
pub(super) struct Joint {
    pub(super) keys: Arc<LaneKeys>,
    pub(super) own: Arguments,
    pub(super) common: Arguments,
}
