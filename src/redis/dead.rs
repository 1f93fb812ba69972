//! The dead stream of a channel: lanes that were given up, and entries that could not be read.

use std::collections::HashMap;

use fred::{interfaces::StreamsInterface, types::Value};

use super::{Redis, RedisError};
use crate::ids::{Channel, Partition, ProductId, Round};

/// Something on a dead stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id on the stream.
    pub id: String,
    /// Whose round was given up; none for an entry that could not be read.
    pub round: Option<(ProductId, Round)>,
    /// Why.
    pub reason: String,
    /// When, µs since the epoch.
    pub at_us: Option<i64>,
    /// What an unreadable entry held, bytes that are no text replaced.
    pub content: Option<String>,
}

impl Redis {
    /// The first `count` letters of a dead stream after the letter `after`.
    ///
    /// # Errors
    /// As any call.
    pub async fn dead_letters(
        &self,
        partition: Partition,
        channel: &Channel,
        after: Option<&str>,
        count: u64,
    ) -> Result<Vec<DeadLetter>, RedisError> {
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let found: Value = self.client.xrange(self.keys.dead(partition, channel), start, "+", Some(count)).await?;
        Ok(texts(found).into_iter().map(letter).collect())
    }

    /// The letter of that id.
    ///
    /// # Errors
    /// As any call; Redis refuses what is no id.
    pub async fn dead_letter(
        &self,
        partition: Partition,
        channel: &Channel,
        id: &str,
    ) -> Result<Option<DeadLetter>, RedisError> {
        let found: Value = self.client.xrange(self.keys.dead(partition, channel), id, id, Some(1)).await?;
        Ok(texts(found).into_iter().map(letter).next())
    }

    /// Deletes a letter; `false` when it is gone already.
    ///
    /// # Errors
    /// As any call.
    pub async fn drop_dead_letter(
        &self,
        partition: Partition,
        channel: &Channel,
        id: &str,
    ) -> Result<bool, RedisError> {
        let dropped: u64 = self.client.xdel(self.keys.dead(partition, channel), id).await?;
        Ok(dropped > 0)
    }
}

fn letter((id, fields): (String, HashMap<String, String>)) -> DeadLetter {
    let round = fields.get("product").and_then(|text| text.parse().ok()).zip(
        // Not a round either, when one of the two cannot be read.
        fields.get("round").and_then(|text| text.parse().ok()),
    );
    DeadLetter {
        id,
        round,
        reason: fields.get("reason").cloned().unwrap_or_default(),
        at_us: fields.get("at").and_then(|text| text.parse().ok()),
        content: fields.get("content").cloned(),
    }
}

/// Entries as text, whatever bytes they hold; what does not have the form of an entry is left out.
pub(super) fn texts(entries: Value) -> Vec<(String, HashMap<String, String>)> {
    let text = |value: Value| value.into_bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let entry = |entry: Value| {
        let mut parts = entry.into_array().into_iter();
        let id = text(parts.next()?)?;
        // Of an entry that is pending and was deleted only the id is left.
        let words: Vec<String> = match parts.next() {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Map(map)) => map
                .inner()
                .into_iter()
                .flat_map(|(key, value)| [Some(String::from_utf8_lossy(key.as_bytes()).into_owned()), text(value)])
                .map(Option::unwrap_or_default)
                .collect(),
            Some(fields) => fields.into_array().into_iter().map(|value| text(value).unwrap_or_default()).collect(),
        };
        let fields = words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        Some((id, fields))
    };
    if entries.is_null() { Vec::new() } else { entries.into_array().into_iter().filter_map(entry).collect() }
}
