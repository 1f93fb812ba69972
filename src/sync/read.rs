//! Reading the log: while MySQL takes two batches, the next two are read and folded.

use std::io;

use tokio::task::JoinHandle;

use super::batch::{BATCH_ENTRIES, Batch, take};
use crate::{
    ids::{ParseError, Partition},
    redis::{Redis, RedisError, entry_id::EntryId, log_entry::LogEntry},
    stores::StoreError,
};

/// The fewest entries read at once, however many people each of them has.
const READ_ENTRIES_MIN: usize = 16;

/// A folded batch with where it was read.
#[derive(Debug)]
pub(super) struct Portion {
    /// The incarnation of the log at that time.
    pub(super) incarnation: Option<String>,
    pub(super) batch: Batch,
    /// Whether there is probably more.
    pub(super) more: bool,
}

/// Reads one log, at most two batches ahead.
#[derive(Debug)]
pub(super) struct Reader {
    redis: Redis,
    partition: Partition,
    /// How many entries are read at once: about as many as one batch takes, so that few are read twice.
    entries: usize,
    ahead: Option<(EntryId, Reading)>,
}

#[derive(Debug)]
struct Reading(JoinHandle<Result<Vec<Portion>, StoreError>>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reader {
    pub(super) fn new(redis: Redis, partition: Partition) -> Self {
        Self { redis, partition, entries: BATCH_ENTRIES, ahead: None }
    }

    /// Starts to read what comes after `after`, for the next call of [`Reader::next`].
    pub(super) fn read_ahead(&mut self, after: EntryId) {
        let reading = read_two(self.redis.clone(), self.partition, after, self.entries);
        self.ahead = Some((after, Reading(tokio::spawn(reading))));
    }

    /// Drops what was read ahead: it may be of another log by now.
    pub(super) fn forget(&mut self) {
        self.ahead = None;
    }

    /// The next batch after `after`, an empty one when there is none; and the one that follows it, if any does.
    pub(super) async fn next(&mut self, after: EntryId) -> Result<Vec<Portion>, StoreError> {
        let portions = match self.ahead.take() {
            Some((begun, mut reading)) if begun == after => {
                (&mut reading.0).await.map_err(|error| sqlx::Error::Io(io::Error::other(error)))??
            }
            _ => read_two(self.redis.clone(), self.partition, after, self.entries).await?,
        };
        if let Some(last) = portions.iter().rfind(|portion| !portion.batch.ids.is_empty()) {
            self.entries = as_many_as(last);
        }
        Ok(portions)
    }
}

/// How many entries to read for another batch of which one takes as many as of this one.
fn as_many_as(portion: &Portion) -> usize {
    (portion.batch.ids.len() * 2).clamp(READ_ENTRIES_MIN, BATCH_ENTRIES)
}

async fn read_two(
    redis: Redis,
    partition: Partition,
    after: EntryId,
    count: usize,
) -> Result<Vec<Portion>, StoreError> {
    let first = read(redis.clone(), partition, after, count).await?;
    let last = first.batch.last().filter(|_| first.more);
    let mut portions = vec![first];
    if let Some(last) = last {
        portions.push(read(redis, partition, last, as_many_as(&portions[0])).await?);
    }
    Ok(portions)
}

async fn read(redis: Redis, partition: Partition, after: EntryId, count: usize) -> Result<Portion, StoreError> {
    let (incarnation, raw) = redis.read_log(partition, &after.to_string(), count as u64).await?;
    let entries: Vec<(EntryId, LogEntry)> =
        raw.into_iter().map(|entry| Ok((parse_id(&entry.id)?, entry))).collect::<Result<_, RedisError>>()?;
    let full = entries.len() >= count;
    let taken = take(&entries, full);
    let more = full || taken < entries.len();
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
