//! The fields of one entry of the log, whether they stand apart or several are packed in one.

use std::str::FromStr;

use crate::{ids::ParseError, redis::log_entry::LogFields, round::Stamp};

/// The fields of a round that the scripts log as one, in their order; see `lua/shared/round.lua`.
pub(super) const PACKED: [&str; 16] =
    ["p", "c", "r", "s", "from", "cur", "upto", "ahead", "n", "e", "v", "q", "b", "x", "rt", "why"];
/// Of those, the first that was among them in the state that release 0.1.0 left behind.
pub(super) const PACKED_BEFORE: usize = 3;

/// The fields of an entry; of a round also one by one, as in `log_dead`.
pub(super) struct Fields<'a> {
    apart: &'a LogFields,
    packed: Vec<&'a str>,
    names: &'static [&'static str],
}

impl<'a> Fields<'a> {
    pub(super) fn of(apart: &'a LogFields) -> Self {
        let names = if apart.get("p").is_some() { &PACKED[PACKED_BEFORE..] } else { &PACKED };
        let packed = apart.get("d").map(|text| text.splitn(names.len(), '|').collect());
        Self { apart, packed: packed.unwrap_or_default(), names }
    }

    /// Whether what is packed has all its fields, if anything is.
    pub(super) fn is_whole(&self) -> bool {
        self.packed.is_empty() || self.packed.len() == self.names.len()
    }

    pub(super) fn text(&self, name: &str) -> &'a str {
        let packed = self.names.iter().position(|packed| *packed == name).and_then(|at| self.packed.get(at));
        packed.copied().unwrap_or_else(|| self.apart.get(name).unwrap_or_default())
    }

    /// An empty field is none.
    pub(super) fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, ParseError> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| ParseError::new("field of the log", text, "see lua/shared")),
        }
    }

    pub(super) fn need<T: FromStr>(&self, name: &str) -> Result<T, ParseError> {
        self.get(name)?.ok_or_else(|| ParseError::new("field of the log", name, "it is never empty"))
    }

    pub(super) fn stamp(&self) -> Result<Stamp, ParseError> {
        Ok(Stamp { epoch: self.need("e")?, version: self.need("v")? })
    }
}
