//! Ids of stream entries, which have an order.

use std::{fmt, str::FromStr};

use crate::ids::ParseError;

/// The id of an entry of a stream, `ms-seq`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// When it was added, ms since the epoch on Redis' clock.
    pub ms: u64,
    /// Counts within that millisecond.
    pub seq: u64,
}

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };
    /// Behind every entry.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for EntryId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // A sign is no part of an id.
        let number = |part: &str| if part.starts_with('+') { None } else { part.parse().ok() };
        let parts = text.split_once('-').and_then(|(ms, seq)| Some((number(ms)?, number(seq)?)));
        let (ms, seq) = parts.ok_or_else(|| ParseError::new("entry id", text, "it is ms-seq"))?;
        Ok(Self { ms, seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_as_numbers() {
        let id = |text: &str| text.parse::<EntryId>().unwrap();
        assert!(id("9-0") < id("10-0") && id("10-9") < id("10-10"));
        assert_eq!(id("1795226041094-1068").to_string(), "1795226041094-1068");
        assert!("5".parse::<EntryId>().is_err());
    }
}
