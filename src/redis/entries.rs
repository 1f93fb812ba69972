//! Whether the entries that stand for lanes can still reach a worker.

use std::collections::{HashMap, hash_map};

use fred::{interfaces::StreamsInterface, types::Value};

use super::{
    Redis, RedisError,
    entry_id::EntryId,
    inspect::JobStream,
    jobs::{GROUP, Line},
};
use crate::ids::{LaneId, Partition};

/// What a look at one entry found.
struct Look {
    stream: JobStream,
    id: String,
    is_there: bool,
    is_pending: bool,
}

impl Look {
    fn new(partition: Partition, lane: &LaneId, entry: &str) -> Self {
        let (line, id) = match entry.strip_prefix("a:") {
            Some(id) => (Line::Again, id),
            None => (Line::Fresh, entry.trim_start_matches("j:")),
        };
        let stream = JobStream { partition, channel: lane.channel.clone(), line };
        Self { stream, id: id.to_owned(), is_there: false, is_pending: false }
    }
}

impl Redis {
    /// Whether each of these entries, named as in [`LaneView::entry`](super::lane::LaneView::entry), is on its stream
    /// and was not given out yet, or is pending for somebody. One that was given out and is pending for nobody reaches
    /// no worker any more: somebody acknowledged it by hand, or deleted the consumer that had it.
    ///
    /// # Errors
    /// As any call.
    pub async fn can_reach_workers(
        &self,
        partition: Partition,
        entries: &[(LaneId, String)],
    ) -> Result<Vec<bool>, RedisError> {
        // Before the looks: one that is given out between the two is pending then.
        let mut delivered: HashMap<String, EntryId> = HashMap::new();
        let mut looks: Vec<Look> = entries.iter().map(|(lane, entry)| Look::new(partition, lane, entry)).collect();
        for look in &looks {
            if let hash_map::Entry::Vacant(first) = delivered.entry(self.stream_key(&look.stream)) {
                let group = self.read_group(&look.stream).await?;
                first.insert(group.map_or(EntryId::ZERO, |group| group.last_delivered));
            }
        }
        self.look_at(&mut looks).await?;
        let is_live = |look: &Look| {
            let last = delivered.get(&self.stream_key(&look.stream)).copied().unwrap_or(EntryId::ZERO);
            look.is_there && (look.is_pending || look.id.parse::<EntryId>().is_ok_and(|id| id > last))
        };
        Ok(looks.iter().map(is_live).collect())
    }

    async fn look_at(&self, looks: &mut [Look]) -> Result<(), RedisError> {
        if looks.is_empty() {
            return Ok(());
        }
        let pipeline = self.client.pipeline();
        for Look { stream, id, .. } in &*looks {
            let key = self.stream_key(stream);
            let _: () = pipeline.xrange(&key, id, id, Some(1)).await?;
            let _: () = pipeline.xpending(&key, GROUP, (id, id, 1)).await?;
        }
        let found: Vec<Result<Value, _>> = pipeline.try_all().await;
        for (look, answers) in looks.iter_mut().zip(found.chunks(2)) {
            let [there, pending] = answers else { continue };
            let there = there.as_ref().map_err(|error| RedisError::from(error.clone()))?;
            look.is_there = there.array_len().is_some_and(|len| len > 0);
            // Without a group nothing is pending: it is made again from the start.
            look.is_pending = match pending.as_ref().map_err(|error| RedisError::from(error.clone())) {
                Ok(pending) => pending.array_len().is_some_and(|len| len > 0),
                Err(error) if error.is_no_group() => false,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }
}
