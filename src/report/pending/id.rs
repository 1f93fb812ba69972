//! Names of pending entries, to go on behind one.

use std::{fmt, str::FromStr};

use crate::{
    ids::{Channel, ParseError, Partition},
    redis::{entry_id::EntryId, inspect::JobStream, jobs::Line},
};

/// Names a pending entry: `0:webhook:j:1763700000000-0`, with `a` where the lane was handed back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingId {
    partition: Partition,
    channel: Channel,
    line: Line,
    pub(super) entry: EntryId,
}

impl PendingId {
    /// Of an entry of that stream; none where its id is none.
    pub(super) fn new(stream: &JobStream, entry: &str) -> Option<Self> {
        let JobStream { partition, channel, line } = stream;
        Some(Self { partition: *partition, channel: channel.clone(), line: *line, entry: entry.parse().ok()? })
    }

    /// Whether that stream comes before the entry's.
    pub(super) fn is_behind(&self, stream: &JobStream) -> bool {
        (stream.partition, &stream.channel, stream.line) < (self.partition, &self.channel, self.line)
    }

    /// Whether it is an entry of that stream.
    pub(super) fn is_of(&self, stream: &JobStream) -> bool {
        (stream.partition, &stream.channel, stream.line) == (self.partition, &self.channel, self.line)
    }
}

impl fmt::Display for PendingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.partition, self.channel, self.line.name_of(&self.entry.to_string()))
    }
}

impl FromStr for PendingId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::new("pending entry", text, "it is the `next` of the page before");
        let parts: Vec<&str> = text.split(':').collect();
        let [partition, channel, line, entry] = parts.as_slice() else { return Err(bad()) };
        let line = match *line {
            "j" => Line::Fresh,
            "a" => Line::Again,
            _ => return Err(bad()),
        };
        let partition = Partition(partition.parse().map_err(|_| bad())?);
        let (channel, entry) = (channel.parse().map_err(|_| bad())?, entry.parse().map_err(|_| bad())?);
        // Redis gives the greatest id to no entry, and refuses to be asked for what is behind it.
        if entry == EntryId::MAX {
            return Err(bad());
        }
        Ok(Self { partition, channel, line, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        for good in ["0:webhook:j:1763700000000-0", "3:null:a:1-7"] {
            assert_eq!(good.parse::<PendingId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        let greatest = format!("0:webhook:j:{}", EntryId::MAX);
        for bad in ["", "0", "0:webhook:x:1-1", "x:webhook:j:1-1", "0:Web:j:1-1", "0:webhook:j:1", &greatest] {
            assert!(bad.parse::<PendingId>().is_err(), "{bad}");
        }
    }
}
