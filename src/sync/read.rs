//! Reading the log: while MySQL takes one batch, the next is read and folded.

use std::io;

use tokio::task::JoinHandle;

use super::{
    batch::{Batch, cut},
    entry_id::EntryId,
};
use crate::{
    ids::{ParseError, Partition},
    redis::{Redis, RedisError, log::LogEntry},
    stores::StoreError,
};

/// The most entries in one batch.
const ENTRIES_MAX: usize = 2_000;
/// The fewest that are asked for, and how many at first, when their size is not known.
const ENTRIES_MIN: usize = 64;
/// As many people are in a batch as keep MySQL busy for a moment; more would only take memory.
const PEOPLE_AIM: usize = 25_000;

/// A folded batch with where it was read.
#[derive(Debug)]
pub(super) struct Portion {
    /// The incarnation of the log at that time.
    pub(super) incarnation: Option<String>,
    pub(super) batch: Batch,
    /// Whether there is probably more.
    pub(super) more: bool,
}

/// Reads one log, at most one batch ahead.
#[derive(Debug)]
pub(super) struct Reader {
    redis: Redis,
    partition: Partition,
    entries: usize,
    ahead: Option<(EntryId, Reading)>,
}

#[derive(Debug)]
struct Reading(JoinHandle<Result<Portion, StoreError>>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reader {
    pub(super) fn new(redis: Redis, partition: Partition) -> Self {
        Self { redis, partition, entries: ENTRIES_MIN, ahead: None }
    }

    /// Starts to read what comes after `after`, for the next call of [`Reader::next`].
    pub(super) fn read_ahead(&mut self, after: EntryId) {
        let reading = read(self.redis.clone(), self.partition, after, self.entries);
        self.ahead = Some((after, Reading(tokio::spawn(reading))));
    }

    /// Drops what was read ahead: it may be of another log by now.
    pub(super) fn forget(&mut self) {
        self.ahead = None;
    }

    /// The next batch after `after`; an empty one when there is none.
    pub(super) async fn next(&mut self, after: EntryId) -> Result<Portion, StoreError> {
        let portion = match self.ahead.take() {
            Some((begun, mut reading)) if begun == after => {
                (&mut reading.0).await.map_err(|error| sqlx::Error::Io(io::Error::other(error)))??
            }
            _ => read(self.redis.clone(), self.partition, after, self.entries).await?,
        };
        let Batch { ids, people, .. } = &portion.batch;
        if !ids.is_empty() {
            let each = people.len().div_ceil(ids.len()).max(1);
            self.entries = (PEOPLE_AIM / each).clamp(ENTRIES_MIN, ENTRIES_MAX);
        }
        Ok(portion)
    }
}

async fn read(redis: Redis, partition: Partition, after: EntryId, count: usize) -> Result<Portion, StoreError> {
    let (incarnation, raw) = redis.read_log(partition, &after.to_string(), count as u64).await?;
    let entries: Vec<(EntryId, LogEntry)> =
        raw.into_iter().map(|entry| Ok((parse_id(&entry.0)?, entry))).collect::<Result<_, RedisError>>()?;
    let more = entries.len() >= count;
    let taken = if more { cut(&entries) } else { entries.len() };
    Ok(Portion { incarnation, batch: Batch::fold(&entries[..taken]), more })
}

/// Reads the id of an entry.
pub(super) fn parse_id(text: &str) -> Result<EntryId, RedisError> {
    text.parse().map_err(|_: ParseError| RedisError::Unreadable {
        what: "log",
        field: "id".to_owned(),
        text: text.to_owned(),
    })
}
